"""From a simulated beluga to a person: every place that should hear of it does, and says the same."""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
from matplotlib import image

from monitoring_servers import alertmanager, prometheus, until, webhook_receiver
from redis_server import RedisServer, free_port
from seacanary.events import AlertEvent, ConditionEvent, Event, PresenceEvent, ReviewEvent
from seacanary.evidence.files import ClipFacts
from seacanary.evidence.names import AUDIO, FACTS, PICTURE, file_of
from seacanary.simulation import CallBouts, Scene, Soundscape
from webhook_receiver import SECRET, Received, Receiver
from whole_station import PATIENT, journalled, sampled, streamed, whole_station

NEEDED = ("redis-server", "prometheus", "prometheus-alertmanager")
pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"not all of {', '.join(NEEDED)} are installed"),
]

STATION, HYDROPHONE, RULE = "pier-7", "north", "belugas"
RATE_HZ = 384_000
# They call without long pauses, so that they are still present when Prometheus looks.
SCENE = Scene(
    seed=3,
    whistle=CallBouts(bouts_per_min=30, snr_db=(14, 26)),
    beluga_click=CallBouts(bouts_per_min=0),
    porpoise_click=CallBouts(bouts_per_min=0),
)
WITHIN_S = 90.0
REVIEWER = "Ada at the pier"
LEAST_BIT = 2.0**-23  # of 24-bit FLAC


@dataclass(frozen=True)
class Told:
    """What everybody knows after one run.

    Attributes:
        folder: of the station.
        webhooks: requests that the receiver took, in order.
        presence_messages: Alertmanager's, of BelugaPresent.
        streamed: events in Redis.
        journalled: events in the journal.
        trials: self-tests made meanwhile whose call was heard or missed.
    """

    folder: Path
    webhooks: list[Received]
    presence_messages: list[dict[str, Any]]
    streamed: list[Event]
    journalled: list[Event]
    trials: float

    @property
    def alert(self) -> AlertEvent:
        return next(event for event in self.journalled if isinstance(event, AlertEvent))

    @property
    def started(self) -> PresenceEvent:
        """The event that the alert is about."""
        return next(
            event for event in self.journalled if isinstance(event, PresenceEvent) and event.id == self.alert.events[0]
        )

    @property
    def message(self) -> dict[str, Any]:
        """The alert's webhook, verified."""
        first = self.webhooks[0].verified()
        assert isinstance(first, dict)
        return first


