"""Events: ids that follow from what they are about, and a form that the published schema holds."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest

from event_samples import EPOCH, event
from seacanary.event_ids import named_by
from seacanary.events import (
    AlertEvent,
    CloudEvent,
    ConditionEvent,
    PresenceEvent,
    ReviewEvent,
    event_id,
    json_schema,
)

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "events.schema.json"


def test_an_id_never_changes() -> None:
    """Golden: if this fails, every consumer would take old events for new ones."""
    assert event(384_000).id == UUID("6fd93c45-0542-531c-9f46-0878f05916ce")


def test_each_part_of_the_identity_makes_another_id() -> None:
    known = {"epoch": EPOCH, "species": "beluga", "onset_sample": 1, "kind": "started", "revision": 0}
    changes = [
        {"epoch": EPOCH + timedelta(microseconds=1)},
        {"species": "porpoise"},
        {"onset_sample": 2},
        {"kind": "ended"},
        {"revision": 1},
    ]
    ids = {event_id("s", "h", **{**known, **change}) for change in [{}, *changes]}  # type: ignore[arg-type]
    ids |= {event_id(s, h, **known) for s, h in [("s", "i"), ("t", "h"), ("sh", "")]}  # type: ignore[arg-type]
    assert len(ids) == 9


def test_the_time_of_a_cloud_event_is_when_it_happened() -> None:
    started = event(384_000)
    later = EPOCH + timedelta(seconds=9)
    ended = started.model_copy(update={"kind": "ended", "offset": later})
    assert CloudEvent.of(started.model_copy(update={"offset": later})).time == EPOCH + timedelta(seconds=1)
    assert CloudEvent.of(ended).time == later


def test_an_event_survives_the_wire_and_fields_of_a_later_version() -> None:
    sent = json.loads(CloudEvent.of(event(1)).model_dump_json())
    sent["data"]["sea_state"] = 3
    assert CloudEvent.model_validate(sent).data == event(1)


def test_the_published_schema_is_the_codes() -> None:
    """To renew it: `seacanary schema events > docs/events.schema.json`."""
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()


def test_what_is_sent_satisfies_the_schema_and_nonsense_does_not() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    sent = json.loads(CloudEvent.of(event(1)).model_dump_json())
    validator.validate(sent)
    sent["data"]["coverage"] = 1.5
    with pytest.raises(jsonschema.ValidationError, match="is not valid under any"):
        validator.validate(sent)


def test_an_event_without_a_time_zone_is_refused() -> None:
    naive = event(1).model_dump(mode="json") | {"onset": "2026-05-01T00:00:00"}
    with pytest.raises(ValueError, match="timezone"):
        PresenceEvent.model_validate(naive)


def test_every_kind_of_event_survives_the_wire_under_its_own_type() -> None:
    told = [
        event(1),
        ReviewEvent(
            id=named_by("review"), station="s", hydrophone="h", species="beluga", event_id=event(1).id,
            verdict="confirmed", reviewer="Ada", reviewed_at=EPOCH,
        ),
        ConditionEvent(
            id=named_by("condition"), station="s", condition="clipping", change="begun", since=EPOCH, at=EPOCH
        ),
        AlertEvent(id=named_by("alert"), station="s", rule="belugas", notice="digest", at=EPOCH, text="Three."),
    ]  # fmt: skip
    sent = [CloudEvent.of(each) for each in told]
    assert [CloudEvent.model_validate_json(each.model_dump_json()).data for each in sent] == told
    assert [each.type for each in sent] == [
        "org.seacanary.presence.started.v1",
        "org.seacanary.presence.reviewed.v1",
        "org.seacanary.station.condition.v1",
        "org.seacanary.alert.digest.v1",
    ]
    assert [each.source for each in sent] == [
        "/stations/station/hydrophones/north", "/stations/s/hydrophones/h", "/stations/s", "/stations/s",
    ]  # fmt: skip
