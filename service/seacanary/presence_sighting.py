"""Sighting: one analysed window as one species sees it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from seacanary.events import BandHz
from seacanary.observations import CallSpan, Detection
from seacanary.presence_rules import Thresholds


class Sighting(BaseModel):
    """One analysed window, judged for one species.

    Attributes:
        first_sample: stream index of the window; it is [first_sample, end_sample).
        probability: of the leading call type: the one over its own `enter`, else
            over its own `leave`, else the likeliest.
        over_enter: some call type is at or over its own `enter`.
        over_leave: some call type is at or over its own `leave`.
        certain: one that is over `enter` is likely enough to stand alone.
        persistent: nothing but a persistent source makes it positive.
        onset_sample: first call's onset by the mask (4 ms), else the window's first sample.
        offset_sample: last call's end by the mask, else the window's end.
        band_hz: what the spans of the call types heard cover, if there are any.
        call_types: those heard, in name order; empty below `leave`.
        undecided: the model abstained, and no caller was heard; says neither presence nor absence.
        windows: how many it stands for; a run of undecided ones is kept as one.
    """

    model_config = ConfigDict(frozen=True)

    first_sample: int
    end_sample: int
    probability: float
    over_enter: bool
    over_leave: bool
    certain: bool
    persistent: bool
    onset_sample: int
    offset_sample: int
    onset: AwareDatetime
    offset: AwareDatetime
    band_hz: BandHz | None
    call_types: tuple[str, ...]
    model_id: str
    source_file: str | None
    undecided: bool = False
    windows: int = 1

    def samples_after(self, position: int) -> int:
        """How many of its samples lie at or after a stream position."""
        return max(0, self.end_sample - max(self.first_sample, position))


def sighting_of(
    detection: Detection,
    thresholds: Mapping[str, Thresholds],
    *,
    certain: float | None,
    persistent: frozenset[CallSpan],
) -> Sighting:
    """Judge a window for the species that calls in the types of `thresholds`.

    A species calls if any of its call types does, in three-valued logic (Kleene 1938):
    one heard decides, whatever the others; "no" or "not known" together is "not known".

    Args:
        detection: at least one of the species' call types is observed in it.
        thresholds: by call type of the species.
        certain: probability that stands alone, or None.
        persistent: spans that are a persistent source's.
    """
    abstained = _abstained(detection, thresholds)
    decided = thresholds.keys() & detection.probability.keys() - abstained
    probability = {name: detection.probability[name] for name in thresholds if name in decided}
    machines = _only_persistent(probability, detection.spans, persistent)
    names = _decisive(probability, thresholds, machines)
    entered = [name for name in names if probability[name] >= thresholds[name].enter]
    heard = entered or [name for name in names if probability[name] >= thresholds[name].leave]
    if abstained and machines.issuperset(heard):
        return _undecided(detection, probability=max(detection.probability[name] for name in abstained))
    lead = max(probability[name] for name in heard or names)
    spans = [s for s in detection.spans if s.call_type in heard and (machines or s not in persistent)]
    onset_sample, offset_sample = _edges(detection, spans)
    return Sighting(
        first_sample=detection.first_sample,
        end_sample=detection.end_sample,
        probability=lead,
        over_enter=bool(entered),
        over_leave=bool(heard),
        certain=bool(entered) and certain is not None and lead >= certain,
        persistent=bool(heard) and machines.issuperset(heard),
        onset_sample=onset_sample,
        offset_sample=offset_sample,
        onset=_utc(detection, onset_sample),
        offset=_utc(detection, offset_sample),
        band_hz=_band(spans),
        call_types=tuple(sorted(heard)),
        model_id=detection.model_id,
        source_file=detection.source_file,
    )


def looked_back_on(earlier: Sequence[Sighting], newest: Sighting, *, decided: int) -> tuple[Sighting, ...]:
    """The latest sightings with one more, from the last `decided` decided ones on.

    Undecided ones stay between them, for what was listened to; windows that
    overlap or touch are kept as one, so that a long run takes no more room.
    """
    last = earlier[-1] if earlier else None
    if last and last.undecided and newest.undecided and newest.first_sample <= last.end_sample:
        run = newest.model_copy(update={"first_sample": last.first_sample, "windows": last.windows + newest.windows})
        sightings = (*earlier[:-1], run)
    else:
        sightings = (*earlier, newest)
    places = [place for place, sighting in enumerate(sightings) if not sighting.undecided]
    return sightings[places[-decided:][0] :] if places else ()


def _abstained(detection: Detection, thresholds: Mapping[str, Thresholds]) -> set[str]:
    """Call types the model abstains on; where a site's own `enter` lies in the band, over it is a call."""
    unsure = thresholds.keys() & detection.probability.keys() & detection.abstained
    return {name for name in unsure if detection.probability[name] < thresholds[name].enter}


def _undecided(detection: Detection, *, probability: float) -> Sighting:
    return Sighting(
        first_sample=detection.first_sample,
        end_sample=detection.end_sample,
        probability=probability,
        over_enter=False,
        over_leave=False,
        certain=False,
        persistent=False,
        onset_sample=detection.first_sample,
        offset_sample=detection.end_sample,
        onset=detection.start,
        offset=_utc(detection, detection.end_sample),
        band_hz=None,
        call_types=(),
        model_id=detection.model_id,
        source_file=detection.source_file,
        undecided=True,
    )


def _only_persistent(
    names: Iterable[str], spans: Iterable[CallSpan], persistent: frozenset[CallSpan]
) -> frozenset[str]:
    """Call types of which the mask shows nothing but a persistent source."""
    if not persistent:
        return frozenset()
    shown = {name: [s in persistent for s in spans if s.call_type == name] for name in names}
    return frozenset(name for name, machine in shown.items() if machine and all(machine))


def _decisive(
    probability: Mapping[str, float], thresholds: Mapping[str, Thresholds], machines: frozenset[str]
) -> list[str]:
    """The call types that decide: callers, where one is over `leave`; else machines, where there are any."""
    callers = [name for name in probability if name not in machines]
    if any(probability[name] >= thresholds[name].leave for name in callers):
        return callers
    return list(machines & probability.keys()) or callers


def _edges(detection: Detection, spans: Iterable[CallSpan]) -> tuple[int, int]:
    """Onset and offset by the mask, kept inside the window (one at a stream's end may be padded)."""
    first, end = detection.first_sample, detection.end_sample
    inside = [(max(s.onset_sample, first), min(s.offset_sample, end)) for s in spans]
    inside = [(onset, offset) for onset, offset in inside if onset < offset]
    if not inside:
        return first, end
    return min(onset for onset, _ in inside), max(offset for _, offset in inside)


def _utc(detection: Detection, sample: int) -> AwareDatetime:
    return detection.start + timedelta(seconds=(sample - detection.first_sample) / detection.sample_rate_hz)


def _band(spans: Iterable[CallSpan]) -> BandHz | None:
    bands = [span.band_hz for span in spans]
    if not bands:
        return None
    return BandHz(low=min(low for low, _ in bands), high=max(high for _, high in bands))
