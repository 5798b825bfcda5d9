"""Windows of a recording: their spans are exact, and their images are those of the service's windows."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from seacanary.errors import SeaCanaryError
from seacanary_models.datasets import real_windows
from seacanary_models.mask_windows import AudioFile, Source
from seacanary_models.transforms import CompositeSpectrogram

pytestmark = pytest.mark.torch


def noise(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)


def written(path: Path, samples: NDArray[np.float32], rate_hz: int) -> Path:
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return path


def test_images_are_those_of_windows_cut_from_the_whole_recording(tmp_path: Path) -> None:
    audio = noise(900_000)
    file = AudioFile(written(tmp_path / "a.wav", audio, 384_000))
    starts = file.window_starts(hop_s=0.512)
    expected = CompositeSpectrogram()(torch.from_numpy(np.stack(real_windows(audio))))[:, 0]
    images = np.stack([window.image for window in file.windows(starts)])
    np.testing.assert_allclose(images, expected * 255, atol=0.51)


@pytest.mark.parametrize(("rate_hz", "hop_s"), [(48_000, 1.024), (44_100, 0.5), (500_000, 0.4)])
def test_windows_cover_the_recording_and_end_with_it(tmp_path: Path, rate_hz: int, hop_s: float) -> None:
    frames = round(2.3 * rate_hz)
    file = AudioFile(written(tmp_path / "a.wav", np.zeros(frames, np.float32), rate_hz))
    spans = [(w.source.first_sample, w.source.end_sample) for w in file.windows(file.window_starts(hop_s=hop_s))]
    assert spans[0][0] == 0
    assert spans[-1][1] == frames
    assert {end - first for first, end in spans} == {-(-393_216 * rate_hz // 384_000)}
    assert all(later[0] <= earlier[1] for earlier, later in itertools.pairwise(spans))


def test_the_image_shows_what_its_span_holds(tmp_path: Path) -> None:
    rate_hz = 48_000
    audio = noise(5 * rate_hz) * 0.01
    audio[3 * rate_hz : 3 * rate_hz + 24_000] += np.sin(2 * np.pi * 9_000 * np.arange(24_000) / rate_hz) * 0.5
    file = AudioFile(written(tmp_path / "a.wav", audio.astype(np.float32), rate_hz))
    (window,) = file.windows([3 * rate_hz - 12_000])  # the tone begins 0.25 s into it and lasts 0.5 s
    tone = window.image[48]
    assert tone[70:180].min() > 150
    assert tone[:55].max() < 150
    assert tone[195:].max() < 150


def test_channels_are_chosen_or_averaged(tmp_path: Path) -> None:
    both = np.stack([noise(48_000), np.zeros(48_000, np.float32)], axis=1)
    path = written(tmp_path / "a.wav", both, 48_000)
    mean, first, second = (next(AudioFile(path, channel).windows([0])).image.astype(int) for channel in (None, 0, 1))
    assert second.std() == 0
    assert np.abs(mean - first)[:100, 5:-20].max() <= 2  # 6 dB of level, which the row's floor takes away
    with pytest.raises(SeaCanaryError, match="there is no 2"):
        AudioFile(path, 2).window_starts(hop_s=1.0)


def test_a_short_recording_gives_one_window(tmp_path: Path) -> None:
    file = AudioFile(written(tmp_path / "a.wav", noise(1_000), 48_000))
    (window,) = file.windows(file.window_starts(hop_s=1.0))
    assert (window.source.first_sample, window.source.end_sample) == (0, 1_000)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    with pytest.raises(SeaCanaryError, match=r"a\.wav"):
        AudioFile(tmp_path / "a.wav").window_starts(hop_s=1.0)
    with pytest.raises(SeaCanaryError, match="no samples"):
        AudioFile(written(tmp_path / "b.wav", noise(0), 48_000)).window_starts(hop_s=1.0)


def test_an_empty_span_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be after"):
        Source(file="a", sha256="0" * 64, sample_rate_hz=1, channel=None, first_sample=5, end_sample=5)
