"""Rebuilds porpoise click trains as sound, from what an F-POD logged of them."""

from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from seacanary.simulation import porpoise_click
from seacanary_models.fpod import NBHF, FpodClicks
from seacanary_models.recordings import FPOD_TRAIN_DAYS, Part, Recording

TEMPLATE_PEAK_HZ = 135_000.0
TEMPLATE_UPSAMPLING = 8  # linear interpolation is then good to 0.1 dB at 150 kHz
FEWEST_CLICKS = 3


@dataclass(frozen=True, slots=True, eq=False)
class LoggedTrain:
    """The porpoise clicks of one window.

    Attributes:
        offset_s: float64 [clicks], seconds into the window.
        frequency_hz: float64 [clicks].
        cycles: int64 [clicks].
        amplitude: float64 [clicks], loudest = 1.
        quality: 0 (doubtful) to 3 (high): the best train of the window.
    """

    offset_s: NDArray[np.float64]
    frequency_hz: NDArray[np.float64]
    cycles: NDArray[np.int64]
    amplitude: NDArray[np.float64]
    quality: int


@dataclass(frozen=True, slots=True, eq=False)
class ClickTemplate:
    """The reference porpoise click, finely sampled.

    Attributes:
        samples: float64 [n], peak 1.
        step_s: seconds between samples.
    """

    samples: NDArray[np.float64]
    step_s: float


def read_template(recording: Recording) -> ClickTemplate:
    """Read the reference click and sample it eight times finer."""
    samples, rate_hz = soundfile.read(recording.path, dtype="float64")
    heard = np.flatnonzero(samples)
    cut = samples[max(0, heard[0] - 32) : heard[-1] + 32]
    fine = signal.resample(cut, cut.size * TEMPLATE_UPSAMPLING)
    return ClickTemplate(fine / np.abs(fine).max(), 1 / (rate_hz * TEMPLATE_UPSAMPLING))


def part_of(clicks: FpodClicks, part: Part) -> NDArray[np.int64]:
    """Indices of the porpoise clicks whose day belongs to a part, in time order."""
    early = clicks.day() < FPOD_TRAIN_DAYS
    return np.flatnonzero((clicks.species == NBHF) & (early if part == "train" else ~early))


def draw_train(
    rng: np.random.Generator, clicks: FpodClicks, chosen: NDArray[np.int64], *, window_s: float
) -> LoggedTrain:
    """Draw a window around one of the chosen clicks, such that it holds at least three."""
    time_s = clicks.minute[chosen] * 60.0 + clicks.time_us[chosen] * 1e-6
    while True:
        start_s = time_s[rng.integers(chosen.size)] - rng.uniform(0.1, 0.9) * window_s
        low, high = np.searchsorted(time_s, (start_s, start_s + window_s))
        if high - low >= FEWEST_CLICKS:
            break
    inside = chosen[low:high]
    return LoggedTrain(
        offset_s=time_s[low:high] - start_s,
        frequency_hz=clicks.frequency_khz[inside] * 1000.0,
        cycles=clicks.cycles[inside],
        amplitude=clicks.amplitude[inside] / clicks.amplitude[inside].max(),
        quality=int(clicks.quality[inside].max()),
    )


def render_train(
    rng: np.random.Generator,
    train: LoggedTrain,
    template: ClickTemplate,
    *,
    sample_rate_hz: int,
    samples: int,
) -> NDArray[np.float32]:
    """Sound of a train: each train either of reference clicks, stretched to pitch, or of simulated ones.

    Returns:
        float32 [samples], loudest click near 1.
    """
    pcm = np.zeros(samples, np.float32)
    from_template = rng.random() < 0.5
    for offset_s, frequency_hz, cycles, amplitude in zip(
        train.offset_s, train.frequency_hz, train.cycles, train.amplitude, strict=True
    ):
        start = int(offset_s * sample_rate_hz)
        if from_template:
            lag_s = start / sample_rate_hz - offset_s
            click = _stretched(template, frequency_hz / TEMPLATE_PEAK_HZ, sample_rate_hz, lag_s=lag_s)
        else:
            duration_s = float(np.clip(cycles, 6, 24)) / frequency_hz
            click = porpoise_click(
                rng, sample_rate_hz=sample_rate_hz, centre_hz=float(frequency_hz), duration_s=duration_s
            )
        room = min(click.size, samples - start)
        pcm[start : start + room] += np.float32(amplitude) * click[:room]
    return pcm


def _stretched(template: ClickTemplate, pitch: float, sample_rate_hz: int, *, lag_s: float) -> NDArray[np.float32]:
    length_s = template.samples.size * template.step_s / pitch
    at = (np.arange(int(length_s * sample_rate_hz) + 1) / sample_rate_hz + lag_s) * pitch / template.step_s
    return np.interp(at, np.arange(template.samples.size), template.samples, 0, 0).astype(np.float32)
