"""Hours are what a count sample by sample says, wherever the book was stored and however often items came."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import tiny_contract
from seacanary.cluster.fleet_counting import HOURS_LOST_AT_MOST, BookState, HourBook
from seacanary.cluster.fleet_hours import Effort, HourPart, HydrophoneHour, PartRefused, added_up
from seacanary.events import PresenceEvent
from seacanary.following import Follower
from seacanary.guard import GuardSection
from seacanary.observations import Detection, Unobserved, UnobservedReason
from seacanary.presence_rules import PresenceRule, PresenceSection

RATE_HZ, WINDOW, HOP = 2, 4, 2  # windows of 2 s, every second; a sample is exactly 500 ms
SAMPLE_US = 500_000
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EPOCH = NOON - timedelta(minutes=2)
CALL_TYPES = {"beluga": frozenset({"whistle"}), "porpoise": frozenset({"porpoise_click"})}
Item = Detection | Unobserved


def window(first: int, probability: float, *, epoch: datetime = EPOCH, deaf: bool = False) -> Detection:
    said = {"whistle": probability} if deaf else {"whistle": probability, "porpoise_click": probability / 2}
    return Detection(
        hydrophone="h1",
        epoch=epoch,
        first_sample=first,
        end_sample=first + WINDOW,
        sample_rate_hz=RATE_HZ,
        start=epoch + timedelta(seconds=first / RATE_HZ),
        probability=said,
        unobserved=frozenset({"porpoise_click"} if deaf else ()),
        spans=(),
        mask=None,
        model_id="tiny-1",
        source_file=None,
    )


def lost(first: int, end: int, reason: UnobservedReason = "lost", *, epoch: datetime = EPOCH) -> Unobserved:
    start = epoch + timedelta(seconds=first / RATE_HZ)
    return Unobserved("h1", epoch, first, end, RATE_HZ, start, reason)


@dataclass
class Counted:
    """A hydrophone's trackers and its book, with all that was written of its hours."""

    follower: Follower = field(
        default_factory=lambda: Follower(
            "h1",
            station="pier",
            contract=tiny_contract(),
            presence=PresenceSection(rule=PresenceRule(hold_s=6.0, update_s=60.0)),
            guard=GuardSection(),
        )
    )
    book: HourBook = field(default_factory=lambda: HourBook("pier", "h1", call_types=CALL_TYPES))
    events: list[PresenceEvent] = field(default_factory=list)
    parts: dict[str, HourPart] = field(default_factory=dict)

    def enter(self, item: Item) -> None:
        before = self.presences()
        events = self.follower.conclude(item)
        self.events.extend(events)
        self.keep(self.book.enter(item, before=before, after=self.presences(), events=events))

    def presences(self) -> dict[str, object]:
        return {tracker.species: tracker.snapshot().presence for tracker in self.follower.trackers}

    def keep(self, parts: Sequence[HourPart]) -> None:
        for part in map(HourPart.decoded, map(HourPart.encoded, parts)):
            known = self.parts.get(part.key)
            assert known is None or known.changes <= part.changes
            self.parts[part.key] = part

    def move(self) -> None:
        """To another worker, which knows what was stored."""
        state = BookState.model_validate_json(self.book.state().model_dump_json())
        self.book = HourBook.restored("pier", "h1", call_types=CALL_TYPES, state=state)

    def hours(self) -> dict[datetime, HydrophoneHour]:
        self.keep(self.book.end())
        of_hour = defaultdict(list)
        for part in self.parts.values():
            of_hour[part.hour].append(part)
        return {hour: added_up(parts) for hour, parts in of_hour.items()}


def hour_of(when: datetime) -> datetime:
    return when.replace(minute=0, second=0, microsecond=0)


def effort_by_hand(items: Sequence[Item]) -> dict[datetime, Effort]:
    """Sample by sample: which windows hold it, and what became of them."""
    fates: dict[tuple[datetime, int], set[bool]] = defaultdict(set)
    for epoch in {item.epoch for item in items}:
        own = [item for item in items if item.epoch == epoch]
        for sample in range(own[0].first_sample, max(item.end_sample for item in own)):
            fates[epoch, sample] = set()
        for item in own:
            for sample in range(item.first_sample, item.end_sample):
                fates[epoch, sample].add(isinstance(item, Detection))
    counts: dict[datetime, Counter[str]] = defaultdict(Counter)
    for (epoch, sample), analysed in fates.items():
        kind = "degraded" if len(analysed) == 2 else "listened" if analysed == {True} else "lost"
        counts[hour_of(epoch + timedelta(seconds=sample / RATE_HZ))][f"{kind}_us"] += SAMPLE_US
    return {hour: Effort(**count) for hour, count in counts.items()}


