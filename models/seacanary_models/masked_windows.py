"""Windows with exact masks, whatever file they come from, to learn segmentation from."""

from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_store import MaskStore, accepted_windows
from seacanary_models.scenes import CALL_TYPES

CALL_BITS: Final = (1 << len(CALL_TYPES)) - 1  # of marks; a bit above them is no call type


class MaskedWindows(NamedTuple):
    """Images with exact masks.

    Attributes:
        image: uint8 [n, 256, 256], 255 = the top of T's range.
        call: bool [n, 256, 256], True where any call is.
    """

    image: NDArray[np.uint8]
    call: NDArray[np.bool_]

    def chosen(self, indices: NDArray[np.int64] | slice) -> Self:
        """Some of the windows."""
        return self._replace(image=self.image[indices], call=self.call[indices])


def read_masked_windows(path: Path) -> MaskedWindows:
    """Windows with `image` and `marks` from an NPZ file, a folder of NPZ shards, or a store of accepted masks.

    Raises:
        SeaCanaryError: there are no such windows.
    """
    if path.suffix == ".sqlite" and path.is_file():
        with MaskStore(path) as store:
            image, marks = accepted_windows(store)
        return masked_windows(image, marks)
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    try:
        shards = [np.load(file) for file in files]
        image, marks = (np.concatenate([shard[name] for shard in shards]) for name in ("image", "marks"))
    except (OSError, ValueError, KeyError) as exc:
        raise SeaCanaryError(f"{path} holds no windows with image and marks: {exc}") from exc
    return masked_windows(image, marks)


def masked_windows(image: NDArray[np.uint8], marks: NDArray[np.uint8]) -> MaskedWindows:
    """Windows from images and marks (bit k set where a call of type k is heard)."""
    return MaskedWindows(image, (marks & CALL_BITS) > 0)


def split_windows(
    windows: MaskedWindows, *, masks: int, held_out: int, seed: int
) -> tuple[MaskedWindows, MaskedWindows]:
    """Windows to learn from, all with a call, and others to measure on, drawn by the seed.

    Raises:
        SeaCanaryError: there are too few.
    """
    order = np.random.default_rng(seed).permutation(len(windows.image))
    rest = windows.chosen(order[held_out:])
    return teachers(rest, masks=masks, seed=seed), windows.chosen(order[:held_out])


def teachers(windows: MaskedWindows, *, masks: int, seed: int) -> MaskedWindows:
    """As many windows with a call, in an order drawn by the seed.

    Raises:
        SeaCanaryError: there are too few.
    """
    with_call = np.flatnonzero(windows.call.any(axis=(1, 2)))
    if with_call.size < masks:
        raise SeaCanaryError(f"{masks} masks are asked for, but {with_call.size} windows to learn from hold a call")
    return windows.chosen(np.random.default_rng((seed, 1)).permutation(with_call)[:masks])


def doubled(windows: MaskedWindows) -> MaskedWindows:
    """The windows, and after them the same flipped in time."""
    image, call = windows
    return MaskedWindows(np.concatenate([image, image[:, :, ::-1]]), np.concatenate([call, call[:, :, ::-1]]))


def digest_of(*sets: MaskedWindows) -> str:
    """SHA-256 of images and masks."""
    hashed = sha256()
    for windows in sets:
        hashed.update(windows.image.tobytes())
        hashed.update(np.packbits(windows.call).tobytes())
    return hashed.hexdigest()
