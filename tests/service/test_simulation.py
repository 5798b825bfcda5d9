"""The simulated sea: repeatable, independent of how it is read, and honest about what it put in."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seacanary.simulation import (
    CALL_TYPES,
    NEGATIVES,
    CallBouts,
    HardNegative,
    Recorder,
    Rendered,
    Scene,
    Ship,
    Soundscape,
)

BUSY = Scene(
    seed=5,
    ships=(Ship(closest_s=1.0),),
    whistle=CallBouts(bouts_per_min=60),
    beluga_click=CallBouts(bouts_per_min=60),
    porpoise_click=CallBouts(bouts_per_min=60),
    negatives=tuple(HardNegative(kind=kind, per_min=20) for kind in NEGATIVES),
    recorder=Recorder(hum_dbfs=-60),
)


def rendered(scene: Scene, *, rate: int = 48_000, seconds: float = 3) -> Rendered:
    return Soundscape(scene, sample_rate_hz=rate).render(round(seconds * rate))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=12))
def test_audio_and_truth_do_not_depend_on_how_they_are_read(sizes: list[int]) -> None:
    parts = Soundscape(BUSY, sample_rate_hz=16_000)
    pieces = [parts.render(size) for size in sizes]
    whole = Soundscape(BUSY, sample_rate_hz=16_000).render(sum(sizes))
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), whole.samples)
    assert {call for piece in pieces for call in piece.calls} == set(whole.calls)
    for name, stem in whole.stems.items():
        joined = [piece.stems.get(name, np.zeros(piece.samples.size, np.float32)) for piece in pieces]
        assert np.array_equal(np.concatenate(joined), stem)


def test_same_seed_gives_the_same_sea_and_another_seed_another() -> None:
    first, again = rendered(BUSY), rendered(BUSY)
    other = rendered(BUSY.model_copy(update={"seed": 6}))
    assert np.array_equal(first.samples, again.samples)
    assert first.calls == again.calls
    assert not np.array_equal(first.samples, other.samples)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 384_000, 576_000])
def test_any_rate_is_rendered_without_invalid_samples(rate: int) -> None:
    heard = rendered(BUSY, rate=rate, seconds=1.5)
    assert np.isfinite(heard.samples).all()
    assert np.abs(heard.samples).max() <= 1
    assert heard.samples.std() > 0


@pytest.mark.parametrize(("rate", "carried"), [(16_000, {"whistle"}), (384_000, set(CALL_TYPES))])
def test_only_calls_below_nyquist_are_carried(rate: int, carried: set[str]) -> None:
    heard = rendered(BUSY, rate=rate, seconds=8)
    assert {call.call_type for call in heard.calls} == carried
    assert set(heard.stems) == carried


def test_arrays_are_read_only() -> None:
    heard = rendered(BUSY)
    assert not heard.samples.flags.writeable
    assert not any(stem.flags.writeable for stem in heard.stems.values())


def test_unknown_negative_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="known are airgun"):
        HardNegative(kind="kraken")


def test_default_scene_has_all_call_types_within_a_minute() -> None:
    sea = Soundscape(Scene(), sample_rate_hz=384_000)
    heard = {call.call_type for _ in range(60) for call in sea.render(384_000).calls}
    assert heard == set(CALL_TYPES)
