"""HourBook: one hydrophone's hours, counted from what became of each window, in stream order.

Hours are by the audio's own time: what a station sends hours later is counted where it belongs.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from seacanary.cluster.fleet_hours import EffortKind, HourPart, SpeciesHour
from seacanary.observations import Detection, Unobserved
from seacanary.presence_event import PresenceEvent
from seacanary.presence_state import OpenPresence

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SECOND_US = 1_000_000
MICROSECOND = timedelta(microseconds=1)
ORIGIN = datetime.fromtimestamp(0, UTC)
# The hour that is running, the one before, and one for a clock that goes back over an hour's edge.
PARTS_OPEN = 3
# As many as a tracker knows again.
EPOCHS_REMEMBERED = 16
# Of a stretch that nothing came of, the latest hours are told of; the others show no record at all.
HOURS_LOST_AT_MOST = 24 * 31

Presences = Mapping[str, OpenPresence | None]


class Piece(BaseModel):
    """Samples [first_sample, end_sample) that a window to come may still hold, as counted so far."""

    model_config = ConfigDict(frozen=True)

    first_sample: int
    end_sample: int
    kind: EffortKind
    hour: AwareDatetime


class LeftEpoch(BaseModel):
    """An epoch the stream has left, and where the last of its windows began."""

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime
    last_first: int


class BookState(BaseModel):
    """All that a book knows between two items.

    Attributes:
        epoch: of the latest item.
        last_first: its first sample.
        reached: end of all items of the epoch.
        tail: what the next item may still hold, in order.
        left: epochs left behind, oldest first.
        parts: those that may still grow, in the order they were begun.
        told: minute of the audio in which parts were last handed out.
    """

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime | None = None
    last_first: int = 0
    reached: int = 0
    tail: tuple[Piece, ...] = ()
    left: tuple[LeftEpoch, ...] = ()
    parts: tuple[HourPart, ...] = ()
    told: AwareDatetime | None = None


class HourBook:
    """Counts one hydrophone. The same items give the same parts, wherever it is stored and taken up between them."""

    def __init__(self, station: str, hydrophone: str, *, call_types: Mapping[str, frozenset[str]]) -> None:
        """Begin at nothing.

        Args:
            station: its station.
            hydrophone: its name.
            call_types: those of each species.
        """
        self._station, self._hydrophone, self._call_types = station, hydrophone, call_types
        self._parts: dict[datetime, HourPart] = {}
        self._done: list[HourPart] = []
        self._restore(BookState())

    def enter(
        self,
        item: Detection | Unobserved,
        *,
        before: Presences,
        after: Presences,
        events: Sequence[PresenceEvent],
    ) -> list[HourPart]:
        """Count what became of a window, or a stretch.

        Args:
            item: the next in stream order; what was entered before is not counted again.
            before, after: open presences by species, as trackers had them before the item and have them now.
            events: what trackers said of the item.

        Returns:
            Parts to be written now: once for each minute of audio, and whenever an event says more.
        """
        is_new = self._is_new(item)
        if is_new:
            self._enter_effort(item)
            if isinstance(item, Detection):
                self._enter_peaks(item)
        for species in self._call_types:
            self._enter_presence(species, item, before.get(species), after.get(species))
        for event in events:
            if event.kind == "started" and not event.persistent_source:
                self._grow(event.onset, item, species=event.species, encounters=1)
        return self._due(_utc(item, item.end_sample), told_more=bool(events)) if is_new or events else []

    def end(self) -> list[HourPart]:
        """Nothing follows for now: the parts as they are."""
        return self._handed_out()

    def state(self) -> BookState:
        """All this book knows, as a value."""
        return BookState(
            epoch=self._epoch,
            last_first=self._last_first,
            reached=self._reached,
            tail=tuple(self._tail),
            left=self._left,
            parts=tuple(self._parts.values()),
            told=self._told,
        )

    @classmethod
    def restored(
        cls, station: str, hydrophone: str, *, call_types: Mapping[str, frozenset[str]], state: BookState
    ) -> "HourBook":
        """A book that goes on from a state."""
        book = cls(station, hydrophone, call_types=call_types)
        book._restore(state)
        return book

    def _restore(self, state: BookState) -> None:
        self._epoch, self._last_first, self._reached = state.epoch, state.last_first, state.reached
        self._tail, self._left, self._told = list(state.tail), state.left, state.told
        self._parts = {part.hour: self._with_all_species(part) for part in state.parts}

    def _with_all_species(self, part: HourPart) -> HourPart:
        """A part begun under another model: what that one did not know, nobody has listened for until now."""
        analysed_us = part.effort.listened_us + part.effort.degraded_us
        unheard = dict.fromkeys(self._call_types, SpeciesHour(unobservable_us=analysed_us))
        return part.model_copy(update={"species": {**unheard, **part.species}})

    def _is_new(self, item: Detection | Unobserved) -> bool:
        """Whether it was not entered before; moves to its epoch. Items of an epoch begin ever later."""
        if item.epoch == self._epoch:
            is_new = item.first_sample > self._last_first
        else:
            is_new = all(left.epoch != item.epoch or item.first_sample > left.last_first for left in self._left)
        if is_new:
            self._move_to(item)
        return is_new

    def _move_to(self, item: Detection | Unobserved) -> None:
        if item.epoch != self._epoch:
            if self._epoch is not None:
                left = LeftEpoch(epoch=self._epoch, last_first=self._last_first)
                self._left = (*self._left, left)[-EPOCHS_REMEMBERED:]
            self._epoch, self._reached, self._tail = item.epoch, item.first_sample, []
        self._last_first = item.first_sample

    def _enter_effort(self, item: Detection | Unobserved) -> None:
        """Of several items over a sample both count: analysed in one and not in another, it is degraded."""
        kind: EffortKind = "lost" if isinstance(item, Unobserved) else "listened"
        overlaid = [piece for old in self._tail for piece in self._overlaid(old, item, kind)]
        unsaid = self._pieces(item, self._reached, item.first_sample, "lost")
        fresh = self._pieces(item, max(self._reached, item.first_sample), item.end_sample, kind)
        for piece in (*unsaid, *fresh):
            self._count(piece, item, since=None)
        self._reached = max(self._reached, item.end_sample)
        kept = (piece for piece in (*overlaid, *fresh) if piece.end_sample > item.first_sample)
        self._tail = [piece for piece in kept if piece.hour in self._parts]

    def _overlaid(self, old: Piece, item: Detection | Unobserved, kind: EffortKind) -> Iterator[Piece]:
        """An old piece from the item's first sample on, cut where the item ends."""
        first, end = max(old.first_sample, item.first_sample), min(old.end_sample, item.end_sample)
        if first < end:
            inside = old.model_copy(
                update={"first_sample": first, "end_sample": end, "kind": old.kind if old.kind == kind else "degraded"}
            )
            self._count(inside, item, since=old.kind)
            yield inside
        if end < old.end_sample:
            yield old.model_copy(update={"first_sample": max(end, old.first_sample)})

    def _count(self, piece: Piece, item: Detection | Unobserved, *, since: EffortKind | None) -> None:
        """Enter a piece, taking it from the kind it was entered as."""
        part = self._parts.get(piece.hour)
        if piece.kind == since or (part is None and since is not None):
            return
        rate_hz = item.sample_rate_hz
        length_us = piece.end_sample * SECOND_US // rate_hz - piece.first_sample * SECOND_US // rate_hz
        effort = (part or self._part(piece.hour, item)).effort.plus(piece.kind, length_us)
        self._put(piece.hour, effort=effort if since is None else effort.plus(since, -length_us))
        if piece.kind != "lost" and since in (None, "lost") and isinstance(item, Detection):
            for species, call_types in self._call_types.items():
                if call_types <= item.unobserved:
                    self._add(piece.hour, species, unobservable_us=length_us)

    def _pieces(self, item: Detection | Unobserved, first: int, end: int, kind: EffortKind) -> list[Piece]:
        """Samples [first, end) cut at full hours."""
        pieces: list[Piece] = []
        while first < end:
            hour = _floor(_utc(item, end - 1), HOUR)
            begin = max(first, _sample_at(item, hour))
            if len(pieces) < HOURS_LOST_AT_MOST:
                pieces.insert(0, Piece(first_sample=begin, end_sample=end, kind=kind, hour=hour))
            end = begin
        return pieces

    def _enter_peaks(self, detection: Detection) -> None:
        hour = self._part(_floor(detection.start, HOUR), detection).hour
        for species, call_types in self._call_types.items():
            said = [detection.probability[name] for name in call_types if name in detection.probability]
            known = self._parts[hour].species[species].peak_probability
            if said and (known is None or max(said) > known):
                self._set(hour, species, peak_probability=max(said))

    def _enter_presence(
        self, species: str, item: Detection | Unobserved, before: OpenPresence | None, after: OpenPresence | None
    ) -> None:
        """Enter by how much a presence has grown; a machine's is none."""
        if after is None or after.persistent:
            return
        goes_on = before is not None and (before.epoch, before.onset_sample) == (after.epoch, after.onset_sample)
        known = before if goes_on else None
        since = known.offset if known else after.onset
        while since < after.offset:
            until = min(after.offset, _floor(since, HOUR) + HOUR)
            self._grow(since, item, species=species, present_us=(until - since) // MICROSECOND)
            since = until
        if known is None or after.windows_positive > known.windows_positive:
            self._mark(species, item, max(after.onset, after.offset - MICROSECOND))
        if known is None:
            self._mark(species, item, after.onset)

    def _mark(self, species: str, item: Detection | Unobserved, called: datetime) -> None:
        hour = self._part(_floor(called, HOUR), item).hour
        known, minute = self._parts[hour].species[species].positive_minutes, (called - hour) // MINUTE
        if minute not in known:
            self._set(hour, species, positive_minutes=tuple(sorted((*known, minute))))

    def _grow(self, when: datetime, item: Detection | Unobserved, *, species: str, **counts: int) -> None:
        self._add(self._part(_floor(when, HOUR), item).hour, species, **counts)

    def _add(self, hour: datetime, species: str, **counts: int) -> None:
        known = self._parts[hour].species[species]
        self._set(hour, species, **{name: getattr(known, name) + more for name, more in counts.items()})

    def _set(self, hour: datetime, species: str, **fields: object) -> None:
        known = self._parts[hour].species
        self._put(hour, species={**known, species: known[species].model_copy(update=fields)})

    def _put(self, hour: datetime, **fields: object) -> None:
        part = self._parts[hour]
        self._parts[hour] = part.model_copy(update={"changes": part.changes + 1, **fields})

    def _part(self, hour: datetime, item: Detection | Unobserved) -> HourPart:
        """The open part of an hour, begun if there is none; the oldest beyond PARTS_OPEN is done."""
        if hour not in self._parts:
            self._parts[hour] = HourPart(
                station=self._station,
                hydrophone=self._hydrophone,
                hour=hour,
                epoch=item.epoch,
                first_sample=item.first_sample,
                until=hour,
                species=dict.fromkeys(self._call_types, SpeciesHour()),
            )
            if len(self._parts) > PARTS_OPEN:
                oldest = next(iter(self._parts))
                self._done.append(self._parts.pop(oldest))
                self._tail = [piece for piece in self._tail if piece.hour != oldest]
        return self._parts[hour]

    def _due(self, until: datetime, *, told_more: bool) -> list[HourPart]:
        minute = _floor(until, MINUTE)
        if minute == self._told and not told_more and not self._done:
            return []
        self._told = minute
        hour = _floor(until - MICROSECOND, HOUR)
        if hour in self._parts and until > self._parts[hour].until:
            self._put(hour, until=until)
        return self._handed_out()

    def _handed_out(self) -> list[HourPart]:
        """Those done, and all that are open: what another worker may have written over is written again."""
        done, self._done = self._done, []
        return [*done, *self._parts.values()]


def _utc(item: Detection | Unobserved, sample: int) -> datetime:
    return item.start + timedelta(microseconds=(sample - item.first_sample) * SECOND_US // item.sample_rate_hz)


def _sample_at(item: Detection | Unobserved, when: datetime) -> int:
    """The first sample at or after an instant."""
    ahead_us = (when - item.start) // MICROSECOND
    return item.first_sample - (-ahead_us * item.sample_rate_hz // SECOND_US)


def _floor(when: datetime, step: timedelta) -> datetime:
    return when - (when - ORIGIN) % step
