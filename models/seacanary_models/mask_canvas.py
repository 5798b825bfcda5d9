"""The canvas a person paints on: T's image as a picture, low frequencies at the bottom.

Arrays in memory are in T's orientation (row 0 is the lowest frequency); every picture and every file is
a canvas (row 0 is the highest, and each pixel of T is a square of `scale` pixels). Only `to_canvas` and
`from_canvas` turn the one into the other.
"""

import io
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from seacanary.errors import SeaCanaryError

IMAGE_PX: Final = 256
DEFAULT_SCALE: Final = 4
# One colour per combination of labels: what is marked twice is mixed; bit order as in LABELS.
_LABEL_RGB: Final = ((230, 159, 0), (86, 180, 233), (204, 121, 167), (150, 150, 150))
Pixel = TypeVar("Pixel", np.uint8, np.bool_)


def to_canvas(image: NDArray[Pixel], *, scale: int) -> NDArray[Pixel]:
    """Turn an image or mask [256, 256] upside down and enlarge it: [256 scale, 256 scale].

    Raises:
        ValueError: the array is not 256 x 256, or scale is under 1.
    """
    if image.shape != (IMAGE_PX, IMAGE_PX) or scale < 1:
        raise ValueError(f"a canvas shows 256 x 256 pixels at scale 1 or more, got {image.shape} at {scale}")
    return np.ascontiguousarray(image[::-1].repeat(scale, axis=0).repeat(scale, axis=1))


def from_canvas(painted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What a person painted, as a mask [256, 256] in T's orientation: pixels that are painted half or more.

    Args:
        painted: bool [256 scale, 256 scale], any whole scale.

    Raises:
        SeaCanaryError: the canvas is not square or no whole multiple of 256 pixels wide.
    """
    height, width = painted.shape
    if height != width or height % IMAGE_PX or not height:
        raise SeaCanaryError(f"a canvas is a square of a multiple of 256 pixels, got {width} x {height}")
    scale = height // IMAGE_PX
    covered = painted.reshape(IMAGE_PX, scale, IMAGE_PX, scale).mean(axis=(1, 3))
    return np.asarray((covered >= 0.5)[::-1], np.bool_)


def picture_png(image: NDArray[np.uint8], *, scale: int) -> bytes:
    """PNG of T's image [256, 256]: grey, nothing but pixels, exact."""
    return _png(Image.fromarray(to_canvas(image, scale=scale)))


def marks_png(marks: NDArray[np.uint8], *, scale: int) -> bytes:
    """PNG of marks [256, 256] of up to four labels; the palette index is the mark's value, exact."""
    picture = Image.fromarray(to_canvas(marks, scale=scale), mode="P")
    picture.putpalette(_palette())
    return _png(picture)


def image_of_png(png: bytes) -> NDArray[np.uint8]:
    """Image or marks [256, 256] in T's orientation, from `picture_png` or `marks_png`.

    Raises:
        SeaCanaryError: it is no PNG, not one byte a pixel, or no canvas.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
            pixels = np.asarray(picture)
    except (UnidentifiedImageError, OSError) as exc:
        raise SeaCanaryError(f"this is not a PNG picture: {exc}") from exc
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[0] % IMAGE_PX or len(set(pixels.shape)) > 1:
        raise SeaCanaryError(f"a canvas has one byte a pixel and a multiple of 256 pixels a side, got {pixels.shape}")
    scale = pixels.shape[0] // IMAGE_PX
    return np.ascontiguousarray(pixels[::scale, ::scale][::-1])


def label_colour(bit: int) -> str:
    """Colour of a label as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*_LABEL_RGB[bit])


def _palette() -> list[int]:
    colours = np.zeros((16, 3))
    for value in range(1, 16):
        colours[value] = np.mean([rgb for bit, rgb in enumerate(_LABEL_RGB) if value >> bit & 1], axis=0)
    return [int(level) for level in colours.ravel()]


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=False)
    return file.getvalue()
