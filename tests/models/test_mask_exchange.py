"""Masks go to Label Studio and to COCO and come back bit for bit, the right way up."""

import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_exchange import (
    Judgement,
    Layer,
    Picture,
    from_coco,
    from_label_studio,
    label_studio_config,
    proposed_picture,
    to_coco,
    to_label_studio,
)
from seacanary_models.mask_proposals import LABELS, Region
from seacanary_models.mask_rle import mask_of_brush_rle
from seacanary_models.mask_windows import Source, SourceWindow
from seacanary_models.proposal_files import Proposal, proposal_of

pytestmark = pytest.mark.torch


def mask_of(seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    mask = np.zeros((256, 256), np.bool_)
    row, column, height, width = rng.integers((0, 0, 1, 1), (200, 200, 56, 56))
    mask[row : row + height, column : column + width] = rng.random((height, width)) < 0.7
    mask[row, column] = True
    return mask


def proposal(scale: int, *regions: Region) -> Proposal:
    source = Source(file="a.wav", sha256="0" * 64, sample_rate_hz=9, channel=None, first_sample=4, end_sample=8)
    return proposal_of(SourceWindow(source, np.zeros((256, 256), np.uint8)), list(regions), scale=scale)


def through_json(document: object) -> Any:
    return json.loads(json.dumps(document))


def same(judged: Judgement, layers: list[Layer]) -> bool:
    merged: dict[str, NDArray[np.bool_]] = {}
    for layer in layers:
        merged[layer.label] = merged.get(layer.label, np.zeros((256, 256), np.bool_)) | layer.mask
    return merged.keys() == judged.masks.keys() and all(np.array_equal(merged[k], judged.masks[k]) for k in merged)


layer_lists = st.lists(st.builds(Layer, st.sampled_from(LABELS), st.integers(0, 10_000).map(mask_of)), max_size=4)


@settings(max_examples=12, deadline=None)
@given(layers=layer_lists, scale=st.sampled_from([1, 2]), status=st.sampled_from(["accepted", "rejected"]))
def test_decisions_survive_label_studio(layers: list[Layer], scale: int, status: Any) -> None:
    tasks = to_label_studio([Picture(proposal(scale), tuple(layers), status)])
    (judged,) = from_label_studio(through_json(tasks))
    assert same(judged, layers)
    assert (judged.proposal_id, judged.status) == (proposal(scale).id, status)


@settings(max_examples=12, deadline=None)
@given(
    layers=layer_lists,
    scale=st.sampled_from([1, 3]),
    status=st.sampled_from(["accepted", "rejected"]),
    compressed=st.booleans(),
)
def test_decisions_survive_coco(layers: list[Layer], scale: int, status: Any, compressed: bool) -> None:
    document = to_coco([Picture(proposal(scale), tuple(layers), status)], compressed=compressed)
    (judged,) = from_coco(through_json(document))
    assert same(judged, layers)
    assert (judged.proposal_id, judged.status) == (proposal(scale).id, status)


def low_whistle() -> tuple[Proposal, NDArray[np.bool_]]:
    mask = np.zeros((256, 256), np.bool_)
    mask[0:10, 5:15] = True  # the lowest frequencies, early in the window
    return proposal(2, Region(mask, 0.5, (0.0, 1875.0), 0.02, 0.06, "whistle")), mask


def test_low_frequencies_are_at_the_bottom_of_both_documents() -> None:
    picture = proposed_picture(low_whistle()[0])
    (annotation,) = to_coco([picture])["annotations"]
    assert annotation["bbox"] == [10, 492, 20, 20]
    assert annotation["area"] == 400
    result = to_label_studio([picture])[0]["predictions"][0]["result"][0]
    brushed = mask_of_brush_rle(result["value"]["rle"], height=512, width=512)
    assert coco_mask.area(annotation["segmentation"]) == brushed[492:, 10:30].sum() == brushed.sum()


def as_annotated(task: dict[str, Any], **annotation: Any) -> dict[str, Any]:
    """What Label Studio makes of a prediction that a person submits."""
    result = task["predictions"][0]["result"]
    return {"id": 1, "data": task["data"], "annotations": [{"id": 2, "was_cancelled": False, "result": result}
            | annotation]}  # fmt: skip


def test_a_submitted_proposal_is_accepted_with_its_time() -> None:
    shown, mask = low_whistle()
    (task,) = to_label_studio([proposed_picture(shown)], image_prefix="/files/")
    assert task["data"]["image"] == f"/files/{shown.id}.png"
    assert task["data"]["sha256"] == "0" * 64
    (judged,) = from_label_studio([as_annotated(task, updated_at="2026-05-01T10:00:00.500Z")])
    np.testing.assert_array_equal(judged.masks["whistle"], mask)
    assert judged.decided_at == datetime(2026, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)


def test_what_nobody_has_judged_does_not_come_back() -> None:
    picture = proposed_picture(low_whistle()[0])
    assert from_label_studio(through_json(to_label_studio([picture]))) == []
    empty = to_coco([Picture(proposal(1), ())])
    assert from_coco(empty) == []
    assert from_coco(empty, accept_empty=True)[0].status == "accepted"


def test_the_newest_annotation_counts_and_a_skipped_task_is_rejected() -> None:
    task = to_label_studio([proposed_picture(low_whistle()[0])])[0]
    both = as_annotated(task, updated_at="2026-05-01T10:00:00Z")
    both["annotations"].append({"was_cancelled": True, "result": [], "updated_at": "2026-05-02T10:00:00Z"})
    (judged,) = from_label_studio([both])
    assert (judged.status, dict(judged.masks)) == ("rejected", {})


def test_other_results_of_a_task_are_passed_over() -> None:
    task = as_annotated(to_label_studio([proposed_picture(low_whistle()[0])])[0])
    task["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["noisy"]}})
    assert from_label_studio([task])[0].masks.keys() == {"whistle"}


def test_the_interface_offers_every_label() -> None:
    view = ET.fromstring(label_studio_config())
    assert [label.get("value") for label in view.iter("Label")] == list(LABELS)
    assert view.find("Image").get("name") == view.find("BrushLabels").get("toName")  # type: ignore[union-attr]


@pytest.mark.parametrize("document", [{}, [1], [{"id": 1}], "x", None])
def test_what_is_no_label_studio_export_is_refused(document: object) -> None:
    with pytest.raises(SeaCanaryError, match="Label Studio"):
        from_label_studio(document)


@pytest.mark.parametrize("document", [{}, [], None, {"images": [{}], "annotations": [], "categories": []}])
def test_what_is_no_coco_document_is_refused(document: object) -> None:
    with pytest.raises(SeaCanaryError, match="COCO"):
        from_coco(document)


def test_unknown_labels_and_foreign_tasks_are_refused() -> None:
    task = as_annotated(to_label_studio([proposed_picture(low_whistle()[0])])[0])
    task["annotations"][0]["result"][0]["value"]["brushlabels"] = ["song"]
    with pytest.raises(SeaCanaryError, match="'song' is no label"):
        from_label_studio([task])
    with pytest.raises(SeaCanaryError, match="proposal_id"):
        from_label_studio([task | {"data": {"image": "x.png"}}])
    document = to_coco([proposed_picture(low_whistle()[0])])
    renamed = [category | {"name": "song"} for category in document["categories"]]
    with pytest.raises(SeaCanaryError, match="'song' is no label"):
        from_coco(document | {"categories": renamed})
