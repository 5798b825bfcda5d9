"""What a changed configuration changes at once, what waits for a restart, and what is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fakes import EPOCH, tiny_contract
from seacanary.config import StationConfig, parse_config
from seacanary.errors import ConfigError
from seacanary.events import PresenceEvent
from seacanary.following import Follower
from seacanary.guard import GuardSection
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceRule, PresenceSection, Thresholds
from seacanary.reload import differing, plan_of
from webhook_receiver import OTHER_SECRET, SECRET

WEBHOOK = {"kind": "webhook", "name": "pager", "url": "https://example.org/hook", "secret": SECRET}


def config(**sections: object) -> StationConfig:
    tree: Mapping[str, Any] = {
        "station": {"name": "pier"},
        "sources": [{"kind": "simulated", "hydrophones": ["h1"]}],
        "publishers": [WEBHOOK],
        "alerts": {"rules": [{"name": "watch", "species": ["beluga"]}]},
        **sections,
    }
    return parse_config(tree, where="test")


def test_the_same_file_changes_nothing() -> None:
    plan = plan_of(config(), config(), tiny_contract())
    assert (plan.config, plan.changes, plan.restart, plan.outcome) == (config(), (), (), "applied")


@pytest.mark.parametrize(
    ("sections", "changes"),
    [
        ({"presence": {"rule": {"hold_s": 20}}}, ("presence.rule.hold_s: 30.0 -> 20.0",)),
        (
            {"presence": {"thresholds": {"whistle": {"enter": 0.8, "leave": 0.5}}}},
            ("presence.thresholds.whistle: none -> enter 0.8, leave 0.5",),
        ),
        (
            {"alerts": {"rules": [{"name": "watch", "cooldown_s": 60}, {"name": "more"}], "max_age_s": 60}},
            ("alerts.max_age_s: 3600 -> 60", "alert rule watch changed: species, cooldown_s", "alert rule more added"),
        ),
        ({"alerts": {}}, ("alert rule watch removed",)),
        ({"publishers": [WEBHOOK | {"secret": OTHER_SECRET}]}, ("publisher pager changed: secret",)),
        (
            {"publishers": [WEBHOOK | {"delivery": {"give_up_s": 60}, "events": ["presence"]}]},
            ("publisher pager changed: events, delivery.give_up_s",),
        ),
        (
            {"publishers": [{"kind": "jsonl", "path": "a.jsonl"}]},
            ("publisher pager removed", "publisher jsonl added"),
        ),
    ],
)
def test_rules_publishers_and_thresholds_change_at_once(
    sections: Mapping[str, object], changes: tuple[str, ...]
) -> None:
    wanted = config(**sections)
    plan = plan_of(config(), wanted, tiny_contract())
    assert (plan.config, plan.changes, plan.restart, plan.outcome) == (wanted, changes, (), "applied")


def test_a_policy_for_all_changes_those_without_one_of_their_own() -> None:
    publishers = [WEBHOOK, {"kind": "jsonl", "path": "a.jsonl"}]
    before = config(publishers=publishers)
    plan = plan_of(before, config(publishers=publishers, delivery={"timeout_s": 3}), tiny_contract())
    assert plan.changes == ("publisher jsonl changed: delivery",)


def test_a_secret_file_with_another_secret_is_a_change() -> None:
    plan = plan_of(config(), config(), tiny_contract(), renewed=["pager"])
    assert plan.changes == ("publisher pager changed: content of a file it names",)


@pytest.mark.parametrize(
    ("sections", "restart"),
    [
        ({"station": {"name": "quay"}}, ("station.name",)),
        ({"sources": [{"kind": "simulated", "hydrophones": ["h2"]}]}, ("sources.0.hydrophones",)),
        ({"sources": [{"kind": "udp", "port": 5000, "hydrophones": ["h1"], "sample_rate_hz": 8000}]}, ("sources.0",)),
        ({"journal": {"path": "elsewhere.db"}}, ("journal.path",)),
        ({"model": {"sessions": 3}, "metrics": {"port": 9}}, ("model.sessions", "metrics.port")),
        ({"guard": {"duty": 0.9}}, ("guard.duty",)),
        ({"evidence": {}}, ("evidence",)),
    ],
)
def test_what_needs_a_restart_is_named_and_nothing_of_it_changes(
    sections: Mapping[str, object], restart: tuple[str, ...]
) -> None:
    wanted = config(**sections, presence={"rule": {"hold_s": 20}})
    plan = plan_of(config(), wanted, tiny_contract())
    assert (plan.restart, plan.outcome) == (restart, "partly")
    assert plan.config == config(presence={"rule": {"hold_s": 20}})


def test_every_section_is_either_live_or_needs_a_restart() -> None:
    """A section that is new to the configuration needs a restart until somebody makes it live."""
    before = config()
    for section in StationConfig.model_fields:
        changed = before.model_copy(update={section: object()})
        assert differing(getattr(before, section), getattr(changed, section), section) == [section]


def test_what_only_a_restart_would_bring_cannot_be_spoken_of_before() -> None:
    wanted = config(
        sources=[{"kind": "simulated", "hydrophones": ["h1", "h2"]}],
        alerts={"rules": [{"name": "watch", "hydrophones": ["h2"]}]},
    )
    with pytest.raises(ConfigError, match=r"before sources.0.hydrophones can change(.|\n)*got 'h2': no source has"):
        plan_of(config(), wanted, tiny_contract())


def test_what_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="the model does not know it; did you mean beluga"):
        plan_of(config(), config(alerts={"rules": [{"name": "w", "species": ["belugas"]}]}), tiny_contract())


def test_no_secret_is_told() -> None:
    plan = plan_of(config(), config(publishers=[WEBHOOK | {"url": "https://example.org/s3cr3t"}]), tiny_contract())
    assert plan.changes == ("publisher pager changed: url",)


OLD = PresenceSection(rule=PresenceRule(k=2, n=4, hold_s=4, update_s=8))
NEW = PresenceSection(
    rule=PresenceRule(k=1, n=2, hold_s=2, update_s=3), thresholds={"whistle": Thresholds(enter=0.8, leave=0.6)}
)


def follower(presence: PresenceSection = OLD) -> Follower:
    return Follower("h1", station="pier", contract=tiny_contract(), presence=presence, guard=GuardSection())


def windows(count: int) -> list[Detection]:
    """One second each; calls of several strengths come and go."""
    heard = [0.1, 0.9, 0.55, 0.9, 0.45, 0.45, 0.1, 0.1, 0.65, 0.1, 0.1, 0.1]
    return [
        Detection(
            hydrophone="h1",
            epoch=EPOCH,
            first_sample=i * 8000,
            end_sample=(i + 1) * 8000,
            sample_rate_hz=8000,
            start=EPOCH,
            probability={"whistle": heard[i % len(heard)], "porpoise_click": 0.1},
            unobserved=frozenset(),
            spans=(),
            mask=None,
            model_id="tiny-1",
            source_file=None,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("switch", range(0, 40, 3))
def test_presence_rules_change_as_a_restart_would_change_them(switch: int) -> None:
    """Wherever it happens: the events, ids included, are those of a process begun anew with the stored state."""
    running, before, after = follower(), windows(40)[:switch], windows(40)[switch:]
    events = [event for window in before for event in running.conclude(window)]
    restarted = follower(NEW)
    restarted.restore(running.states())
    running.use(NEW)
    later = [event for window in after for event in running.conclude(window)]
    assert later == [event for window in after for event in restarted.conclude(window)]
    _assert_whole([*events, *later])


def _assert_whole(events: list[PresenceEvent]) -> None:
    """No presence is begun twice, or ended without a beginning."""
    assert len({event.id for event in events}) == len(events)
    open_since = None
    for event in events:
        assert (event.kind == "started") == (open_since is None)
        open_since = None if event.kind == "ended" else event.onset_sample
        assert open_since in (None, event.onset_sample)


def test_a_presence_begun_under_the_old_rules_ends_under_the_new_ones() -> None:
    running = follower()
    told = [event for window in windows(5) for event in running.conclude(window)]
    assert [event.kind for event in told] == ["started"]
    running.use(NEW)
    told += [event for window in windows(8)[5:] for event in running.conclude(window)]
    assert [event.kind for event in told] == ["started", "ended"]
    assert told[0].onset_sample == told[1].onset_sample


def test_rules_for_a_species_the_model_does_not_know_leave_the_old_ones(tmp_path: Path) -> None:
    running = follower()
    trackers = running.trackers
    with pytest.raises(ConfigError):
        running.use(PresenceSection(species={"orca": PresenceRule()}))
    assert running.trackers is trackers
