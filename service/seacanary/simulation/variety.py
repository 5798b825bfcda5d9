"""random_scene: the wide variety of seas, ships and recorders that training needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from seacanary.simulation.ambient import Ambient
from seacanary.simulation.recorder import ElectricalLine, Recorder
from seacanary.simulation.scene import CallBouts, HardNegative, Scene
from seacanary.simulation.ships import Ship

Part = Literal["train", "validation", "test"]

NOISY_SHARE = 0.6
SNR_DB: Mapping[str, tuple[float, float]] = {
    "whistle": (0.0, 25.0), "beluga_click": (8.0, 35.0), "porpoise_click": (8.0, 35.0),
}  # fmt: skip
# delphinid clicks are left out: nobody could tell them from a beluga's;
# orca-like calls are hardly told from beluga pulsed calls even by people, so they stay rare
NEGATIVE_WEIGHTS = {
    "echosounder": 3.0, "sonar_ping": 2.0, "chain": 2.0, "mooring_knock": 1.5, "snapping": 2.0, "sediment": 1.5,
    "spikes": 2.5, "dropout": 1.0, "clipping": 1.0, "seal_trill": 1.5, "siren": 1.5, "moan": 1.5, "orca_call": 0.2,
    "sperm_clicks": 1.5, "bat": 1.0, "airgun": 0.7, "pile_strike": 0.7, "ice_crack": 1.5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WindowMix:
    """How often and how loud things are in drawn windows; the default is what the model trains on.

    Attributes:
        whistle_db: range of SNR of whistles; see SimulatedCall.
        click_db: the same of both kinds of clicks.
        faint_rarer: faint calls are rarer than loud ones; otherwise levels are uniform over the range.
        click_noise_band_hz: band of the noise that each click type's SNR refers to; empty: each click's own.
        always_noisy: a window drawn as noisy has at least one of ship, rain, ice and flow noise.
        negative_share: share of windows with hard negatives.
        without: kinds of hard negatives that never occur.
        ice: the sea may have melting, cracking ice; `ice_crack` the hard negative is another matter.
        foreign_recorder: coarse, resonant, humming recorders as in no other mix.
    """

    whistle_db: tuple[float, float] = (0.0, 25.0)
    click_db: tuple[float, float] = (8.0, 35.0)
    faint_rarer: bool = True
    click_noise_band_hz: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    always_noisy: bool = False
    negative_share: float = 0.35
    without: frozenset[str] = frozenset()
    ice: bool = True
    foreign_recorder: bool = False


TRAINING_MIX = WindowMix()


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_scene(rng: np.random.Generator, *, part: Part) -> Scene:
    """Draw a scene with all call types, for streams and as the background of training windows.

    The parts share no seed. Train and validation draw from the same ranges, test partly from
    shifted ones. Flow slopes and bits do not overlap between them. What overlaps in part: ships
    (fast small craft with 2-3 blades and steep spectra, where train and validation have
    3-7 blades up to 16 m/s), wind (up to 22 m/s, not 17), the noise's wander, and recorders' tilt
    and resonance. All else, hard negatives among it, is drawn alike in every part.

    Args:
        rng: draws everything.
        part: for which part of the data.
    """
    noisy = rng.random() < NOISY_SHARE
    ambient = random_ambient(rng, part=part, noisy=noisy)
    ships = tuple(random_ship(rng, part=part) for _ in range(int(rng.integers(1, 3))))
    scene = Scene(
        seed=int(rng.integers(2**48)) * 3 + ("train", "validation", "test").index(part),
        ambient=ambient,
        ships=ships if noisy and rng.random() < 0.6 else (),
        whistle=_bouts(rng, "whistle"),
        beluga_click=_bouts(rng, "beluga_click"),
        porpoise_click=_bouts(rng, "porpoise_click"),
        negatives=random_negatives(rng),
        recorder=random_recorder(rng, part=part, least_hz=0.0),
    )
    return with_sane_gain(scene)


def with_sane_gain(scene: Scene) -> Scene:
    """The scene with full scale at least 25 dB over its flow and ship noise, as whoever set the gain saw to."""
    ambient_db = scene.ambient.flow_db + 12
    ships_db = [ship.source_db + 20 - 18 * np.log10(ship.closest_m) for ship in scene.ships]
    full_scale_db = max(scene.recorder.full_scale_db, max([ambient_db, *ships_db]) + 25)
    return scene.model_copy(
        update={"recorder": scene.recorder.model_copy(update={"full_scale_db": float(full_scale_db)})}
    )


def _bouts(rng: np.random.Generator, name: str) -> CallBouts:
    return CallBouts(bouts_per_min=_log_uniform(rng, 0.5, 8), snr_db=SNR_DB[name])


def random_ambient(rng: np.random.Generator, *, part: Part, noisy: bool) -> Ambient:
    """Wind, rain, flow and ice; with noisy False, a quiet sea without rain, ice and strong flow."""
    test = part == "test"
    return Ambient(
        wind_m_s=rng.uniform(0, 22 if test else 17),
        rain_mm_h=_log_uniform(rng, 0.3, 60) if noisy and rng.random() < 0.3 else 0.0,
        traffic=rng.uniform(0, 1),
        flow_db=rng.uniform(90, 150) if noisy and rng.random() < 0.4 else rng.uniform(30, 90),
        flow_slope_db=rng.uniform(25, 32) if test else rng.uniform(32, 55),
        melt_db=rng.uniform(50, 95) if noisy and rng.random() < 0.15 else 0.0,
        ice_cracks_per_min=_log_uniform(rng, 10, 300) if noisy and rng.random() < 0.15 else 0.0,
        thermal_db=max(0.0, rng.normal(0, 6)),
        wander_db=rng.uniform(2, 6) if test else rng.uniform(0, 4),
    )


def random_ship(rng: np.random.Generator, *, part: Part) -> Ship:
    """A vessel near its closest point within the first minute."""
    test = part == "test"
    return Ship(
        source_db=rng.uniform(125, 170),
        slope_db=rng.uniform(20, 28) if test else rng.uniform(12, 24),
        speed_m_s=rng.uniform(14, 25) if test else rng.uniform(1, 16),
        closest_m=_log_uniform(rng, 30, 5000),
        closest_s=rng.uniform(-60, 60),
        shaft_hz=rng.uniform(8, 40) if test else _log_uniform(rng, 0.8, 30),
        blades=int(rng.integers(2, 4)) if test else int(rng.integers(3, 8)),
        modulation=rng.uniform(0, 0.9),
        tonal_db=rng.uniform(0, 25),
        depth_m=rng.uniform(0.4, 8),
        receiver_depth_m=_log_uniform(rng, 2, 150),
    )


def random_negatives(rng: np.random.Generator, *, mix: WindowMix = TRAINING_MIX) -> tuple[HardNegative, ...]:
    """In the mix's share of draws, one or two kinds (by weight); else nothing."""
    if rng.random() >= mix.negative_share:
        return ()
    kinds = [kind for kind in NEGATIVE_WEIGHTS if kind not in mix.without]
    weights = np.array([NEGATIVE_WEIGHTS[kind] for kind in kinds])
    chosen = rng.choice(kinds, int(rng.integers(1, 3)), replace=False, p=weights / weights.sum())
    return tuple(HardNegative(kind=str(kind), per_min=_log_uniform(rng, 2, 40), snr_db=(3, 38)) for kind in chosen)