@st.composite
def streams(draw: st.DrawFn) -> list[Item]:
    """Windows judged, skipped and failed; gaps of seconds or hours; epochs."""
    items: list[Item] = []
    epoch, first = EPOCH, draw(st.integers(0, 100))
    for _ in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(1, 20))):
            fate = draw(st.sampled_from(["quiet", "loud", "loud", "judged", "skipped", "inference_failed"]))
            if fate in ("skipped", "inference_failed"):
                items.append(lost(first, first + WINDOW, fate, epoch=epoch))
            else:
                probability = {"quiet": 0.0, "loud": 0.9}.get(fate, draw(st.floats(0, 1)))
                items.append(window(first, probability, epoch=epoch))
            first += HOP
        first += WINDOW - HOP
        match draw(st.sampled_from(["gap", "silent gap", "epoch"])):
            case "gap":
                gap = draw(st.sampled_from([1, 20, 200, 9_000]))
                items.append(lost(first, first + gap, epoch=epoch))
                first += gap
            case "silent gap":  # nobody says that it is one
                first += draw(st.sampled_from([1, 150]))
            case "epoch":
                epoch, first = epoch + timedelta(seconds=first / RATE_HZ + draw(st.integers(0, 4000))), 0
    return items


@settings(deadline=None, max_examples=40)
@given(items=streams())
def test_every_sample_is_listened_degraded_or_lost_in_its_hour(items: list[Item]) -> None:
    counted = Counted()
    for item in items:
        counted.enter(item)
    assert {hour: found.effort for hour, found in counted.hours().items()} == effort_by_hand(items)


@settings(deadline=None, max_examples=40)
@given(items=streams())
def test_presence_is_what_the_events_say_cut_at_full_hours(items: list[Item]) -> None:
    counted = Counted()
    for item in items:
        counted.enter(item)
    counted.events.extend(counted.follower.close("stream_ended"))
    assert_presence(counted)


@settings(deadline=None, max_examples=30)
@given(items=streams(), seed=st.integers(0, 2**32))
def test_repeats_and_moves_to_other_workers_change_nothing(items: list[Item], seed: int) -> None:
    once, moved, random = Counted(), Counted(), Random(seed)
    for item in items:
        once.enter(item)
    for place, item in enumerate(items):
        if random.random() < 0.1:
            for again in items[random.randint(max(0, place - 30), place) : place]:
                moved.enter(again)
        if random.random() < 0.3:
            moved.move()
        moved.enter(item)
    assert moved.hours() == once.hours()
    assert moved.book.state() == once.book.state()


def assert_presence(counted: Counted) -> None:
    hours = counted.hours()
    for species in CALL_TYPES:
        events = [event for event in counted.events if event.species == species]
        present_us, minutes, encounters = Counter[datetime](), set(), Counter[datetime]()
        for event in events:
            if event.kind == "started":
                encounters[hour_of(event.onset)] += 1
            if event.kind == "ended":
                assert event.offset is not None
                minutes |= {floored(event.onset), floored(event.offset - timedelta(microseconds=1))}
                for hour, length_us in cut(event.onset, event.offset):
                    present_us[hour] += length_us
        found = {hour: known.species[species] for hour, known in hours.items()}
        assert {hour: said.present_us for hour, said in found.items() if said.present_us} == +present_us
        assert {hour: said.encounters for hour, said in found.items() if said.encounters} == +encounters
        positive = {hour + timedelta(minutes=m) for hour, said in found.items() for m in said.positive_minutes}
        assert minutes <= positive
        assert all(said.present_us <= 3_600_000_000 for said in found.values())


def floored(when: datetime) -> datetime:
    return when.replace(second=0, microsecond=0)


