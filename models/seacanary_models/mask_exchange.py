"""Masks to and from the tools in which people correct them: Label Studio (brush labels) and COCO (RLE).

What leaves is a `Picture`: a proposal with its layers. What comes back is a `Judgement`. Both hold masks in
T's orientation; the documents hold the canvas.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_canvas import IMAGE_PX, from_canvas, label_colour, to_canvas
from seacanary_models.mask_proposals import LABELS
from seacanary_models.mask_rle import brush_rle, coco_rle, mask_of_brush_rle, mask_of_coco_rle
from seacanary_models.mask_store import Status
from seacanary_models.proposal_files import PICTURE, Proposal

_FROM, _TO = "call", "spectrogram"
_MODEL: Final = "seacanary-proposals-1"


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One mask of a picture.

    Attributes:
        label: one of LABELS.
        mask: bool [256, 256] in T's orientation.
        score: of a candidate; None: a person's.
    """

    label: str
    mask: NDArray[np.bool_]
    score: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A window with its masks; `status` is None while nobody has decided."""

    proposal: Proposal
    layers: tuple[Layer, ...]
    status: Status | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a person made of a window.

    Attributes:
        masks: per label, bool [256, 256] in T's orientation.
        decided_at: as the tool says it; None: it does not.
    """

    proposal_id: str
    status: Status
    masks: Mapping[str, NDArray[np.bool_]]
    decided_at: datetime | None = None


def proposed_picture(proposal: Proposal) -> Picture:
    """A proposal as nobody has seen it yet: one layer per candidate."""
    return Picture(proposal, tuple(Layer(region.label, region.mask, region.score) for region in proposal.regions))


def label_studio_config() -> str:
    """The labelling interface that the exported tasks want."""
    brushes = "\n".join(
        f'    <Label value="{label}" background="{label_colour(bit)}"/>' for bit, label in enumerate(LABELS)
    )
    return (
        f'<View>\n  <Image name="{_TO}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{_FROM}" toName="{_TO}">\n{brushes}\n  </BrushLabels>\n</View>\n'
    )


def to_label_studio(pictures: Iterable[Picture], *, image_prefix: str = "") -> list[dict[str, Any]]:
    """Tasks to import into Label Studio: candidates become predictions, decisions become annotations.

    Args:
        pictures: what to export.
        image_prefix: where Label Studio finds the pictures, as in `/data/local-files/?d=masks/`.
    """
    return [_task(picture, image_prefix) for picture in pictures]


