"""What becomes of images the model cannot answer, and of records that are no images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cluster_scene import RUN, STATION
from fakes import COLUMNS, EPOCH, ROWS, tiny_contract
from seacanary.cluster.envelope import DetectionEnvelope, EndEnvelope, ImageEnvelope, LostEnvelope, contract_sha256
from seacanary.cluster.envelope_codec import EnvelopeRefused, encode
from seacanary.cluster.inferring import Inferring
from seacanary.metrics import Metrics
from seacanary.observations import Detection

SHA256 = contract_sha256(tiny_contract())


class Judge:
    """Answers everything but images that begin with `poison`; nothing at all once broken."""

    contract = tiny_contract()
    poison, broken = 66, False

    def judge(self, images: Sequence[ImageEnvelope]) -> list[Detection]:
        if self.broken or any(image.image[0, 0] == self.poison for image in images):
            raise RuntimeError("no answer")
        return [_detection(image) for image in images]


def image(number: int, *, pixel: int = 1) -> ImageEnvelope:
    return ImageEnvelope(
        station=STATION,
        run=RUN,
        number=number,
        hydrophone="h1",
        contract_sha256=SHA256,
        epoch=EPOCH,
        first_sample=512 * number,
        end_sample=512 * number + 1024,
        sample_rate_hz=8000,
        start=EPOCH,
        missing_fraction=0.0,
        clipped_fraction=0.0,
        source_file=None,
        image=np.full((ROWS, COLUMNS), pixel, np.uint8),
    )


END = EndEnvelope(station=STATION, run=RUN, number=9, hydrophone="h1", reason="stream_ended")


def test_an_image_without_an_answer_is_unobserved_and_the_others_are_judged() -> None:
    metrics = Metrics()
    said = Inferring(Judge(), metrics).conclude([image(0), image(1, pixel=Judge.poison), image(2), END])
    assert [type(item) for item in said] == [DetectionEnvelope, LostEnvelope, DetectionEnvelope, EndEnvelope]
    assert [item.number for item in said] == [0, 1, 2, 9]
    lost = said[1]
    assert isinstance(lost, LostEnvelope)
    assert (lost.lost.reason, lost.lost.first_sample, lost.lost.end_sample) == ("inference_failed", 512, 1536)
    count = metrics.registry.get_sample_value
    assert count("seacanary_worker_degraded_images_total", {"outcome": "failed"}) == 1
    assert count("seacanary_inference_failures_total") == 1


def test_a_model_that_answers_nothing_any_more_blames_no_image() -> None:
    judge = Judge()
    judge.broken = True
    with pytest.raises(RuntimeError, match="no answer"):
        Inferring(judge, Metrics()).conclude([image(0), image(1)])


def test_a_batch_without_images_does_not_trouble_the_model() -> None:
    judge = Judge()
    judge.broken = True
    assert Inferring(judge, Metrics()).conclude([END]) == [END]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "truncated"),
        (b"", "truncated"),
        (encode(replace(image(0), contract_sha256="0" * 64)), "same model"),
        (encode(replace(image(0), image=np.zeros((2, 2), np.uint8))), "but the model takes"),
    ],
)
def test_records_the_model_cannot_judge_are_refused(record: bytes | None, reason: str) -> None:
    with pytest.raises(EnvelopeRefused, match=reason):
        Inferring(Judge(), Metrics()).read(record)


def test_a_detection_among_the_images_is_refused() -> None:
    detection = DetectionEnvelope(
        station=STATION, run=RUN, number=0, contract_sha256=SHA256, detection=_detection(image(0))
    )
    with pytest.raises(EnvelopeRefused, match="does not belong"):
        Inferring(Judge(), Metrics()).read(encode(detection))


def _detection(of: ImageEnvelope) -> Detection:
    return Detection(
        hydrophone=of.hydrophone,
        epoch=of.epoch,
        first_sample=of.first_sample,
        end_sample=of.end_sample,
        sample_rate_hz=of.sample_rate_hz,
        start=of.start,
        probability={"whistle": 0.5},
        unobserved=frozenset(),
        spans=(),
        mask=None,
        model_id="tiny-1",
        source_file=None,
    )
