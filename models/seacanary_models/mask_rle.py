"""Run-length encodings of masks: COCO's, in both its forms, and that of Label Studio's brush.

Masks here are bool [height, width] as they lie on the canvas.
"""

import itertools
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from seacanary.errors import SeaCanaryError

_CHANNELS: Final = 4  # the brush paints RGBA; its alpha is the mask
_ALPHA: Final = 128
_RUN_BITS: Final = (3, 4, 8, 16)  # how many bits may hold a run's length less one
_WORD_BITS: Final = 8
_HEADER: Final = (32, 5, 4, 4, 4, 4)


def coco_rle(mask: NDArray[np.bool_], *, compressed: bool) -> dict[str, Any]:
    """A COCO `segmentation`: runs down the columns, the first of them background.

    Returns:
        {"size": [height, width], "counts": str if compressed, else list of int}.
    """
    size = [int(side) for side in mask.shape]
    if compressed:
        counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
        return {"size": size, "counts": counts if isinstance(counts, str) else counts.decode("ascii")}
    flat = mask.ravel(order="F")
    edges = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    runs = [int(run) for run in np.diff(edges)]
    return {"size": size, "counts": [0, *runs] if flat[0] else runs}


def mask_of_coco_rle(segmentation: object) -> NDArray[np.bool_]:
    """The mask of either form.

    Raises:
        SeaCanaryError: it is a polygon, or its runs do not fill its size.
    """
    match segmentation:
        case {"size": [int() as height, int() as width], "counts": str() as packed} if packed:
            return _mask_of_packed(packed, height, width)
        case {"size": [int() as height, int() as width], "counts": list() as counts}:
            return _mask_of_counts(counts, height, width)
    raise SeaCanaryError("a COCO segmentation must be an RLE (size, counts); polygons are not masks")


def _mask_of_packed(packed: str, height: int, width: int) -> NDArray[np.bool_]:
    try:
        with warnings.catch_warnings():
            # pycocotools 2.0.11 was written before NumPy 2, which says so at every call.
            warnings.simplefilter("ignore", DeprecationWarning)
            runs = coco_mask.decode({"size": [height, width], "counts": packed.encode("ascii")})
    except ValueError as exc:
        raise SeaCanaryError(f"COCO counts do not fill {height} x {width}: {exc}") from exc
    return np.asarray(runs, np.bool_)


def _mask_of_counts(counts: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    if any(not isinstance(run, int) or run < 0 for run in counts) or sum(counts) != height * width:
        raise SeaCanaryError(f"COCO counts must be 0 or more and add up to {height} x {width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def brush_rle(mask: NDArray[np.bool_]) -> list[int]:
    """Label Studio's brush mask, as bytes: an RGBA image, white and opaque where the mask is.

    Source: the format of @thi.ng/rle-pack, which Label Studio's editor uses: a count of 32 bits, a word
    size, four run sizes, then runs of a flag (1: one value repeated), a run size, a length and values.
    """
    flat = np.repeat(mask.ravel(), _CHANNELS)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    header = (flat.size, _WORD_BITS - 1, *(bits - 1 for bits in _RUN_BITS))
    bits = [format(value, f"0{width}b") for value, width in zip(header, _HEADER, strict=True)]
    for start, end in itertools.pairwise(edges):
        bits.extend(_run(int(end - start), 255 if flat[start] else 0))
    packed = np.packbits(np.frombuffer("".join(bits).encode(), np.uint8) - ord("0"))
    return [int(byte) for byte in packed]


def mask_of_brush_rle(rle: Sequence[int], *, height: int, width: int) -> NDArray[np.bool_]:
    """The mask that a brush painted: where it is at least half opaque.

    Raises:
        SeaCanaryError: the bytes do not fill the size, or end early.
    """
    try:
        values = _unpacked(bytes(rle))
    except (ValueError, TypeError) as exc:
        raise SeaCanaryError(f"this is not a brush mask of Label Studio: {exc}") from exc
    if values.size != height * width * _CHANNELS:
        raise SeaCanaryError(f"a brush mask of {width} x {height} has four values a pixel, got {values.size} values")
    return np.asarray(values.reshape(height, width, _CHANNELS)[..., -1] >= _ALPHA, np.bool_)


def _run(length: int, value: int) -> list[str]:
    """One value repeated, in pieces that the longest run size holds."""
    pieces = []
    while length:
        piece = min(length, 1 << _RUN_BITS[-1])
        size = next(k for k, bits in enumerate(_RUN_BITS) if piece <= 1 << bits)
        pieces.append(f"1{size:02b}{piece - 1:0{_RUN_BITS[size]}b}{value:0{_WORD_BITS}b}")
        length -= piece
    return pieces


class _Bits:
    """Reads whole numbers off a string of bits."""

    def __init__(self, packed: bytes) -> None:
        self._bits = (np.unpackbits(np.frombuffer(packed, np.uint8)) + ord("0")).tobytes()
        self._next = 0

    def read(self, width: int) -> int:
        """The next `width` bits.

        Raises:
            ValueError: there are none left.
        """
        self._next += width
        if self._next > len(self._bits):
            raise ValueError("it ends in the middle of a run")
        return int(self._bits[self._next - width : self._next], 2)


def _unpacked(packed: bytes) -> NDArray[np.uint8]:
    bits = _Bits(packed)
    count, word, *sizes = (bits.read(width) for width in _HEADER)
    if word + 1 != _WORD_BITS:
        raise ValueError(f"its values have {word + 1} bits, not {_WORD_BITS}")
    if count > 1 << 28:
        raise ValueError(f"{count} values are more than any canvas has")
    values, done = np.zeros(count, np.uint8), 0
    while done < count:
        repeated = bits.read(1)
        end = done + 1 + bits.read(sizes[bits.read(2)] + 1)
        if end > count:
            raise ValueError("a run reaches beyond its end")
        values[done:end] = bits.read(_WORD_BITS) if repeated else [bits.read(_WORD_BITS) for _ in range(end - done)]
        done = end
    return values
