"""Which samples an event's clip holds, and where they come from: pure arithmetic on positions.

A clip is a stretch of the event's own time line: sample indices of the event's epoch at its own
rate. What that epoch still has lies at its index. Where the stream went on in another epoch while
the presence was open, that epoch's samples lie where their UTC puts them. What nobody has is
missing: zeros in place, so that time in the clip stays true, and listed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from seacanary.presence_event import PresenceEvent

ClipOutcome = Literal["complete", "partial", "missed"]
Range: TypeAlias = tuple[int, int]  # [first, end)


@dataclass(frozen=True, slots=True)
class Stream:
    """What sample indices count in: one epoch of one hydrophone at one rate."""

    hydrophone: str
    epoch: datetime
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Held:
    """Consecutive samples that are there to be read.

    Attributes:
        stream: where the indices count.
        first_sample: index of the first; they are [first_sample, end_sample).
        start: UTC of the first; None for an undated recording, whose samples have an index but no time.
    """

    stream: Stream
    first_sample: int
    end_sample: int
    start: datetime | None

    @property
    def length(self) -> timedelta:
        """Of them all, at the stream's nominal rate."""
        return timedelta(seconds=(self.end_sample - self.first_sample) / self.stream.sample_rate_hz)


@dataclass(frozen=True, slots=True)
class ClipSpan:
    """What a clip should hold, in indices of the event's epoch.

    Attributes:
        stream: the event's own.
        part: samples of the event itself, of [onset, offset).
        wanted: `part` with pre-roll and post-roll.
        whole: whether `part` is all of the event so far.
        anchor_sample: an index whose time is sure; `anchor` is its UTC.
    """

    stream: Stream
    part: Range
    wanted: Range
    whole: bool
    anchor_sample: int
    anchor: datetime

    def utc(self, sample: int) -> datetime:
        """UTC of an index near the clip."""
        return self.anchor + timedelta(seconds=(sample - self.anchor_sample) / self.stream.sample_rate_hz)

    def sample_at(self, utc: datetime) -> int:
        """Index at an instant near the clip."""
        return self.anchor_sample + round((utc - self.anchor).total_seconds() * self.stream.sample_rate_hz)


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples [first_sample, end_sample) of a stream, laid at index `at` of the event's time line."""

    stream: Stream
    first_sample: int
    end_sample: int
    at: int

    @property
    def end_at(self) -> int:
        """Index after the last, on the event's time line."""
        return self.at + self.end_sample - self.first_sample


@dataclass(frozen=True, slots=True)
class ClipLayout:
    """A clip as it can be made; ranges are in indices of the event's epoch.

    Attributes:
        span: what it should hold.
        clip: what it does hold, zeros included: `wanted` without the roll that nobody has at its edges.
        pieces: where the samples come from, in order; they never overlap.
        missing: what is zeros, in order.
        outcome: complete if no sample of the part is missing, missed if all are.
    """

    span: ClipSpan
    clip: Range
    pieces: tuple[Piece, ...]
    missing: tuple[Range, ...]
    outcome: ClipOutcome


@dataclass(frozen=True, slots=True)
class ClipAudio:
    """A clip that lies on disk, for what is made of it.

    Attributes:
        path: the FLAC file.
        sample_rate_hz: the hydrophone's own; the file's header may say less, see ClipFacts.
        start: UTC of the clip's first sample.
        first_sample: index of the clip's first sample in the event's epoch.
        part: samples of the event, in the same indices.
        missing: zeros that stand for samples nobody has, in the same indices.
    """

    path: Path
    sample_rate_hz: int
    start: datetime
    first_sample: int
    part: Range
    missing: tuple[Range, ...]


def span_of(event: PresenceEvent, *, pre_roll_s: float, post_roll_s: float, longest_s: float) -> ClipSpan:
    """What the clip of an event should hold.

    A presence longer than `longest_s` is held in part: `started` has its head, `updated` and
    `ended` its last stretch up to the offset so far.
    """
    rate_hz = event.sample_rate_hz
    onset, offset = event.onset_sample, event.offset_sample
    end = onset + 1 if offset is None else max(offset, onset + 1)
    longest = max(1, round(longest_s * rate_hz))
    tail = event.kind != "started" and end - onset > longest
    part = (end - longest, end) if tail else (onset, min(end, onset + longest))
    # A stream's true rate is not quite its nominal one: count from the nearer end of the presence.
    by_offset = tail and offset is not None and event.offset is not None
    return ClipSpan(
        stream=Stream(event.hydrophone, event.epoch, rate_hz),
        part=part,
        wanted=(part[0] - round(pre_roll_s * rate_hz), part[1] + round(post_roll_s * rate_hz)),
        whole=part == (onset, end),
        anchor_sample=offset if by_offset and offset is not None else onset,
        anchor=event.offset if by_offset and event.offset is not None else event.onset,
    )


