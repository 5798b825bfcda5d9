"""Proposals on disk: per window a picture to paint on, its marks as a picture, and one JSON document.

A folder holds `<id>.png` (the canvas: grey, nothing but pixels), `<id>.marks.png` (the same size, one
colour per combination of labels) and `<id>.json` (a `Proposal`).
"""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_canvas import IMAGE_PX, from_canvas, marks_png, picture_png, to_canvas
from seacanary_models.mask_proposals import COLUMN_S, Region, marks_of
from seacanary_models.mask_rle import coco_rle, mask_of_coco_rle
from seacanary_models.mask_windows import Source, SourceWindow
from seacanary_models.transforms import TRANSFORM

Label = Literal["whistle", "beluga_click", "porpoise_click", "unknown"]
PICTURE, MARKS, DOCUMENT = ".png", ".marks.png", ".json"
_TRANSFORM_HASH: Final = sha256(TRANSFORM.model_dump_json().encode()).hexdigest()


class ProposedRegion(BaseModel):
    """One candidate, as a person is shown it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Label = Field(description="likely call type by band and shape")
    score: float = Field(ge=0, le=1, description="how sure it is that a sound is there, not that it is a call")
    band_hz: tuple[float, float] = Field(description="half-open")
    onset_s: float = Field(ge=0, description="from the window's start")
    offset_s: float = Field(description="from the window's start, exclusive")
    segmentation: dict[str, Any] = Field(description="COCO RLE, compressed, on the canvas")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool [256, 256] in T's orientation."""
        return from_canvas(mask_of_coco_rle(self.segmentation))


class Proposal(BaseModel):
    """What is proposed for one window. The canvas shows low frequencies at the bottom: its row 0 is the highest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    id: str = Field(pattern=r"^[\w.-]+$", description="of the window: the same span of the same file has the same id")
    source: Source
    transform_sha256: str = Field(description="of the parameters of T that the picture was made with")
    canvas_scale: int = Field(gt=0, description="canvas pixels per side of one pixel of T's 256 x 256 image")
    row_step_hz: tuple[float, float] = Field(description="hertz per image row in the lower and the upper half")
    column_s: float = Field(gt=0, description="seconds per image column")
    regions: tuple[ProposedRegion, ...] = Field(description="best first")

    @property
    def digest(self) -> str:
        """SHA-256 of exactly what is proposed."""
        return sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def canvas_px(self) -> int:
        """Side of the canvas."""
        return IMAGE_PX * self.canvas_scale


def proposal_of(window: SourceWindow, regions: list[Region], *, scale: int) -> Proposal:
    """Describe the candidates of a window."""
    low, high = TRANSFORM.rows
    return Proposal(
        id=window_id(window.source),
        source=window.source,
        transform_sha256=_TRANSFORM_HASH,
        canvas_scale=scale,
        row_step_hz=(low.step_hz, high.step_hz),
        column_s=COLUMN_S,
        regions=tuple(_described(region, scale) for region in regions),
    )


def window_id(source: Source) -> str:
    """Name of a window: the file's name and the span for people, a hash of all that decides it for machines."""
    key = sha256(f"{source.model_dump_json()} {_TRANSFORM_HASH}".encode()).hexdigest()
    stem = re.sub(r"[^\w-]+", "_", Path(source.file).stem, flags=re.ASCII)[:60]
    return f"{stem}-{source.first_sample:010d}-{key[:10]}"


def write_proposal(folder: Path, window: SourceWindow, regions: list[Region], *, scale: int) -> Proposal:
    """Write a window's three files; the document last, so that a folder never holds half a proposal."""
    proposal = proposal_of(window, regions, scale=scale)
    (folder / f"{proposal.id}{PICTURE}").write_bytes(picture_png(window.image, scale=scale))
    (folder / f"{proposal.id}{MARKS}").write_bytes(marks_png(marks_of(regions), scale=scale))
    (folder / f"{proposal.id}{DOCUMENT}").write_text(proposal.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return proposal


def read_proposals(folder: Path) -> dict[str, Proposal]:
    """All proposals of a folder by id, in the order of their ids.

    Raises:
        SeaCanaryError: there are none, or a document is damaged.
    """
    paths = sorted(folder.glob(f"*{DOCUMENT}"))
    if not paths:
        raise SeaCanaryError(f"{folder} holds no proposals; write some with: seacanary-models masks propose")
    proposals = [_read(path) for path in paths]
    return {proposal.id: proposal for proposal in proposals}


def read_picture(folder: Path, proposal_id: str) -> bytes:
    """PNG of a proposal's canvas.

    Raises:
        SeaCanaryError: the file is missing.
    """
    path = folder / f"{proposal_id}{PICTURE}"
    if not path.is_file():
        raise SeaCanaryError(f"{folder} lacks {path.name}, the picture of a proposal")
    return path.read_bytes()


def _read(path: Path) -> Proposal:
    try:
        return Proposal.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        first = exc.errors()[0]
        raise SeaCanaryError(f"{path.name} is no proposal: {first['loc']}: {first['msg']}") from exc


def _described(region: Region, scale: int) -> ProposedRegion:
    return ProposedRegion.model_validate(
        {
            "label": region.label,
            "score": round(region.score, 4),
            "band_hz": region.band_hz,
            "onset_s": region.onset_s,
            "offset_s": region.offset_s,
            "segmentation": coco_rle(to_canvas(region.mask, scale=scale), compressed=True),
        }
    )
