"""PersistentSourceGuard: knows pumps, echosounders and electrical lines by their sameness.

A caller varies: whistles wander in band, click trains come and go. A machine
fires for hours, in nearly every window, in one narrow band, filling about the same
share of each window. What looks like that is flagged, and only its own band is:
a caller heard beside it, or in the same window over it, is not.
"""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.events import BandHz
from seacanary.observations import CallSpan, Detection

# Sources followed at once per call type. Whistles take places too, and lose them
# within TRIAL_WINDOWS, when they fail to come again.
LINES_FOLLOWED = 4
# About half a minute at the usual hop: long enough for a duty to mean something.
TRIAL_WINDOWS = 60
# Below the flagging duty by this much, a source is given up.
TRIAL_SLACK = 0.1
# Weight of the newest band in its running mean is never less than 1 in this.
BAND_MEMORY_WINDOWS = 500


class GuardSection(BaseModel):
    """When a source counts as a machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    after_s: float = Field(7200.0, gt=0, description="observed seconds of sameness before a source is flagged")
    stop_s: float = Field(600.0, gt=0, description="observed seconds of silence after which it is forgotten")
    duty: float = Field(0.8, gt=0.5, le=1, description="share of windows it must sound in")
    narrow_ratio: float = Field(0.25, gt=0, description="widest band, as a share of its centre")
    narrow_hz: float = Field(1000.0, gt=0, description="bands up to this width are narrow at any centre")
    drift_ratio: float = Field(0.03, ge=0, description="how far an edge may stray, as a share of the centre")
    drift_hz: float = Field(500.0, gt=0, description="straying up to this is the same band at any centre")
    variation: float = Field(
        0.5, gt=0, description="highest standard deviation of the share of a window it fills, over its mean"
    )


class GuardState(BaseModel):
    """One source under watch.

    Attributes:
        call_type: what the model takes it for.
        flagged: whether it has been recognised as a machine.
        band_hz: its band, a running mean.
        since: UTC of the first window it was heard in.
        matched: windows it sounded in, alone in its band.
        masked: windows in which something wider lay over its band; they tell nothing.
        missed: windows it was not in.
        observed_samples: stream samples analysed since it was first heard.
        quiet_samples: of these, the ones since it was last heard.
        fill_mean: mean share of a window it fills.
        fill_spread: sum of squared deviations from that mean (Welford 1962).
    """

    model_config = ConfigDict(frozen=True)

    call_type: str
    flagged: bool = False
    band_hz: BandHz
    since: AwareDatetime
    matched: int = 0
    masked: int = 0
    missed: int = 0
    observed_samples: int = 0
    quiet_samples: int = 0
    fill_mean: float = 0.0
    fill_spread: float = 0.0

    @property
    def duty(self) -> float:
        """Share of the windows that tell anything in which it sounded."""
        return self.matched / max(self.matched + self.missed, 1)

    @property
    def variation(self) -> float:
        """Standard deviation of the share of a window it fills, over its mean."""
        if not self.fill_mean:
            return 0.0
        return float((self.fill_spread / max(self.matched, 1)) ** 0.5) / self.fill_mean

    def heard(self, band_hz: tuple[float, float], *, fill: float, new_samples: int) -> Self:
        """After a window it sounded in alone."""
        matched = self.matched + 1
        weight = 1 / min(matched, BAND_MEMORY_WINDOWS)
        fill_mean = self.fill_mean + (fill - self.fill_mean) / matched
        return self.model_copy(
            update={
                "matched": matched,
                "band_hz": BandHz(
                    low=self.band_hz.low + weight * (band_hz[0] - self.band_hz.low),
                    high=self.band_hz.high + weight * (band_hz[1] - self.band_hz.high),
                ),
                "observed_samples": self.observed_samples + new_samples,
                "quiet_samples": 0,
                "fill_mean": fill_mean,
                "fill_spread": self.fill_spread + (fill - self.fill_mean) * (fill - fill_mean),
            }
        )

    def not_heard(self, *, masked: bool, new_samples: int) -> Self:
        """After a window it was not in, or in which something lay over it."""
        return self.model_copy(
            update={
                "masked": self.masked + masked,
                "missed": self.missed + (not masked),
                "observed_samples": self.observed_samples + new_samples,
                "quiet_samples": 0 if masked else self.quiet_samples + new_samples,
            }
        )


class GuardMemory(BaseModel):
    """All a guard knows, to go on from after a restart."""

    model_config = ConfigDict(frozen=True)

    epoch: AwareDatetime | None = None
    analysed_until: int = 0
    sources: tuple[GuardState, ...] = ()


class PersistentSourceGuard:
    """Watches one hydrophone's detections for sources that never change."""

    def __init__(self, section: GuardSection) -> None:
        self._section = section
        self._epoch: datetime | None = None
        self._analysed_until = 0
        self._sources: tuple[GuardState, ...] = ()

    @property
    def flagged(self) -> tuple[GuardState, ...]:
        """Sources recognised as machines, still sounding."""
        return tuple(source for source in self._sources if source.flagged)

    def snapshot(self) -> GuardMemory:
        """All this guard knows, as a value."""
        return GuardMemory(epoch=self._epoch, analysed_until=self._analysed_until, sources=self._sources)

    def restore(self, memory: GuardMemory) -> None:
        """Go on from a snapshot."""
        self._epoch, self._analysed_until = memory.epoch, memory.analysed_until
        self._sources = memory.sources

    def watch(self, detection: Detection) -> frozenset[CallSpan]:
        """Take in one window; a window seen before is judged, but not counted again.

        Returns:
            Those of its spans that lie in a flagged source's band.
        """
        new_samples = self._new_samples(detection)
        if new_samples:
            followed = [self._followed(source, detection, new_samples) for source in self._sources]
            self._sources = self._distinct([source for source in followed if source is not None])
            self._take_up_new_sources(detection, new_samples)
        return frozenset(
            span
            for span in detection.spans
            for source in self.flagged
            if source.call_type == span.call_type and self._matches(source, span)
        )

    def _new_samples(self, detection: Detection) -> int:
        """Samples no earlier window held; 0 for a replay."""
        if detection.epoch != self._epoch:
            self._epoch, self._analysed_until = detection.epoch, detection.first_sample
        fresh = detection.end_sample - max(detection.first_sample, self._analysed_until)
        self._analysed_until = max(self._analysed_until, detection.end_sample)
        return max(0, fresh)

    def _followed(self, source: GuardState, detection: Detection, new_samples: int) -> GuardState | None:
        """The source after this window; None when it has stopped, or was nothing persistent."""
        if source.call_type not in detection.probability:
            return source
        spans = [span for span in detection.spans if span.call_type == source.call_type]
        matching = [span for span in spans if self._matches(source, span)]
        if matching:
            source = source.heard(_band_of(matching), fill=_fill(matching, detection), new_samples=new_samples)
        elif source.call_type in detection.abstained:
            return source  # not shown, but not denied either
        else:
            masked = any(self._covers(span, source) for span in spans)
            source = source.not_heard(masked=masked, new_samples=new_samples)
        return self._judged(source, detection.sample_rate_hz)

    def _judged(self, source: GuardState, sample_rate_hz: int) -> GuardState | None:
        section = self._section
        tried = source.matched + source.missed >= TRIAL_WINDOWS
        failed = tried and source.duty < section.duty - TRIAL_SLACK
        if failed or source.quiet_samples >= section.stop_s * sample_rate_hz:
            return None
        recognised = (
            source.observed_samples >= section.after_s * sample_rate_hz
            and source.duty >= section.duty
            and source.matched >= source.masked
            and source.variation <= section.variation
        )
        return source.model_copy(update={"flagged": True}) if recognised and not source.flagged else source

    def _distinct(self, sources: list[GuardState]) -> tuple[GuardState, ...]:
        """Of sources whose bands have run together only the oldest stays."""
        kept: list[GuardState] = []
        for source in sources:
            twins = (other for other in kept if other.call_type == source.call_type)
            if not any(self._within(other, source.band_hz.low, source.band_hz.high) for other in twins):
                kept.append(source)
        return tuple(kept)

    def _take_up_new_sources(self, detection: Detection, new_samples: int) -> None:
        """Follow narrow spans that belong to no source yet, while there are places."""
        for span in detection.spans:
            mine = [source for source in self._sources if source.call_type == span.call_type]
            known = any(self._matches(source, span) for source in mine)
            if not known and len(mine) < LINES_FOLLOWED and self._is_narrow(span):
                low, high = span.band_hz
                source = GuardState(call_type=span.call_type, band_hz=BandHz(low=low, high=high), since=detection.start)
                same = [s for s in detection.spans if s.call_type == span.call_type and self._matches(source, s)]
                heard = source.heard(_band_of(same), fill=_fill(same, detection), new_samples=new_samples)
                self._sources = (*self._sources, heard)

    def _is_narrow(self, span: CallSpan) -> bool:
        low, high = span.band_hz
        return high - low <= max(self._section.narrow_hz, self._section.narrow_ratio * (low + high) / 2)

    def _drift_hz(self, source: GuardState) -> float:
        centre = (source.band_hz.low + source.band_hz.high) / 2
        return max(self._section.drift_hz, self._section.drift_ratio * centre)

    def _matches(self, source: GuardState, span: CallSpan) -> bool:
        """Whether the span is this source's sound and nothing else."""
        return self._within(source, *span.band_hz)

    def _within(self, source: GuardState, low_hz: float, high_hz: float) -> bool:
        drift_hz = self._drift_hz(source)
        return low_hz >= source.band_hz.low - drift_hz and high_hz <= source.band_hz.high + drift_hz

    def _covers(self, span: CallSpan, source: GuardState) -> bool:
        """Whether the span is wider and hides whether the source sounds."""
        drift_hz = self._drift_hz(source)
        low, high = span.band_hz
        return low <= source.band_hz.low + drift_hz and high >= source.band_hz.high - drift_hz


def _band_of(spans: list[CallSpan]) -> tuple[float, float]:
    return min(span.band_hz[0] for span in spans), max(span.band_hz[1] for span in spans)


def _fill(spans: list[CallSpan], detection: Detection) -> float:
    """Share of the window the spans fill; spans of one call type do not overlap."""
    length = detection.end_sample - detection.first_sample
    return sum(span.offset_sample - span.onset_sample for span in spans) / length