def cut(onset: datetime, offset: datetime) -> list[tuple[datetime, int]]:
    pieces = []
    while onset < offset:
        end = min(offset, hour_of(onset) + timedelta(hours=1))
        pieces.append((hour_of(onset), (end - onset) // timedelta(microseconds=1)))
        onset = end
    return pieces


def test_minutes_are_positive_in_which_a_call_ended_and_not_those_between() -> None:
    """Calls at 10 s and at 200 s of one presence; windows in between say nothing for certain."""
    counted = Counted(
        follower=Follower(
            "h1",
            station="pier",
            contract=tiny_contract(),
            presence=PresenceSection(rule=PresenceRule(hold_s=600.0, update_s=900.0)),
            guard=GuardSection(),
        )
    )
    for place in range(300):
        counted.enter(window(place * HOP, 0.9 if place in (*range(10, 14), *range(200, 204)) else 0.0))
    [hour, noon] = [counted.hours()[at].species["beluga"] for at in (NOON - timedelta(hours=1), NOON)]
    assert (hour.positive_minutes, noon.positive_minutes) == ((58,), (1,))
    assert (hour.encounters, noon.encounters) == (1, 0)
    assert (hour.present_us + noon.present_us) == (203 - 10 + 2) * 1_000_000


def test_an_hour_at_a_rate_that_carries_no_call_is_unobservable_for_that_species_alone() -> None:
    counted = Counted()
    counted.enter(lost(0, WINDOW, "skipped"))
    for place in range(1, 20):
        counted.enter(window(place * HOP, 0.2, deaf=True))
    [hour] = counted.hours().values()
    analysed_us = hour.effort.listened_us + hour.effort.degraded_us
    assert hour.species["porpoise"].unobservable_us == analysed_us == 20 * HOP * SAMPLE_US
    assert hour.species["porpoise"].peak_probability is None
    assert hour.species["beluga"].unobservable_us == 0
    assert hour.species["beluga"].peak_probability == 0.2


def test_every_second_image_skipped_is_degraded_and_three_of_four_are_half_lost() -> None:
    for keep, lost_share in ((2, 0.0), (4, 0.5)):
        counted = Counted()
        for place in range(64):
            judged = place % keep == 0
            counted.enter(window(place * HOP, 0.1) if judged else lost(place * HOP, place * HOP + WINDOW, "skipped"))
        effort = counted.hours()[NOON - timedelta(hours=1)].effort
        all_us = 65 * HOP * SAMPLE_US
        # The first hop has no window before it, the last none behind it.
        assert effort.listened_us == HOP * SAMPLE_US
        assert effort.listened_us + effort.degraded_us + effort.lost_us == all_us
        assert effort.lost_us == pytest.approx(lost_share * all_us, abs=2 * HOP * SAMPLE_US)


def test_parts_are_written_once_a_minute_of_audio_and_with_events() -> None:
    counted = Counted()
    written = []
    for place in range(200):
        before = counted.presences()
        item = window(place * HOP, 0.0)
        events = counted.follower.conclude(item)
        written.append(counted.book.enter(item, before=before, after=counted.presences(), events=events))
    assert sum(map(bool, written)) == 1 + 200 // 60


def test_a_stretch_of_years_is_told_of_in_its_last_hours_only() -> None:
    counted = Counted()
    counted.enter(lost(0, 10 * 365 * 24 * 3600 * RATE_HZ))
    assert len(counted.hours()) == HOURS_LOST_AT_MOST


def test_parts_of_an_hour_add_up() -> None:
    counted = Counted()
    for epoch in (EPOCH, EPOCH + timedelta(hours=5), EPOCH + timedelta(hours=10), EPOCH + timedelta(hours=15)):
        counted.enter(window(0, 0.3, epoch=epoch))
    counted.enter(window(0, 0.4, epoch=EPOCH + timedelta(seconds=9)))  # a clock that went back, long after
    hour = counted.hours()[NOON - timedelta(hours=1)]
    assert len(counted.parts) == 5
    assert hour.effort.listened_us == 2 * WINDOW * SAMPLE_US
    assert hour.species["beluga"].peak_probability == 0.4


@pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff"])
def test_what_is_no_part_is_refused(value: bytes | None) -> None:
    with pytest.raises(PartRefused, match="no part of an hour"):
        HourPart.decoded(value)


def test_a_species_that_the_model_before_did_not_know_has_not_been_listened_for_until_then() -> None:
    counted = Counted()
    for first in range(0, 40, HOP):
        counted.enter(window(first, 0.9))
    before_us = sum(part.effort.listened_us for part in counted.book.state().parts)
    wider = {**CALL_TYPES, "orca": frozenset({"orca_call"})}
    book = HourBook.restored("pier", "h1", call_types=wider, state=counted.book.state())
    known = window(40, 0.9)
    heard = replace(known, probability={**known.probability, "orca_call": 0.25})
    book.enter(heard, before={}, after={}, events=[])
    (part,) = book.end()
    assert part.species["orca"].peak_probability == 0.25
    assert part.species["orca"].unobservable_us == before_us < part.effort.listened_us
