"""What is made of a clip: its picture, and a version slow enough to be heard."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import soundfile
from numpy.typing import NDArray

from seacanary.contract import ModelContract
from seacanary.detection import Detector
from seacanary.evidence.audible import audible, is_ultrasonic
from seacanary.evidence.clips import ClipAudio
from seacanary.evidence.extras import Maker
from seacanary.evidence.look import Excerpt
from seacanary.evidence.names import AUDIBLE, PICTURE, Part
from seacanary.evidence.picture import picture
from seacanary.presence_event import PresenceEvent


def makers(detector: Detector) -> Mapping[Part, Maker]:
    """Makers of what lies beside a clip, by the file they make."""

    def draw(clip: ClipAudio, event: PresenceEvent) -> bytes:
        samples, start = _samples(clip)
        missing = tuple((first - clip.first_sample, end - clip.first_sample) for first, end in clip.missing)
        return picture(Excerpt(samples, clip.sample_rate_hz, start, missing), event, detector)

    return {PICTURE: draw, **makers_without_model(detector.contract)}


def makers_without_model(contract: ModelContract) -> Mapping[Part, Maker]:
    """Makers for where M does not run: a picture shows what the model saw, and there is none.

    Args:
        contract: says which calls are too high to hear.
    """

    def slow_down(clip: ClipAudio, event: PresenceEvent) -> bytes | None:
        if not is_ultrasonic(event, contract):
            return None
        samples, start = _samples(clip)
        return audible(samples, clip.sample_rate_hz, start=start, event=event)

    return {AUDIBLE: slow_down}


def _samples(clip: ClipAudio) -> tuple[NDArray[np.float32], datetime]:
    """Samples of a clip, float32 [n], full scale ±1, and the UTC of the first."""
    samples, _ = soundfile.read(clip.path, dtype="float32")
    return np.asarray(samples, np.float32), clip.start
