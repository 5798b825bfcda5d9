import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from event_samples import EPOCH, event
from seacanary.detection import Detector, DetectorSection
from seacanary.evidence.clips import ClipAudio
from seacanary.evidence.look import Excerpt
from seacanary.evidence.makers import makers
from seacanary.evidence.names import AUDIBLE, PICTURE
from seacanary.evidence.picture import picture

RATE_HZ = 384_000
CLICKS = event(0).model_copy(update={"call_types": ("beluga_click",)})


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(DetectorSection(sessions=1))


@pytest.fixture
def clip(tmp_path: Path) -> ClipAudio:
    """Two seconds that begin at sample 5000 of their epoch, the last half second missing."""
    samples = np.random.default_rng(1).normal(0, 0.01, 2 * RATE_HZ).astype(np.float32)
    samples[-RATE_HZ // 2 :] = 0
    path = tmp_path / "clip.flac"
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_24")
    end = 5000 + 2 * RATE_HZ
    return ClipAudio(path, RATE_HZ, EPOCH, 5000, (9000, 100_000), ((end - RATE_HZ // 2, end),))


def test_the_picture_is_that_of_the_clip_with_what_it_misses(detector: Detector, clip: ClipAudio) -> None:
    samples, _ = soundfile.read(clip.path, dtype="float32")
    excerpt = Excerpt(samples, RATE_HZ, EPOCH, ((3 * RATE_HZ // 2, 2 * RATE_HZ),))
    assert makers(detector)[PICTURE](clip, CLICKS) == picture(excerpt, CLICKS, detector)


def test_only_ultrasonic_calls_have_an_audible_version_ten_times_as_long(detector: Detector, clip: ClipAudio) -> None:
    make = makers(detector)[AUDIBLE]
    flac = make(clip, CLICKS)
    assert flac is not None
    assert soundfile.info(io.BytesIO(flac)).duration == pytest.approx(20, abs=0.01)
    assert make(clip, CLICKS.model_copy(update={"call_types": ("whistle",)})) is None
