from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from byte_models import write_byte_model
from fakes import EPOCH, tiny_contract
from seacanary.audio import Window
from seacanary.detection import Detector, DetectorSection
from seacanary.errors import ModelRefused
from seacanary.image_detection import ImageJudge, Transformer
from seacanary.observations import Detection
from seacanary.simulation import Scene, Soundscape


@dataclass(frozen=True)
class Image:
    hydrophone: str
    image: NDArray[np.uint8]
    epoch: datetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    start: datetime
    source_file: str | None


def image_of(window: Window, image: NDArray[np.uint8]) -> Image:
    return Image(
        window.hydrophone,
        image,
        window.epoch,
        window.first_sample,
        window.end_sample,
        window.sample_rate_hz,
        window.start,
        window.source_file,
    )


def windows(count: int) -> list[Window]:
    """Sounds of random loudness in a stream at 8 kHz and one too slow for porpoises."""
    rng, samples = np.random.default_rng(5), tiny_contract().window_samples
    sounds = rng.uniform(-1, 1, (count, samples)).astype(np.float32) * rng.uniform(0, 1, (count, 1)).astype(np.float32)
    return [
        Window("h1", pcm, EPOCH, EPOCH, 512 * i, 512 * i + samples, (8000, 4000)[i % 2], source_file="a.wav")
        for i, pcm in enumerate(sounds)
    ]


def comparable(detection: Detection) -> dict[str, object]:
    return {
        name: getattr(detection, name).tobytes() if name == "mask" else getattr(detection, name)
        for name in Detection.__dataclass_fields__
    }


@pytest.mark.parametrize(("sessions", "steps"), [(1, 255), (3, 255), (1, 63)])
def test_t_and_m_apart_say_to_the_bit_what_they_say_chained(tmp_path: Path, sessions: int, steps: int) -> None:
    folder = write_byte_model(tmp_path, tiny_contract(image_steps=steps))
    section = DetectorSection(path=folder, sessions=sessions, keep_masks=True)
    detector, transformer, judge = Detector.load(section), Transformer.load(section), ImageJudge.load(section)
    heard = windows(24)
    images = transformer.images(heard)
    apart = judge.judge([image_of(w, image) for w, image in zip(heard, images, strict=True)])
    chained = detector.detect(heard)
    assert [comparable(d) for d in apart] == [comparable(d) for d in chained]
    assert any(d.spans for d in chained)
    assert {d.unobserved for d in chained} == {frozenset(), frozenset({"porpoise_click"})}
    for part in (detector, transformer, judge):
        part.close()


@pytest.mark.parametrize("steps", [255, 63])
def test_images_are_bytes_of_the_contracts_shape_and_read_only(tmp_path: Path, steps: int) -> None:
    folder = write_byte_model(tmp_path, tiny_contract(image_steps=steps))
    transformer = Transformer.load(DetectorSection(path=folder))
    loud = Window("h1", np.full(1024, 3.0, np.float32), EPOCH, EPOCH, 0, 1024, 8000)
    (image,) = transformer.images([loud])
    assert (image.dtype, image.shape) == (np.uint8, (4, 16))
    assert image.min() == image.max() == steps  # what is over the scale stays at its end
    assert not image.flags.writeable
    transformer.close()


def test_each_half_needs_only_its_own_file(tmp_path: Path) -> None:
    folder = write_byte_model(tmp_path)
    section = DetectorSection(path=folder)
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    Transformer.load(section).close()
    with pytest.raises(ModelRefused, match=r"model.onnx: no such model file"):
        ImageJudge.load(section)
    (folder / "transform.onnx").unlink()
    (tmp_path / "elsewhere.onnx").rename(folder / "model.onnx")
    ImageJudge.load(section).close()
    with pytest.raises(ModelRefused, match=r"transform.onnx: no such model file"):
        Transformer.load(section)


def test_an_image_of_another_model_is_refused(tmp_path: Path) -> None:
    judge = ImageJudge.load(DetectorSection(path=write_byte_model(tmp_path)))
    (window,) = windows(1)
    with pytest.raises(ModelRefused, match=r"h1: an image of \(256, 256\), but M takes \(4, 16\)"):
        judge.judge([image_of(window, np.zeros((256, 256), np.uint8))])
    judge.close()


def test_no_images_no_answers(tmp_path: Path) -> None:
    section = DetectorSection(path=write_byte_model(tmp_path))
    judge, transformer = ImageJudge.load(section), Transformer.load(section)
    assert judge.judge([]) == []
    assert transformer.images([]) == []
    judge.close()
    transformer.close()


def test_the_bundled_model_says_the_same_of_bytes_as_of_sound() -> None:
    section = DetectorSection(sessions=1, keep_masks=True)
    detector, transformer, judge = Detector.load(section), Transformer.load(section), ImageJudge.load(section)
    contract = detector.contract
    heard = []
    for seed in (1, 2):
        scape = Soundscape(Scene(seed=seed), sample_rate_hz=contract.sample_rate_hz)
        pcm = np.concatenate([scape.render(contract.window_samples // 4).samples for _ in range(8)]).astype(np.float32)
        heard += [
            Window("h1", pcm[first : first + contract.window_samples], EPOCH, EPOCH, first, first + 1, 384_000)
            for first in range(0, pcm.size - contract.window_samples + 1, contract.hop_samples)
        ]
    images = transformer.images(heard)
    apart = judge.judge([image_of(w, image) for w, image in zip(heard, images, strict=True)])
    assert [comparable(d) for d in apart] == [comparable(d) for d in detector.detect(heard)]
    for part in (detector, transformer, judge):
        part.close()
