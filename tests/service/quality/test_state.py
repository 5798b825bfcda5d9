"""Conditions of the signal: hysteresis, hold, averages, memory."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fakes import EPOCH
from seacanary.audio import AudioBlock
from seacanary.quality.band_levels import power_spectrum
from seacanary.quality.signal import Seconds, SignalQuality, measure
from seacanary.quality.state import (
    QUALITY_CONDITIONS,
    QualityChange,
    QualityMemory,
    QualityRules,
    QualityState,
    QualityThreshold,
)
from seacanary.sources.recordings import RecordingReader, probe

AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[3] / "../shared/data/audio"))

RULES = QualityRules(short_s=3, long_s=300, hold_s=20)
GOOD = SignalQuality(rms=0.01, clipped=0, silent=0, stuck=0, dc_offset=0, hum=0, spikes=0)
BAD = {
    "clipping": SignalQuality(rms=0.01, clipped=0.1, silent=0, stuck=0, dc_offset=0, hum=0, spikes=0),
    "silent": SignalQuality(rms=0.01, clipped=0, silent=1, stuck=0, dc_offset=0, hum=0, spikes=0),
    "stuck": SignalQuality(rms=0.01, clipped=0, silent=0, stuck=0.5, dc_offset=0, hum=0, spikes=0),
    "dc": SignalQuality(rms=0.01, clipped=0, silent=0, stuck=0, dc_offset=-0.2, hum=0, spikes=0),
    "hum": SignalQuality(rms=0.01, clipped=0, silent=0, stuck=0, dc_offset=0, hum=0.9, spikes=0),
    "spiky": SignalQuality(rms=0.01, clipped=0, silent=0, stuck=0, dc_offset=0, hum=0, spikes=150),
    "noise_jump": SignalQuality(rms=0.1, clipped=0, silent=0, stuck=0, dc_offset=0, hum=0, spikes=0),
}


def run(state: QualityState, qualities: list[SignalQuality]) -> list[QualityChange]:
    return [change for quality in qualities for change in state.observe(quality, duration_s=1)]


def with_clipped(share: float) -> SignalQuality:
    return SignalQuality(rms=0.01, clipped=share, silent=0, stuck=0, dc_offset=0, hum=0, spikes=0)


def test_every_condition_has_its_case() -> None:
    assert set(BAD) == set(QUALITY_CONDITIONS)


@pytest.mark.parametrize("condition", QUALITY_CONDITIONS)
def test_each_condition_begins_alone_and_ends_once_when_all_is_well_again(condition: str) -> None:
    state = QualityState(RULES)
    changes = run(state, [GOOD] * 60 + [BAD[condition]] * 30 + [GOOD] * 120)
    assert [(change.condition, change.holds) for change in changes] == [(condition, True), (condition, False)]
    assert state.held == frozenset()


@settings(deadline=None)
@given(wobble=st.lists(st.floats(0.5, 1.5), min_size=60, max_size=200))
def test_a_level_that_wobbles_at_the_threshold_is_flagged_once(wobble: list[float]) -> None:
    enter = RULES.clipping.enter
    changes = run(QualityState(RULES), [with_clipped(2 * enter)] * 20 + [with_clipped(enter * w) for w in wobble])
    assert [(change.condition, change.holds) for change in changes] == [("clipping", True)]


@settings(deadline=None)
@given(pauses=st.lists(st.integers(1, 15), min_size=1, max_size=8))
def test_pauses_shorter_than_the_hold_end_nothing(pauses: list[int]) -> None:
    rules = QualityRules(short_s=1, long_s=300, hold_s=20)
    audio = [quality for pause in pauses for quality in [BAD["stuck"]] * 10 + [GOOD] * pause]
    assert [change.holds for change in run(QualityState(rules), audio)] == [True]


def test_two_bad_seconds_in_a_minute_flag_nothing_much_and_the_first_second_never_does() -> None:
    state = QualityState(RULES)
    assert run(state, [BAD["silent"]]) == []
    assert run(QualityState(RULES), [GOOD] * 30 + [BAD["silent"]] + [GOOD] * 30) == []


def test_a_level_that_stays_is_the_usual_one_after_a_while() -> None:
    state = QualityState(RULES)
    changes = run(state, [GOOD] * 300 + [BAD["noise_jump"]] * 900)
    assert [(change.condition, change.holds) for change in changes] == [("noise_jump", True), ("noise_jump", False)]
    assert changes[0].measure >= RULES.noise_jump.enter


def test_a_fall_of_the_level_is_a_jump_too_and_silence_is_not_evidence_of_one() -> None:
    quiet = SignalQuality(rms=0.001, clipped=0, silent=0, stuck=0, dc_offset=0, hum=0, spikes=0)
    nothing = SignalQuality(rms=0.0, clipped=0, silent=0, stuck=0, dc_offset=0, hum=None, spikes=0)
    assert [c.condition for c in run(QualityState(RULES), [GOOD] * 60 + [quiet] * 20)] == ["noise_jump"]
    assert run(QualityState(RULES), [GOOD] * 60 + [nothing] * 20) == []


def test_a_swell_around_zero_is_no_offset() -> None:
    swell = [
        SignalQuality(rms=0.1, clipped=0, silent=0, stuck=0, dc_offset=sign * 0.1, hum=0, spikes=0)
        for _ in range(60)
        for sign in (1, -1)
    ]
    assert run(QualityState(RULES), swell) == []


@settings(deadline=None)
@given(cut=st.integers(0, 150))
def test_a_restart_anywhere_changes_nothing(cut: int) -> None:
    audio = [GOOD] * 30 + [BAD["hum"]] * 40 + [GOOD] * 80
    whole = run(QualityState(RULES), audio)
    first = QualityState(RULES)
    changes = run(first, audio[:cut])
    second = QualityState(RULES)
    second.restore(QualityMemory.model_validate_json(first.snapshot().model_dump_json()))
    assert changes + run(second, audio[cut:]) == whole


@settings(deadline=None)
@given(parts=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=40))
def test_averages_go_by_the_audio_heard_not_by_how_often_it_was_cut(parts: list[float]) -> None:
    once, often = QualityState(RULES), QualityState(RULES)
    for state in (once, often):
        state.observe(GOOD, duration_s=1000)
    once.observe(with_clipped(0.5), duration_s=sum(parts))
    for part in parts:
        often.observe(with_clipped(0.5), duration_s=part)
    values = [state.snapshot().short["clipping"].value for state in (once, often)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_thresholds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be below enter"):
        QualityThreshold(enter=0.1, leave=0.2)
    with pytest.raises(ValidationError, match="must be below long_s"):
        QualityRules(short_s=10, long_s=5)


def conditions_of(path: Path) -> set[str]:
    found, reader, state = probe(path), RecordingReader(path), QualityState(QualityRules())
    samples = np.ascontiguousarray(reader.read(found.frames)[0])
    reader.close()
    changes: list[QualityChange] = []
    for stretch in Seconds().push(AudioBlock("h1", samples, 0, found.sample_rate_hz, EPOCH)):
        spectrum = power_spectrum(stretch.samples, stretch.sample_rate_hz)
        changes += state.observe(measure(stretch, spectrum), duration_s=stretch.duration_s)
    return {change.condition for change in changes if change.holds}


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the shared recordings are not here; SEACANARY_AUDIO may name them")
def test_of_all_real_recordings_only_the_one_that_hums_has_a_fault() -> None:
    files = sorted(path for path in AUDIO.iterdir() if path.suffix.lower() in {".wav", ".mp3"})
    faults = {path.name: conditions_of(path) - {"noise_jump"} for path in files}
    assert len(faults) > 20
    assert {name: found for name, found in faults.items() if found} == {"ambient_orcasound_live000.wav": {"hum"}}


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the shared recordings are not here; SEACANARY_AUDIO may name them")
def test_a_real_recording_joined_of_two_takes_jumps_where_they_are_joined() -> None:
    """Its description names the join: two takes with different noise floors."""
    assert conditions_of(AUDIO / "humpback_hip-mixer_Megaptera_novaeangliae.mp3") == {"noise_jump"}
    assert conditions_of(AUDIO / "ice_hip-mixer_Rubbing_ice.mp3") == set()