def configuration(folder: Path, *, redis_url: str, webhook_url: str, metrics_port: int) -> dict[str, object]:
    web_port = free_port()
    return {
        "station": {"name": STATION},
        "supervision": PATIENT,
        "sources": [
            {
                "kind": "simulated",
                "hydrophones": [HYDROPHONE],
                "sample_rate_hz": RATE_HZ,
                "scene": SCENE.model_dump(mode="json"),
            }
        ],
        "publishers": [
            {"kind": "redis_streams", "url": redis_url},
            {"kind": "webhook", "url": webhook_url, "secret": SECRET, "allow_private_networks": True},
        ],
        "alerts": {"rules": [{"name": RULE, "species": ["beluga"]}]},
        "evidence": {"path": str(folder / "evidence")},
        "selftest": {"interval_s": 3},
        "web": {"port": web_port, "public_url": f"http://127.0.0.1:{web_port}"},
        "metrics": {"port": metrics_port},
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Run everything once, until everybody has been told and a person has answered."""
    folder, metrics_port = tmp_path_factory.mktemp("pier"), free_port()
    with ExitStack() as opened:
        redis = opened.enter_context(RedisServer(folder / "redis"))
        receiver = opened.enter_context(Receiver())
        people = opened.enter_context(webhook_receiver())
        manager = opened.enter_context(alertmanager(folder, people, token="t"))
        opened.enter_context(prometheus(folder, {STATION: metrics_port}, manager.removeprefix("http://")))
        tree = configuration(folder, redis_url=redis.url, webhook_url=receiver.url, metrics_port=metrics_port)
        with whole_station(folder, tree):
            until(lambda: bool(receiver.taken), "the webhook comes", within_s=WITHIN_S)
            alert = receiver.taken[0].verified()
            answered = urlopen(alert["confirmurl"], urlencode({"reviewer": REVIEWER}).encode(), timeout=10)
            assert answered.status == 200
            picture = folder / "evidence" / file_of(alert["data"]["evidence"], PICTURE)
            until(picture.exists, "the evidence is there", within_s=WITHIN_S)
            until(lambda: bool(people.alerts("BelugaPresent")), "Alertmanager tells", within_s=WITHIN_S)
            until(lambda: trials(metrics_port) >= 2, "the self-test tries", within_s=WITHIN_S)
            tried = trials(metrics_port)
        yield Told(
            folder,
            webhooks=list(receiver.taken),
            presence_messages=people.alerts("BelugaPresent"),
            streamed=streamed(redis.url),
            journalled=journalled(folder),
            trials=tried,
        )


def trials(port: int) -> float:
    name = "seacanary_selftest_calls_total"
    return sum(sampled(port, name, outcome=outcome) for outcome in ("heard", "missed"))


def test_the_alert_comes_by_a_signed_webhook(told: Told) -> None:
    message = told.message
    assert message["type"] == "org.seacanary.alert.heard.v1"
    assert AlertEvent.model_validate(message["data"]) == told.alert
    assert told.webhooks[0].id == message["id"] == str(told.alert.id)
    assert (told.alert.rule, told.alert.species, told.alert.hydrophones) == (RULE, "beluga", (HYDROPHONE,))
    with pytest.raises(Exception, match="No matching signature"):
        Received("/hook", told.webhooks[0].headers, told.webhooks[0].body + b" ", time.monotonic()).verified()


def test_every_event_is_in_redis_once_and_in_the_journals_order(told: Told) -> None:
    assert told.streamed == told.journalled
    assert told.started.species == "beluga"
    alerts = [str(event.id) for event in told.journalled if isinstance(event, AlertEvent)]
    assert [request.id for request in told.webhooks] == alerts


def test_a_confirmation_through_the_alerts_link_is_an_event(told: Told) -> None:
    [review] = [event for event in told.streamed if isinstance(event, ReviewEvent)]
    assert (review.event_id, review.verdict, review.reviewer) == (told.started.id, "confirmed", REVIEWER)
    assert review.rule == RULE
    assert {"confirmurl", "rejecturl", "evidenceurl"} <= told.message.keys()


def test_the_evidence_holds_the_events_own_samples(told: Told) -> None:
    base = told.folder / "evidence"
    stem = told.started.evidence
    assert stem is not None
    assert told.alert.evidence == stem
    facts = ClipFacts.model_validate_json((base / file_of(stem, FACTS)).read_bytes())
    assert (facts.event, facts.outcome, facts.missing) == (told.started, "complete", ())
    assert facts.clip is not None
    first, end = facts.clip
    assert first <= told.started.onset_sample < facts.part[1] <= end
    samples, rate_hz = soundfile.read(base / file_of(stem, AUDIO), dtype="float32")
    assert (rate_hz, samples.size) == (RATE_HZ, end - first)
    rendered = Soundscape(SCENE, sample_rate_hz=RATE_HZ).render(end).samples
    np.testing.assert_allclose(samples, rendered[first:], rtol=0, atol=LEAST_BIT)
    assert image.imread(base / file_of(stem, PICTURE)).std() > 0.01


def test_alertmanager_tells_that_a_beluga_is_present(told: Told) -> None:
    [alert] = told.presence_messages[0]["alerts"]
    assert (alert["labels"]["station"], alert["labels"]["species"]) == (STATION, "beluga")
    assert HYDROPHONE in alert["annotations"]["description"]


def test_the_self_test_is_known_to_the_metrics_alone(told: Told) -> None:
    assert told.trials >= 2
    heard = [event for event in told.journalled if not isinstance(event, AlertEvent | ConditionEvent)]
    assert {(event.station, event.hydrophone) for event in heard} == {(STATION, HYDROPHONE)}
    assert {event.station for event in told.journalled} == {STATION}
    # Nothing but belugas calls there; the self-test calls as a porpoise too.
    assert {event.species for event in heard} == {"beluga"}
    everything = "".join(event.model_dump_json() for event in told.journalled)
    everything += "".join(request.body.decode() for request in told.webhooks)
    assert "selftest" not in everything
