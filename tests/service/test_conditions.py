"""Conditions: told when they begin and when they end, once each, over restarts."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import EPOCH
from seacanary.conditions import ConditionLog
from seacanary.errors import JournalError
from seacanary.events import ConditionEvent, Event
from seacanary.metrics import Metrics


class Told:
    def __init__(self) -> None:
        self.events: list[ConditionEvent] = []
        self.metrics = Metrics()

    async def __call__(self, events: Sequence[Event]) -> None:
        self.events += [event for event in events if isinstance(event, ConditionEvent)]

    def log(self) -> ConditionLog:
        return ConditionLog("station", metrics=self.metrics, tell=self)

    def shown(self, condition: str, hydrophone: str) -> float | None:
        labels = {"condition": condition, "hydrophone": hydrophone}
        return self.metrics.registry.get_sample_value("seacanary_condition_state", labels)


async def test_a_beginning_and_an_end_are_told_once_each() -> None:
    told = Told()
    log = told.log()
    for second in range(6):
        at = EPOCH + timedelta(seconds=second)
        await log.note("clipping", "north", holds=1 <= second < 4, at=at, detail="too loud")
        assert told.shown("clipping", "north") == (1 <= second < 4)
    assert [(e.change, e.since, e.at) for e in told.events] == [
        ("begun", EPOCH + timedelta(seconds=1), EPOCH + timedelta(seconds=1)),
        ("ended", EPOCH + timedelta(seconds=1), EPOCH + timedelta(seconds=4)),
    ]
    assert {(e.station, e.hydrophone, e.condition, e.detail) for e in told.events} == {
        ("station", "north", "clipping", "too loud")
    }


async def test_the_same_facts_have_the_same_ids_and_others_have_others() -> None:
    first, again = Told(), Told()
    for told in (first, again):
        log = told.log()
        for hydrophone in ("north", None):
            for condition in ("clipping", "hum"):
                for holds in (True, False):
                    await log.note(condition, hydrophone, holds=holds, at=EPOCH)
    assert [e.id for e in first.events] == [e.id for e in again.events]
    assert len({e.id for e in first.events}) == 8


async def test_the_whole_station_is_the_empty_hydrophone_of_the_metric() -> None:
    told = Told()
    log = told.log()
    await log.note("evidence_stopped", holds=True, at=EPOCH)
    assert told.shown("evidence_stopped", "") == 1
    assert told.events[0].hydrophone is None
    assert log.holds("evidence_stopped")
    assert not log.holds("evidence_stopped", "north")


@settings(deadline=None)
@given(facts=st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=30), cut=st.integers(0, 30))
async def test_a_restart_anywhere_repeats_nothing_and_forgets_nothing(facts: list[tuple[str, bool]], cut: int) -> None:
    whole, parts = Told(), Told()
    one, first = whole.log(), parts.log()
    for number, (condition, holds) in enumerate(facts):
        await one.note(condition, "north", holds=holds, at=EPOCH + timedelta(seconds=number))
    for number, (condition, holds) in enumerate(facts[:cut]):
        await first.note(condition, "north", holds=holds, at=EPOCH + timedelta(seconds=number))
    second = parts.log()
    second.restore(first.states())
    for number, (condition, holds) in list(enumerate(facts))[cut:]:
        await second.note(condition, "north", holds=holds, at=EPOCH + timedelta(seconds=number))
    assert parts.events == whole.events


async def test_what_an_earlier_process_left_open_is_shown_at_once() -> None:
    before, after = Told(), Told()
    log = before.log()
    await log.note("silent", "north", holds=True, at=EPOCH)
    after.log().restore(log.states())
    assert after.shown("silent", "north") == 1
    assert after.events == []


async def test_what_could_not_be_told_is_still_news() -> None:
    told = Told()
    broken = True

    async def tell(events: Sequence[Event]) -> None:
        if broken:
            raise JournalError("the disk is full")
        await told(events)

    log = ConditionLog("station", metrics=told.metrics, tell=tell)
    for holds in (True, False):
        for broken in (True, False):
            with suppress(JournalError):
                await log.note("hum", "north", holds=holds, at=EPOCH)
            assert log.holds("hum", "north") == (holds != broken)
    assert [event.change for event in told.events] == ["begun", "ended"]


async def test_what_is_noted_while_another_is_told_is_not_stored_before_its_own_event() -> None:
    stored: list[tuple[str, bool]] = []

    async def tell(events: Sequence[Event]) -> None:
        await asyncio.sleep(0)
        (event,) = [event for event in events if isinstance(event, ConditionEvent)]
        stored.append((event.condition, "hum" in log.states()["@station/conditions"]))

    log = ConditionLog("station", metrics=Metrics(), tell=tell)
    names = ("clipping", "hum", "hum")
    await asyncio.gather(*(log.note(name, "north", holds=True, at=EPOCH) for name in names))
    assert stored == [("clipping", False), ("hum", True)]


async def test_conditions_of_a_hydrophone_that_was_taken_out_end() -> None:
    told = Told()
    before = told.log()
    for hydrophone in ("north", "south", None):
        await before.note("clipping", hydrophone, holds=True, at=EPOCH)
    log = told.log()
    log.restore(before.states())
    at = EPOCH + timedelta(hours=1)
    await log.end_elsewhere(lambda hydrophone: hydrophone == "north", at=at)
    assert [(e.hydrophone, e.change, e.at) for e in told.events[3:]] == [("south", "ended", at)]
    assert (told.shown("clipping", "south"), told.shown("clipping", "north")) == (0, 1)
    assert log.holds("clipping")
