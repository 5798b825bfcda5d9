from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from known_audio import EPOCH, presence
from seacanary.events import EventKind
from seacanary.evidence.clips import ClipLayout, ClipSpan, Held, Stream, lay_out, span_of, subtract

RATE_HZ = 100
STREAM = Stream("h1", EPOCH, RATE_HZ)


def wanted(onset: int, offset: int, *, kind: EventKind = "started", longest_s: float = 60.0) -> ClipSpan:
    event = presence(STREAM, onset, offset, kind=kind)
    return span_of(event, pre_roll_s=2, post_roll_s=1, longest_s=longest_s)


def held(first: int, end: int, *, stream: Stream = STREAM, late_s: float = 0.0) -> Held:
    return Held(stream, first, end, stream.epoch + timedelta(seconds=first / stream.sample_rate_hz + late_s))


def next_epoch(after_s: float) -> Stream:
    return replace(STREAM, epoch=EPOCH + timedelta(seconds=after_s))


def sources(layout: ClipLayout) -> list[tuple[Stream, int, int, int]]:
    return [(p.stream, p.first_sample, p.end_sample, p.at) for p in layout.pieces]


def test_a_clip_is_the_event_with_its_rolls() -> None:
    span = wanted(1000, 1500)
    assert (span.part, span.wanted, span.whole) == ((1000, 1500), (800, 1600), True)


def test_of_a_long_presence_started_has_the_head_and_ended_the_end() -> None:
    head, tail = wanted(1000, 9000, longest_s=10), wanted(1000, 9000, kind="ended", longest_s=10)
    assert (head.part, head.whole) == ((1000, 2000), False)
    assert (tail.part, tail.wanted, tail.whole) == ((8000, 9000), (7800, 9100), False)
    assert tail.utc(9000) == EPOCH + timedelta(seconds=90)


def test_an_event_without_length_still_has_a_sample() -> None:
    assert wanted(1000, 1000).part == (1000, 1001)


def test_what_is_there_makes_a_complete_clip() -> None:
    layout = lay_out(wanted(1000, 1500), [held(1200, 5000), held(0, 1200)])
    assert (layout.clip, layout.missing, layout.outcome) == ((800, 1600), (), "complete")
    assert sources(layout) == [(STREAM, 800, 1200, 800), (STREAM, 1200, 1600, 1200)]


def test_a_gap_in_the_event_is_listed_and_makes_it_partial() -> None:
    layout = lay_out(wanted(1000, 1500), [held(0, 1100), held(1250, 5000)])
    assert (layout.clip, layout.missing, layout.outcome) == ((800, 1600), ((1100, 1250),), "partial")


def test_a_gap_in_the_roll_alone_leaves_it_complete() -> None:
    layout = lay_out(wanted(1000, 1500), [held(0, 850), held(900, 5000)])
    assert (layout.clip, layout.missing, layout.outcome) == ((800, 1600), ((850, 900),), "complete")


def test_roll_that_nobody_has_at_the_edges_is_left_out() -> None:
    layout = lay_out(wanted(100, 600), [held(0, 620)])
    assert (layout.clip, layout.missing, layout.outcome) == ((0, 620), (), "complete")


def test_an_event_whose_samples_are_all_gone_is_missed_whatever_roll_is_left() -> None:
    assert lay_out(wanted(1000, 1500), [held(0, 1000), held(1500, 2000)]).outcome == "missed"
    assert lay_out(wanted(1000, 1500), []).outcome == "missed"


def test_a_stream_that_went_on_in_another_epoch_lies_where_its_time_puts_it() -> None:
    later = next_epoch(14.0)  # its sample 0 is at index 1400
    layout = lay_out(wanted(1000, 1500), [held(0, 300, stream=later), held(0, 1350)])
    assert sources(layout) == [(STREAM, 800, 1350, 800), (later, 0, 200, 1400)]
    assert (layout.missing, layout.outcome) == (((1350, 1400),), "partial")


def test_an_epoch_that_overlaps_the_events_own_only_fills_what_that_lacks() -> None:
    later = next_epoch(14.0)
    layout = lay_out(wanted(1000, 1500), [held(0, 300, stream=later), held(0, 1450)])
    assert sources(layout) == [(STREAM, 800, 1450, 800), (later, 50, 200, 1450)]
    assert layout.outcome == "complete"


def test_audio_of_another_rate_or_without_a_time_is_not_mixed_in() -> None:
    faster = replace(next_epoch(12.0), sample_rate_hz=2 * RATE_HZ)
    undated = Held(next_epoch(12.0), 0, 900, None)
    layout = lay_out(wanted(1000, 1500), [held(0, 1200), held(0, 900, stream=faster), undated])
    assert (layout.missing, layout.clip) == (((1200, 1500),), (800, 1500))


def test_the_end_of_a_long_presence_is_placed_by_the_time_of_its_offset() -> None:
    drifted = presence(STREAM, 0, 360_000, kind="ended")  # an hour, in which the clock lost half a second
    event = drifted.model_copy(update={"offset": EPOCH + timedelta(seconds=3600.5)})
    later = next_epoch(3600.0)
    span = span_of(event, pre_roll_s=0, post_roll_s=0, longest_s=1)
    assert sources(lay_out(span, [held(0, 1000, stream=later)])) == [(later, 0, 50, 359_950)]


@given(
    onset=st.integers(0, 500),
    length=st.integers(1, 300),
    stretches=st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 200), st.booleans()), max_size=12),
)
def test_every_sample_of_a_clip_comes_from_one_place_or_is_listed_as_missing(
    onset: int, length: int, stretches: list[tuple[int, int, bool]]
) -> None:
    other = next_epoch(3.0)
    there = [held(first, first + size, stream=other if away else STREAM) for first, size, away in stretches]
    layout = lay_out(wanted(onset, onset + length), there)
    covered = [(p.at, p.end_at) for p in layout.pieces] + list(layout.missing)
    assert sum(end - first for first, end in covered) == layout.clip[1] - layout.clip[0]
    assert subtract([layout.clip], covered) == []
    assert layout.clip[0] <= onset
    assert layout.clip[1] >= onset + length
    own = {i for first, size, away in stretches if not away for i in range(first, first + size)}
    assert all(not own & set(range(*gap)) for gap in layout.missing)