def foreign_recorder(rng: np.random.Generator) -> Recorder:
    """A coarse instrument: bits, tilt, gain of the resonance, high-pass and hum beyond `random_recorder`'s ranges.

    Full scale, the resonance's frequency and the electrical lines' levels overlap with those ranges; lines and hum,
    seldom there, are always here.
    """
    lines = tuple(
        ElectricalLine(hz=_log_uniform(rng, 200, 180e3), dbfs=rng.uniform(-80, -50), harmonics=int(rng.integers(0, 12)))
        for _ in range(int(rng.integers(1, 4)))
    )
    return Recorder(
        full_scale_db=rng.uniform(150, 190),
        self_noise_dbfs=rng.uniform(-56, -45),
        bits=10,
        high_pass_hz=_log_uniform(rng, 1500, 3000),
        tilt_db=rng.uniform(8, 14),
        resonance_hz=_log_uniform(rng, 20e3, 170e3),
        resonance_db=rng.uniform(10, 16),
        dc=rng.normal(0, 0.02),
        mains_hz=60.0,
        hum_dbfs=rng.uniform(-45, -30),
        hum_harmonics=int(rng.integers(20, 40)),
        lines=lines,
    )


def random_recorder(rng: np.random.Generator, *, part: Part, least_hz: float) -> Recorder:
    """An instrument that carries at least `least_hz`; often band-limited, as most recordings in the world are."""
    test = part == "test"
    limited = least_hz < 150e3 and rng.random() < 0.45
    lines = tuple(
        ElectricalLine(hz=_log_uniform(rng, 60, 180e3), dbfs=rng.uniform(-110, -55), harmonics=int(rng.integers(0, 8)))
        for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.08 else 0)
    )
    bits = int(rng.choice([14, 20] if test else [12, 16, 16, 16, 24, 32]))
    return Recorder(
        full_scale_db=rng.uniform(150, 190),
        # the noise moves the last bit, in any converter worth its bits
        self_noise_dbfs=max(rng.uniform(-100, -55), -6.02 * (bits - 1) - 4),
        bits=bits,
        low_pass_hz=_log_uniform(rng, max(least_hz, 4e3), 160e3) if limited else None,
        high_pass_hz=_log_uniform(rng, 1, 1500),
        tilt_db=rng.uniform(-12, -4) if test else rng.uniform(-6, 8),
        resonance_hz=_log_uniform(rng, 15e3, 60e3) if test else _log_uniform(rng, 50e3, 190e3),
        resonance_db=rng.uniform(-5, 10) if rng.random() < 0.5 else 0.0,
        clip_at=rng.uniform(0.6, 1) if rng.random() < 0.1 else 1.0,
        dc=rng.normal(0, 0.003) if rng.random() < 0.3 else 0.0,
        mains_hz=float(rng.choice([50.0, 60.0])),
        hum_dbfs=rng.uniform(-90, -45) if rng.random() < 0.25 else -140.0,
        hum_harmonics=int(rng.integers(2, 40)),
        lines=lines,
    )