def from_label_studio(document: object) -> list[Judgement]:
    """Judgements of a Label Studio export (its format JSON).

    A task's newest annotation counts. A skipped task is rejected; an annotation without a brush stroke
    says that nothing is there. A task without an annotation is left out.

    Raises:
        SeaCanaryError: it is no such export, or a brush label is not one of LABELS.
    """
    if not isinstance(document, list) or not all(isinstance(task, dict) and "data" in task for task in document):
        raise SeaCanaryError("this is no Label Studio export; choose its format JSON, not JSON-MIN")
    judged = []
    for task in document:
        annotations = [one for one in task.get("annotations", []) if isinstance(one, dict)]
        if annotations:
            newest = max(annotations, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
            judged.append(_judgement_of_task(task, newest))
    return judged


def to_coco(pictures: Sequence[Picture], *, compressed: bool = True) -> dict[str, Any]:
    """A COCO data set with one annotation per mask, as RLE.

    Whether a person decided stands in each image's `status`, which is not of COCO but does no harm there.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        images.append(_coco_image(number, picture))
        for layer in picture.layers:
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, **_coco_mask(picture, layer, compressed)}
            )
    categories = [{"id": bit + 1, "name": label, "supercategory": "call"} for bit, label in enumerate(LABELS)]
    return {
        "info": {"description": "Sea Canary: masks of calls on spectrograms, low frequencies at the bottom"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def from_coco(document: object, *, accept_empty: bool = False) -> list[Judgement]:
    """Judgements of a COCO data set with RLE masks; pictures are known by their file name.

    Args:
        document: the data set.
        accept_empty: a picture without a mask says that nothing is there; else it is left out, for nobody
            may have looked at it, unless its `status` says that somebody did.

    Raises:
        SeaCanaryError: it is no such data set, or a category is not one of LABELS.
    """
    try:
        return _judgements_of_coco(document, accept_empty)
    except (KeyError, TypeError, AttributeError) as exc:
        raise SeaCanaryError(f"this is no COCO data set with images, annotations and categories: {exc!r}") from exc


def read_document(path: Path) -> object:
    """A JSON file.

    Raises:
        SeaCanaryError: it is no JSON.
    """
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as exc:
        raise SeaCanaryError(f"{path.name} is no JSON file: {exc}") from exc
    return document


def _task(picture: Picture, image_prefix: str) -> dict[str, Any]:
    proposal = picture.proposal
    results = [_brush(picture, number, layer) for number, layer in enumerate(picture.layers)]
    facts = proposal.source.model_dump(mode="json")
    task: dict[str, Any] = {
        "data": {"image": f"{image_prefix}{proposal.id}{PICTURE}", "proposal_id": proposal.id, **facts}
    }
    if picture.status is None:
        score = max((layer.score or 0.0 for layer in picture.layers), default=0.0)
        return task | {"predictions": [{"model_version": _MODEL, "score": score, "result": results}]}
    return task | {"annotations": [{"was_cancelled": picture.status == "rejected", "result": results}]}


def _brush(picture: Picture, number: int, layer: Layer) -> dict[str, Any]:
    side = picture.proposal.canvas_px
    rle = brush_rle(to_canvas(layer.mask, scale=picture.proposal.canvas_scale))
    scored = {} if layer.score is None else {"score": layer.score}
    return {
        "id": f"region{number}",
        "from_name": _FROM,
        "to_name": _TO,
        "type": "brushlabels",
        "original_width": side,
        "original_height": side,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": rle, "brushlabels": [layer.label]},
        **scored,
    }


def _judgement_of_task(task: dict[str, Any], annotation: dict[str, Any]) -> Judgement:
    proposal_id = task["data"].get("proposal_id")
    if not isinstance(proposal_id, str):
        raise SeaCanaryError("a task has no proposal_id in its data: it was not made by masks export")
    layers = []
    for result in annotation.get("result", []):
        if result.get("type") == "brushlabels":
            layers.extend(_layers_of_brush(result, proposal_id))
    said_at = annotation.get("updated_at") or annotation.get("created_at")
    return Judgement(
        proposal_id=proposal_id,
        status="rejected" if annotation.get("was_cancelled") else "accepted",
        masks=_merged(layers, proposal_id),
        decided_at=datetime.fromisoformat(said_at) if said_at else None,
    )


def _layers_of_brush(result: dict[str, Any], proposal_id: str) -> list[Layer]:
    try:
        value, height, width = result["value"], result["original_height"], result["original_width"]
        rle, labels = value["rle"], value["brushlabels"]
    except KeyError as exc:
        raise SeaCanaryError(f"{proposal_id}: a brush label lacks {exc}") from exc
    mask = from_canvas(mask_of_brush_rle(rle, height=height, width=width))
    return [Layer(label, mask) for label in labels]


def _coco_image(number: int, picture: Picture) -> dict[str, Any]:
    proposal = picture.proposal
    image = {"id": number, "file_name": f"{proposal.id}{PICTURE}", "width": proposal.canvas_px}
    return image | {"height": proposal.canvas_px, "status": picture.status}


def _coco_mask(picture: Picture, layer: Layer, compressed: bool) -> dict[str, Any]:
    canvas = to_canvas(layer.mask, scale=picture.proposal.canvas_scale)
    counted = coco_mask.encode(np.asfortranarray(canvas, np.uint8))
    scored = {} if layer.score is None else {"score": layer.score}
    return {
        "category_id": LABELS.index(layer.label) + 1,
        "segmentation": coco_rle(canvas, compressed=compressed),
        "area": int(canvas.sum()),
        "bbox": [float(side) for side in coco_mask.toBbox(counted)],
        "iscrowd": 1,  # as COCO marks an annotation that is an RLE
        **scored,
    }


def _judgements_of_coco(document: Any, accept_empty: bool) -> list[Judgement]:
    names = {category["id"]: category["name"] for category in document["categories"]}
    layers: dict[int, list[Layer]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        mask = from_canvas(mask_of_coco_rle(annotation["segmentation"]))
        layers[annotation["image_id"]].append(Layer(names[annotation["category_id"]], mask))
    judged = []
    for image in document["images"]:
        proposal_id = Path(image["file_name"]).name.removesuffix(PICTURE)
        status = image.get("status")
        if status or layers[image["id"]] or accept_empty:
            judged.append(Judgement(proposal_id, status or "accepted", _merged(layers[image["id"]], proposal_id)))
    return judged


def _merged(layers: Iterable[Layer], proposal_id: str) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for layer in layers:
        if layer.label not in LABELS:
            raise SeaCanaryError(f"{proposal_id}: '{layer.label}' is no label; choose {', '.join(LABELS)}")
        masks[layer.label] = layer.mask | masks.get(layer.label, np.zeros((IMAGE_PX, IMAGE_PX), np.bool_))
    return masks
