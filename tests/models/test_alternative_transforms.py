"""Other transforms show the same tone and the same click in the same place as T."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seacanary_models.alternative_transforms import SHIFTED, VARIED, AlternativeTransform, alternative_image
from seacanary_models.transforms import CompositeSpectrogram

pytestmark = pytest.mark.torch
RATE_HZ, SAMPLES = 384_000, 393_216


def noise() -> NDArray[np.float32]:
    return (np.random.default_rng(0).standard_normal(SAMPLES) * 1e-4).astype(np.float32)


def with_tone(frequency_hz: float) -> NDArray[np.float32]:
    time_s = np.arange(SAMPLES) / RATE_HZ
    burst = (time_s > 0.4) & (time_s < 0.6)
    return noise() + (1e-4 * burst * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


@pytest.mark.parametrize("transform", [*VARIED, SHIFTED])
@pytest.mark.parametrize(("frequency_hz", "row"), [(3000.0, 16), (15_000.0, 80), (60_000.0, 164), (130_000.0, 234)])
def test_a_tone_lies_in_its_row_and_columns(transform: AlternativeTransform, frequency_hz: float, row: int) -> None:
    image = alternative_image(with_tone(frequency_hz), transform)
    column = int(image[row].argmax())
    assert 96 <= column <= 153
    assert abs(int(image[:, 125].argmax()) - row) <= 2
    assert image[row, 110:145].min() > image[row, :90].max()


@pytest.mark.parametrize("transform", [*VARIED, SHIFTED])
def test_a_click_lies_in_its_column(transform: AlternativeTransform) -> None:
    pcm = noise()
    at = 100 * 1536 + 700
    pcm[at : at + 40] += (0.05 * np.sin(2 * np.pi * 130_000 / RATE_HZ * np.arange(40))).astype(np.float32)
    assert abs(int(alternative_image(pcm, transform)[234].argmax()) - 100) <= 1


def test_noise_looks_alike_to_t_and_to_the_others() -> None:
    with torch.inference_mode():
        image = CompositeSpectrogram().eval()(torch.from_numpy(noise())[None])[0, 0].numpy()
    for transform in (*VARIED, SHIFTED):
        other = alternative_image(noise(), transform).astype(np.float32) / 255
        assert abs(float(np.median(other[128:])) - float(np.median(image[128:]))) < 0.06
        assert abs(float(np.median(other[:128])) - float(np.median(image[:128]))) < 0.06


def test_the_shift_is_none_of_those_met_in_training() -> None:
    assert SHIFTED not in VARIED
