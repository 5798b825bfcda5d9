"""Inferring: envelopes of many hydrophones in, what the model says of them out, in their order. No Kafka in here."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from seacanary.cluster.envelope import (
    DetectionEnvelope,
    EndEnvelope,
    Envelope,
    ImageEnvelope,
    LostEnvelope,
    contract_sha256,
)
from seacanary.cluster.envelope_codec import EnvelopeRefused, decode
from seacanary.contract import ModelContract
from seacanary.metrics import Metrics
from seacanary.observations import Detection, Unobserved, UnobservedReason

log = logging.getLogger(__name__)


class Judge(Protocol):
    """M: images in, Detections out."""

    contract: ModelContract

    def judge(self, images: Sequence[ImageEnvelope]) -> list[Detection]:
        """One for each image, in the same order; blocks."""


class Inferring:
    """Brings batches of records to the model. Blocks while it runs."""

    def __init__(self, judge: Judge, metrics: Metrics) -> None:
        self._judge, self._metrics = judge, metrics
        self._sha256 = contract_sha256(judge.contract)

    def read(self, record: bytes | None) -> ImageEnvelope | LostEnvelope | EndEnvelope:
        """The envelope of an images record.

        Raises:
            EnvelopeRefused: it is none that this worker's model can judge.
        """
        item = decode(record or b"")
        if isinstance(item, DetectionEnvelope):
            raise EnvelopeRefused("a detection does not belong among the images")
        if isinstance(item, ImageEnvelope):
            self._check(item)
        return item

    def conclude(self, items: Sequence[ImageEnvelope | LostEnvelope | EndEnvelope]) -> list[Envelope]:
        """Replace images by what the model says of them; everything else stays as it is.

        Raises:
            Exception: whatever the runtime raises, if the model answers nothing at all any more.
        """
        images = [item for item in items if isinstance(item, ImageEnvelope)]
        answers = iter(self._answers(images))
        return [next(answers) if isinstance(item, ImageEnvelope) else item for item in items]

    def _check(self, image: ImageEnvelope) -> None:
        if image.contract_sha256 != self._sha256:
            raise EnvelopeRefused(
                f"the image was made for the model contract {image.contract_sha256[:12]}, this worker has "
                f"{self._sha256[:12]} ({self._judge.contract.model_id}): stations and workers must run the same model"
            )
        transform = self._judge.contract.transform
        shape = sum(rows.count for rows in transform.rows), transform.columns
        if image.image.shape != shape:
            raise EnvelopeRefused(f"an image of {image.image.shape}, but the model takes {shape}")

    def _answers(self, images: Sequence[ImageEnvelope]) -> Iterator[Envelope]:
        if not images:
            return
        try:
            detections: Sequence[Detection | None] = self._judge.judge(images)
        except Exception:  # whatever the runtime raises; _one_by_one raises it again if it is not the images
            log.exception("the model could not answer for %d images; they are judged one by one", len(images))
            self._metrics.inference_failures.inc()
            detections = self._one_by_one(images)
        for image, answer in zip(images, detections, strict=True):
            yield self._enveloped(image, answer)

    def _one_by_one(self, images: Sequence[ImageEnvelope]) -> list[Detection | None]:
        """Find the images the model has no answer for: as in a station, they are unobserved.

        A model that has no answer for an empty image either is broken, and no image is to blame.
        """
        empty = replace(images[0], image=np.zeros_like(images[0].image))
        answers: list[Detection | None] = []
        for image in images:
            try:
                answers.extend(self._judge.judge([image]))
            except Exception:  # noqa: BLE001  # as above
                self._judge.judge([empty])
                self._metrics.worker_degraded_images.labels("failed").inc()
                answers.append(None)
        return answers

    def _enveloped(self, image: ImageEnvelope, answer: Detection | None) -> Envelope:
        if answer is None:
            return unjudged(image, "inference_failed")
        return DetectionEnvelope(
            station=image.station,
            run=image.run,
            number=image.number,
            contract_sha256=self._sha256,
            detection=answer,
            clock=image.clock,
        )


def unjudged(image: ImageEnvelope, reason: UnobservedReason) -> LostEnvelope:
    """What is said in the place of an image that the model has not judged."""
    lost = Unobserved(
        hydrophone=image.hydrophone,
        epoch=image.epoch,
        first_sample=image.first_sample,
        end_sample=image.end_sample,
        sample_rate_hz=image.sample_rate_hz,
        start=image.start,
        reason=reason,
    )
    return LostEnvelope(station=image.station, run=image.run, number=image.number, lost=lost)
