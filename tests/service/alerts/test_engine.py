"""Alerting: rules at work on a journal, across crashes, outages of its disk, and changes of the rules."""

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from alert_samples import at, notices, presence, rule
from seacanary.alerts import engine as alerting
from seacanary.alerts.engine import CURSOR, Alerting, AlertReport, count_alerts
from seacanary.alerts.rules import AlertRule, AlertsSection
from seacanary.events import AlertEvent, Event
from seacanary.journal import Journal
from seacanary.metrics import Metrics


class Clock:
    """A clock that is set by hand, seconds after noon."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return at(self.seconds).timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def journal(tmp_path: Path, clock: Clock) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "journal.db", now=clock) as opened:
        yield opened


def section(*rules: AlertRule, **fields: object) -> AlertsSection:
    return AlertsSection.model_validate({"rules": rules or (rule(),)} | fields)


@asynccontextmanager
async def alerting_on(
    journal: Journal,
    of: AlertsSection,
    clock: Callable[[], float],
    on_step: Callable[[AlertReport], None] = lambda _: None,
) -> AsyncIterator[None]:
    engine = Alerting(journal, of, station="station", hold_s=30.0, on_step=on_step, now_s=clock)
    running = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def told(journal: Journal, clock: Clock, seconds: float, *events: Event) -> None:
    """Append events at that time, and wait until the rules have seen them."""
    clock.seconds = seconds
    entries = await journal.append(events)
    await journal.wait_delivered(CURSOR, entries[-1].sequence)


async def alerts_in(journal: Journal) -> list[AlertEvent]:
    return [entry.event async for entry in journal.entries() if isinstance(entry.event, AlertEvent)]


async def test_alerts_follow_their_events_into_the_journal(journal: Journal, clock: Clock) -> None:
    reports: list[AlertReport] = []
    async with alerting_on(journal, section(), clock, reports.append):
        await told(journal, clock, 0, presence("started", 0))
        await told(journal, clock, 60, presence("ended", 60, onset_s=0))
    assert notices(await alerts_in(journal)) == ["heard", "gone"]
    heard = next(report for report in reports if report.alerts)
    assert list(heard.latency_s.values()) == [0.0]
    assert dict(heard.told_of) == {("beluga-watch", "beluga"): True}


async def test_its_own_alerts_lead_to_nothing_but_a_moved_cursor(journal: Journal, clock: Clock) -> None:
    reports: list[AlertReport] = []
    async with alerting_on(journal, section(), clock, reports.append):
        await told(journal, clock, 0, presence("started", 0))
        await journal.wait_delivered(CURSOR, 2)
        await asyncio.sleep(0.1)
    assert journal.head == 2
    assert len(reports) == 2  # beginning, and the presence


async def test_rules_go_on_where_they_stopped(journal: Journal, clock: Clock) -> None:
    async with alerting_on(journal, section(), clock):
        await told(journal, clock, 0, presence("started", 0))
    async with alerting_on(journal, section(), clock):
        await told(journal, clock, 60, presence("ended", 60, onset_s=0))
    assert notices(await alerts_in(journal)) == ["heard", "gone"]


async def test_every_rule_makes_alerts_of_its_own(journal: Journal, clock: Clock) -> None:
    both = section(rule(name="all"), rule(name="orcas", species=["orca"]))
    async with alerting_on(journal, both, clock):
        await told(journal, clock, 0, presence("started", 0), presence("started", 0, species="orca"))
    said = [(alert.rule, alert.species) for alert in await alerts_in(journal)]
    assert said == [("all", "beluga"), ("all", "orca"), ("orcas", "orca")]


async def test_time_alone_wakes_a_rule(tmp_path: Path) -> None:
    """On the real clock: a bout in the cooldown is heard at its end, with no event to say so."""
    quick = section(rule(cooldown_s=0.3))
    async with await Journal.open(tmp_path / "journal.db") as journal, alerting_on(journal, quick, time.time):
        await journal.append([presence("started", 0)])
        await journal.append([presence("ended", 1, onset_s=0), presence("started", 2)])
        while len(alerts := await alerts_in(journal)) < 3:
            await asyncio.sleep(0.02)
    assert notices(alerts) == ["heard", "gone", "heard"]
    assert 0.3 <= (alerts[2].at - alerts[1].at).total_seconds() < 2


async def test_at_the_very_first_start_old_events_are_passed_over(journal: Journal, clock: Clock) -> None:
    for start in (0, 100, 7000, 7200):
        clock.seconds = start
        await journal.append([presence("started", start), presence("ended", start, onset_s=start)])
    clock.seconds = 9000
    async with alerting_on(journal, section(rule(cooldown_s=0)), clock):
        await journal.wait_delivered(CURSOR, 8)
    heard = [alert.onset for alert in await alerts_in(journal) if alert.notice == "heard"]
    assert heard == [at(7000), at(7200)]


async def test_after_an_outage_old_news_comes_in_one_digest(journal: Journal, clock: Clock) -> None:
    async with alerting_on(journal, section(), clock):
        await asyncio.sleep(0.1)
    for start in (0, 100, 200):
        clock.seconds = start
        await journal.append([presence("started", start), presence("ended", start, onset_s=start)])
    clock.seconds = 9000
    async with alerting_on(journal, section(), clock):
        while not await alerts_in(journal):
            await asyncio.sleep(0.02)
    [digest] = await alerts_in(journal)
    assert (digest.notice, digest.held_back, digest.events_count) == ("digest", {"late": 3}, 3)
    assert digest.at == at(9000)


async def test_the_state_of_a_rule_that_is_gone_is_dropped(journal: Journal, clock: Clock) -> None:
    async with alerting_on(journal, section(rule(name="old")), clock):
        await told(journal, clock, 0, presence("started", 0))
    async with alerting_on(journal, section(rule(name="new")), clock):
        await told(journal, clock, 900, presence("updated", 900, onset_s=0))
    assert (await journal.states())["@alerts/old"] == ""
    said = [(alert.rule, alert.notice) for alert in await alerts_in(journal)]
    assert said == [("old", "heard"), ("new", "heard")]


async def test_a_state_that_cannot_be_read_begins_anew(
    journal: Journal, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await journal.append([], states={"@alerts/beluga-watch": '{"now": "never"}'})
    async with alerting_on(journal, section(), clock):
        await told(journal, clock, 0, presence("started", 0))
    assert notices(await alerts_in(journal)) == ["heard"]
    assert [r.levelname for r in caplog.records if "begins anew" in r.message] == ["ERROR"]


async def test_a_journal_that_cannot_be_written_is_tried_on(journal: Journal, clock: Clock, tmp_path: Path) -> None:
    reports: list[AlertReport] = []
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        async with alerting_on(journal, section(), clock, reports.append):
            while not reports:
                await asyncio.sleep(0.01)
            other.execute("CREATE TRIGGER full BEFORE INSERT ON states BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
            [entry] = await journal.append([presence("started", 0)])
            await asyncio.sleep(0.3)
            assert await alerts_in(journal) == []
            other.execute("DROP TRIGGER full")
            await journal.wait_delivered(CURSOR, entry.sequence)
    assert notices(await alerts_in(journal)) == ["heard"]
    assert sum(report.journal_failures for report in reports) >= 1


def days_of_traffic(seed: int) -> list[tuple[float, Event]]:
    """Presences of two species on three hydrophones, coming and going."""
    draw = random.Random(seed)
    open_since: dict[tuple[str, str], float] = {}
    events: list[tuple[float, Event]] = []
    now = 0.0
    for _ in range(400):
        now += draw.choice([1.0, 20.0, 300.0, 900.0])
        key = (draw.choice(["east", "north", "south"]), draw.choice(["beluga", "orca"]))
        kind = "started" if key not in open_since else draw.choice(["updated", "ended"])
        onset_s = open_since.setdefault(key, now)
        event = presence(kind, now, onset_s=onset_s, hydrophone=key[0], species=key[1])  # type: ignore[arg-type]
        events.append((now, event))
        if kind == "ended":
            del open_since[key]
    return events


async def journal_of(path: Path, clock: Clock, traffic: Sequence[tuple[float, Event]]) -> Journal:
    journal = await Journal.open(path, now=clock)
    for seconds, event in traffic:
        clock.seconds = seconds
        await journal.append([event])
    return journal


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_kills_at_any_point_repeat_and_lose_no_alert(
    tmp_path: Path, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting, "BATCH", 5)
    traffic, draw = days_of_traffic(seed), random.Random(seed)
    rules = section(
        rule(name="all"),
        rule(name="few", rate_limit={"messages": 2, "per_s": 3600}, cooldown_s=0),
        rule(name="nights", quiet_hours=[{"start": "20:00", "end": "06:00"}]),
        max_age_s=1e9,
    )
    calm = await journal_of(tmp_path / "calm.db", clock, traffic)
    async with calm, alerting_on(calm, rules, clock):
        await calm.wait_delivered(CURSOR, len(traffic))
        expected = [alert.id for alert in await alerts_in(calm)]
    kills = 0
    async with await journal_of(tmp_path / "killed.db", clock, traffic) as journal:
        while await journal.cursor(CURSOR) < len(traffic):
            running = asyncio.create_task(Alerting(journal, rules, station="station", hold_s=30, now_s=clock).run())
            await asyncio.sleep(draw.uniform(0.0, 0.06))
            kills += not running.done()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        got = [alert.id for alert in await alerts_in(journal)]
    assert kills > 5
    assert len(expected) > 50
    assert got == expected


async def test_draining_waits_for_the_rules_but_not_for_ever(journal: Journal, clock: Clock) -> None:
    engine = Alerting(journal, section(), station="station", hold_s=30.0, now_s=clock)
    await journal.append([presence("started", 0)])
    assert not await engine.drain(0.05)
    running = asyncio.create_task(engine.run())
    assert await engine.drain(5)
    assert notices(await alerts_in(journal)) == ["heard"]
    assert await engine.drain(5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_happened_is_on_the_metrics(journal: Journal, clock: Clock) -> None:
    metrics = Metrics()
    async with alerting_on(journal, section(), clock, lambda report: count_alerts(metrics, report)):
        await told(journal, clock, 0, presence("started", 0))
        await told(journal, clock, 60, presence("ended", 60, onset_s=0), presence("started", 61))
        await told(journal, clock, 90, presence("ended", 90, onset_s=61))

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"seacanary_{name}", {"rule": "beluga-watch"} | labels)

    assert value("alerts_total", notice="heard") == 1
    assert value("alerts_total", notice="gone") == 1
    assert value("alerts_held_back_total", cause="cooldown") == 1
    assert value("alert_open_state", species="beluga") == 0
    assert metrics.registry.get_sample_value("seacanary_event_to_alert_seconds_count") == 2


async def test_an_alert_is_one_line_in_the_log(
    journal: Journal, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "seacanary.alerts.engine"):
        async with alerting_on(journal, section(), clock):
            await told(journal, clock, 0, presence("started", 0))
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("alert beluga-watch (heard): ")]
    assert len(lines) == 1


async def test_a_clock_that_was_a_day_ahead_silences_nobody_once_it_is_right(journal: Journal, clock: Clock) -> None:
    limited = section(
        rule(
            cooldown_s=0,
            notices=["heard"],
            rate_limit={"messages": 1, "per_s": 3600},
            quiet_hours=[{"start": "23:00", "end": "05:00"}],
        )
    )
    async with alerting_on(journal, limited, clock):
        await told(journal, clock, 0, presence("started", 0))
        await told(journal, clock, 86_400 + 11.5 * 3600, presence("ended", 60, onset_s=0))
        await told(journal, clock, 4000, presence("started", 4000))
        await journal.wait_delivered(CURSOR, 4)
    assert [(alert.notice, alert.at) for alert in await alerts_in(journal)] == [("heard", at(0)), ("heard", at(4000))]