def span_between(held: Iterable[Held], *, start: datetime, end: datetime) -> ClipSpan | None:
    """Samples [start, end) of a hydrophone, whatever event they belong to, if any.

    Args:
        held: what there is of the hydrophone, in any order.
        start: UTC.
        end: UTC, later than start.

    Returns:
        A span in indices of the first stream that has samples of it; None if no stream has.
    """
    dated = [(stretch.start, stretch) for stretch in held if stretch.start is not None]
    within = [(begins, stretch) for begins, stretch in dated if begins < end and begins + stretch.length > start]
    if not within:
        return None
    anchor, first = min(within, key=lambda pair: pair[0])
    placed = ClipSpan(first.stream, (0, 1), (0, 1), whole=True, anchor_sample=first.first_sample, anchor=anchor)
    part = (placed.sample_at(start), max(placed.sample_at(end), placed.sample_at(start) + 1))
    return replace(placed, part=part, wanted=part)


def lay_out(span: ClipSpan, held: Iterable[Held]) -> ClipLayout:
    """Find the clip's samples among what is held.

    Args:
        span: what it should hold.
        held: what there is of the hydrophone, in any order.
    """
    free, pieces = [span.wanted], list[Piece]()
    for candidate in _candidates(span, held):
        taken = [cut for gap in free if (cut := _within(candidate, gap))]
        free = subtract(free, [(piece.at, piece.end_at) for piece in taken])
        pieces += taken
    clip = _without_empty_rolls(span, free)
    missing = tuple(overlaps(free, clip))
    lost = sum(end - first for first, end in overlaps(missing, span.part))
    length = span.part[1] - span.part[0]
    return ClipLayout(
        span=span,
        clip=clip,
        pieces=tuple(sorted(pieces, key=lambda piece: piece.at)),
        missing=missing,
        outcome="complete" if lost == 0 else "missed" if lost == length else "partial",
    )


def overlaps(ranges: Iterable[Range], within: Range) -> list[Range]:
    """What of some ranges lies within another, in their order."""
    cut = ((max(first, within[0]), min(end, within[1])) for first, end in ranges)
    return [(first, end) for first, end in cut if first < end]


def subtract(ranges: Sequence[Range], taken: Sequence[Range]) -> list[Range]:
    """What is left of ordered, disjoint ranges without others."""
    left = list(ranges)
    for hole_first, hole_end in taken:
        left = [
            part
            for first, end in left
            for part in ((first, min(end, hole_first)), (max(first, hole_end), end))
            if part[0] < part[1]
        ]
    return left


def _candidates(span: ClipSpan, held: Iterable[Held]) -> list[Piece]:
    """What could serve, the event's own epoch first, then other epochs by time.

    Samples of another rate cannot stand in one file with these: they stay missing.
    """
    own, others = list[Piece](), list[Piece]()
    for stretch in held:
        if stretch.stream.sample_rate_hz != span.stream.sample_rate_hz:
            continue
        if stretch.stream.epoch == span.stream.epoch:
            own.append(Piece(stretch.stream, stretch.first_sample, stretch.end_sample, at=stretch.first_sample))
        elif stretch.start is not None:
            at = span.sample_at(stretch.start)
            others.append(Piece(stretch.stream, stretch.first_sample, stretch.end_sample, at=at))
    return sorted(own, key=lambda piece: piece.at) + sorted(others, key=lambda piece: piece.at)


def _within(piece: Piece, gap: Range) -> Piece | None:
    first, end = max(piece.at, gap[0]), min(piece.end_at, gap[1])
    if first >= end:
        return None
    shift = piece.first_sample - piece.at
    return Piece(piece.stream, first + shift, end + shift, at=first)


def _without_empty_rolls(span: ClipSpan, missing: Sequence[Range]) -> Range:
    """The wanted range without roll at its edges that is not there; the part itself always stays."""
    first, end = span.wanted
    if missing and missing[0][0] == first:
        first = min(missing[0][1], span.part[0])
    if missing and missing[-1][1] == end:
        end = max(missing[-1][0], span.part[1])
    return first, end
