"""Rules that change while they are at work: their accounts are carried over by name."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from alert_samples import at, presence, rule
from seacanary.alerts.engine import CURSOR, Alerting, AlertReport, count_alerts
from seacanary.alerts.rules import AlertRule, AlertsSection
from seacanary.events import AlertEvent, Event
from seacanary.journal import Journal
from seacanary.metrics import Metrics

HOLD_S = 30.0


class Post:
    """Rules at work on a journal, on a clock that is set by hand."""

    def __init__(self, journal: Journal, engine: Alerting) -> None:
        self.journal, self._engine = journal, engine

    async def told(self, *events: Event) -> None:
        entries = await self.journal.append(events)
        await self.journal.wait_delivered(CURSOR, entries[-1].sequence)

    async def change(self, *rules: AlertRule) -> None:
        await self._engine.change(AlertsSection(rules=rules), hold_s=HOLD_S)

    async def said(self) -> list[tuple[str, str]]:
        events = [entry.event async for entry in self.journal.entries()]
        return [(event.rule, event.notice) for event in events if isinstance(event, AlertEvent)]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@asynccontextmanager
async def at_work(folder: Path, rules: Sequence[AlertRule], metrics: Metrics | None = None) -> AsyncIterator[Post]:
    counted = metrics or Metrics()

    def count(report: AlertReport) -> None:
        count_alerts(counted, report)

    async with await Journal.open(folder / "journal.db", now=at(0).timestamp) as journal:
        section = AlertsSection(rules=tuple(rules))
        engine = Alerting(journal, section, station="s", hold_s=HOLD_S, on_step=count, now_s=at(0).timestamp)
        running = asyncio.create_task(engine.run())
        try:
            async with asyncio.timeout(20):
                yield Post(journal, engine)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def test_a_rule_that_keeps_its_name_keeps_its_account(tmp_path: Path) -> None:
    async with at_work(tmp_path, [rule()]) as post:
        await post.told(presence("started", 0))
        await post.change(rule(cooldown_s=5, species=["orca"]))
        await post.told(presence("ended", 1, onset_s=0))
        assert await post.said() == [("beluga-watch", "heard"), ("beluga-watch", "gone")]


async def test_a_change_repeats_no_alert_and_begins_no_cooldown_anew(tmp_path: Path) -> None:
    async with at_work(tmp_path, [rule()]) as post:
        await post.told(presence("started", 0), presence("ended", 1, onset_s=0))
        for number in range(5):
            await post.change(rule(still_here_s=100 + number))
            await post.told(presence("started", 2 + number), presence("ended", 3 + number, onset_s=2 + number))
        assert await post.said() == [("beluga-watch", "heard"), ("beluga-watch", "gone")]


async def test_a_new_rule_learns_of_what_goes_on_from_its_next_event(tmp_path: Path) -> None:
    async with at_work(tmp_path, [rule(name="old")]) as post:
        await post.told(presence("started", 0))
        await post.change(rule(name="old"), rule(name="new"))
        assert await post.said() == [("old", "heard")]
        await post.told(presence("updated", 1, onset_s=0))
        assert await post.said() == [("old", "heard"), ("new", "heard")]


async def test_of_a_rule_that_is_gone_the_state_goes_and_its_metric_closes(tmp_path: Path, metrics: Metrics) -> None:
    async with at_work(tmp_path, [rule(name="old"), rule(name="kept")], metrics) as post:
        await post.told(presence("started", 0))
        await post.change(rule(name="kept"))
        states = await post.journal.states()
    assert states["@alerts/old"] == ""
    assert states["@alerts/kept"]
    assert [
        metrics.registry.get_sample_value("seacanary_alert_open_state", {"rule": name, "species": "beluga"})
        for name in ("old", "kept")
    ] == [0, 1]


async def test_what_was_held_back_is_counted_once_over_changes(tmp_path: Path, metrics: Metrics) -> None:
    async with at_work(tmp_path, [rule()], metrics) as post:
        await post.told(presence("started", 0), presence("ended", 1, onset_s=0))
        await post.told(presence("started", 2), presence("ended", 3, onset_s=2))
        for rules in ([rule(), rule(name="other")], [rule(still_here_s=100)], [rule()]):
            await post.change(*rules)
        await post.told(presence("started", 4), presence("ended", 5, onset_s=4))
    labels = {"rule": "beluga-watch", "cause": "cooldown"}
    assert metrics.registry.get_sample_value("seacanary_alerts_held_back_total", labels) == 2


async def test_without_rules_the_journal_waits_for_the_first_one(tmp_path: Path) -> None:
    async with at_work(tmp_path, [rule()]) as post:
        await post.told(presence("started", 0))
        await post.change()
        await post.journal.append([presence("ended", 1, onset_s=0)])
        await asyncio.sleep(0.1)
        assert await post.journal.cursor(CURSOR) < post.journal.head
        await post.change(rule())
        await post.journal.wait_delivered(CURSOR, post.journal.head)
        assert await post.said() == [("beluga-watch", "heard"), ("beluga-watch", "gone")]


async def test_what_nobody_was_told_of_is_dropped_when_it_is_not_the_rules_business_any_more(tmp_path: Path) -> None:
    async with at_work(tmp_path, [rule(minimum_duration_s=60)]) as post:
        await post.told(presence("started", 0))
        await post.change(rule(species=["orca"]))
        await post.told(presence("updated", 120, onset_s=0))
        await post.change(rule())
        await post.told(presence("ended", 121, onset_s=0))
        assert await post.said() == []
