"""QualityWatch: measures every second of every hydrophone on a thread of its own, counts, tells of changes."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock
from seacanary.conditions import ConditionLog
from seacanary.handoff import Handoff
from seacanary.metrics import Metrics
from seacanary.outlet import Outlet
from seacanary.quality.band_levels import (
    SHORTEST_S,
    CalibrationSection,
    band_levels,
    level_db,
    power_spectrum,
    reference_of,
)
from seacanary.quality.signal import Seconds, SignalQuality, Stretch, measure
from seacanary.quality.state import (
    QUALITY_CONDITIONS,
    QualityChange,
    QualityCondition,
    QualityMemory,
    QualityRules,
    QualityState,
)

log = logging.getLogger(__name__)

STATE_NAME = "quality"
# What waits for the thread: 8 s of audio of each hydrophone. The samples bound it, in blocks of
# whatever length; the bound in blocks is never reached before.
WAITING_S = 8.0
WAITING_BLOCKS = 1_000_000
# Findings wait here while the journal is stuck; older ones are shed, the averages then miss them.
FINDINGS_KEPT = 4096
CLOSE_S = 2.0

SENTENCES: Mapping[QualityCondition, str] = {
    "clipping": "{:.2%} of samples at full scale; lower the gain",
    "silent": "nothing heard for {:.0%} of the time, not even the recorder's own noise; check cable and power",
    "stuck": "{:.1%} of samples repeat one value over 1 ms and longer; check converter and driver",
    "dc": "constant offset of {:.1%} of full scale; check the hydrophone's supply",
    "hum": "mains lines make up {:.0%} of the power around them; check earthing and cable",
    "spiky": "{:.0f} spikes per second; interference, or very many clicks near by",
    "noise_jump": "level {:.1f} dB off its long average",
}


def _sentence(change: QualityChange) -> str:
    seen = SENTENCES[change.condition].format(change.measure)
    return seen if change.holds else f"over: {seen.partition(';')[0]}"


class QualitySection(BaseModel):
    """How the signal's quality is watched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="measure every second of every live hydrophone")
    rules: QualityRules = Field(default_factory=QualityRules, description="when a signal counts as bad")
    calibration: dict[str, CalibrationSection] = Field(
        default_factory=dict, description="by hydrophone; levels of others are dB re full scale"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Finding:
    """What was measured of a stretch. levels_db: by nominal band, empty if the stretch was too short."""

    stretch: Stretch
    quality: SignalQuality
    levels_db: Mapping[float, float]


@dataclass(slots=True)
class _Backlog:
    """Samples of one hydrophone on their way; each count is written by one thread only."""

    heard: int = 0
    measured: int = 0


class QualityWatch:
    """hear() costs microseconds; what the thread has no time for is shed and counted, and ends a second early."""

    def __init__(self, section: QualitySection, *, metrics: Metrics, conditions: ConditionLog) -> None:
        """Start the thread; call on the loop.

        Args:
            section: thresholds and calibrations.
            metrics: what to count on.
            conditions: told of what began and ended.
        """
        self._section, self._metrics, self._conditions = section, metrics, conditions
        self._findings = Handoff[_Finding](asyncio.get_running_loop(), FINDINGS_KEPT)
        self._outlet = Outlet[AudioBlock](self._measure, most=WAITING_BLOCKS)
        self._backlogs: dict[str, _Backlog] = {}
        self._seconds: dict[str, Seconds] = {}
        self._states: dict[str, QualityState] = {}

    def hear(self, block: AudioBlock) -> None:
        """Take a block of a live hydrophone; never waits, keeps the block's samples as they are."""
        backlog = self._backlogs.setdefault(block.hydrophone, _Backlog())
        if backlog.heard - backlog.measured > WAITING_S * block.sample_rate_hz:
            self._metrics.quality_shed.labels(block.hydrophone).inc(block.samples.size)
            return
        backlog.heard += block.samples.size
        self._outlet.put(block)

    async def run(self) -> None:
        """Bring findings into metrics and conditions until cancelled."""
        while True:
            await self._conclude(await self._findings.get())

    async def aclose(self) -> None:
        """Stop the thread; what still waits is not measured any more if that takes longer than 2 s."""
        await asyncio.to_thread(self._outlet.close, CLOSE_S)

    def states(self) -> dict[str, str]:
        """What must survive a restart, as JSON by key."""
        return {f"{name}/{STATE_NAME}": state.snapshot().model_dump_json() for name, state in self._states.items()}

    def restore(self, states: Mapping[str, str]) -> None:
        """Go on from states() of an earlier process; what is not there begins anew."""
        for key, snapshot in states.items():
            hydrophone, _, name = key.rpartition("/")
            if name == STATE_NAME:
                self._state(hydrophone).restore(QualityMemory.model_validate_json(snapshot))

    def _measure(self, block: AudioBlock) -> None:
        """On the thread: cut at the seconds, measure what is complete."""
        for stretch in self._seconds.setdefault(block.hydrophone, Seconds()).push(block):
            self._findings.put(self._found(stretch))
        self._backlogs[block.hydrophone].measured += block.samples.size

    def _found(self, stretch: Stretch) -> _Finding:
        levels_db: Mapping[float, float] = {}
        spectrum = None
        if stretch.duration_s >= SHORTEST_S:
            spectrum = power_spectrum(stretch.samples, stretch.sample_rate_hz)
            calibration = self._section.calibration.get(stretch.hydrophone)
            levels_db = band_levels(spectrum, stretch.sample_rate_hz, calibration)
        return _Finding(stretch, measure(stretch, spectrum if stretch.complete else None), levels_db)

    def _state(self, hydrophone: str) -> QualityState:
        return self._states.setdefault(hydrophone, QualityState(self._section.rules))

    async def _conclude(self, finding: _Finding) -> None:
        self._export(finding)
        stretch, state = finding.stretch, self._state(finding.stretch.hydrophone)
        changes = {change.condition: change for change in state.observe(finding.quality, duration_s=stretch.duration_s)}
        for condition in QUALITY_CONDITIONS:
            holds = condition in state.held
            self._metrics.quality_state.labels(stretch.hydrophone, condition).set(holds)
            detail = _sentence(changes[condition]) if condition in changes else ""
            if detail:
                log.warning("hydrophone %s: %s: %s", stretch.hydrophone, condition, detail)
            # Said every second: what an earlier process left open ends here too.
            await self._conditions.note(condition, stretch.hydrophone, holds=holds, at=stretch.start, detail=detail)

    def _export(self, finding: _Finding) -> None:
        name, quality, metrics = finding.stretch.hydrophone, finding.quality, self._metrics
        calibration = self._section.calibration.get(name)
        metrics.rms_level.labels(name).set(level_db(quality.rms**2, calibration))
        metrics.level_reference.labels(name, reference_of(calibration)).set(1)
        for band_hz, level in finding.levels_db.items():
            metrics.band_level.labels(name, f"{band_hz:g}").set(level)
        ratios = {
            "clipped": quality.clipped,
            "silent": quality.silent,
            "stuck": quality.stuck,
            "dc_offset": quality.dc_offset,
            "hum": quality.hum,
        }
        for what, ratio in ratios.items():
            if ratio is not None:
                metrics.signal_ratio[what].labels(name).set(ratio)
        metrics.spikes.labels(name).inc(quality.spikes)
