"""What stands in M's place where no GPU is: it sleeps as long as one is assumed to take. No GPU has been measured."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from seacanary.cluster.envelope import ImageEnvelope
from seacanary.contract import ModelContract
from seacanary.observations import CallSpan, Detection

# An assumption, not a measurement: images a second that one GPU's M judges, transfers included.
ASSUMED_IMAGES_PER_S = 2000.0
HEARD, NOT_HEARD = 0.97, 0.03
CALL_MARK = 1


@dataclass(frozen=True, slots=True)
class SleepingGpuStandIn:
    """Judges by an image's first pixel, which the benchmark sets, after a sleep.

    Attributes:
        contract: of the model in whose place it stands.
        assumed_images_per_s: speed of the GPU it stands for; None: it does not sleep at all.
    """

    contract: ModelContract
    assumed_images_per_s: float | None

    def judge(self, images: Sequence[ImageEnvelope]) -> list[Detection]:
        """One for each image, in the same order; blocks."""
        if self.assumed_images_per_s is not None:
            time.sleep(len(images) / self.assumed_images_per_s)
        return [self._detection(image) for image in images]

    def _detection(self, image: ImageEnvelope) -> Detection:
        unobserved = self.contract.unobservable(image.sample_rate_hz)
        calls = [kind for kind in self.contract.call_types if kind.name not in unobserved]
        heard = bool(image.image[0, 0] == CALL_MARK)
        spans = [CallSpan(calls[0].name, image.first_sample, image.end_sample, calls[0].band_hz)] if heard else []
        return Detection(
            hydrophone=image.hydrophone,
            epoch=image.epoch,
            first_sample=image.first_sample,
            end_sample=image.end_sample,
            sample_rate_hz=image.sample_rate_hz,
            start=image.start,
            probability={kind.name: HEARD if heard and kind is calls[0] else NOT_HEARD for kind in calls},
            unobserved=unobserved,
            spans=tuple(spans),
            mask=None,
            model_id=self.contract.model_id,
            source_file=image.source_file,
        )
