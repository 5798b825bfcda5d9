"""Reads F-POD train files (FP3): the time, pitch and loudness of every click a porpoise logger kept."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seacanary.errors import SeaCanaryError

HEADER_BYTES = 1024
RECORD_BYTES = 16
CLICK_BELOW, TRAIN_RECORD, MINUTE_RECORD = 184, 249, 254  # first byte of a record
TICK_US = 5
IPI_TICK_PER_MS = 4000  # inter-peak intervals are in 250 ns: kHz = 4000 / interval
NEWER_FPGA = 801  # later firmware measures the pitch at the loudest cycle, older ones just before it
EPOCH = datetime(1900, 1, 1, tzinfo=UTC)  # minutes in the header count from here
NBHF, OTHER_CETACEAN, UNCLASSED, SONAR = 0, 1, 2, 3  # narrow-band high frequency: porpoises


@dataclass(frozen=True, slots=True, eq=False)
class FpodClicks:
    """Every click of one FP3 file, in time order; all arrays have shape [clicks] and are read-only.

    Attributes:
        first_minute: UTC of minute 0.
        minute: int64, whole minutes since `first_minute`.
        time_us: int64, microseconds into the minute, in steps of 5.
        cycles: int64, number of cycles.
        frequency_khz: float64, from the inter-peak interval at the loudest cycle.
        amplitude: float64, loudest cycle, raw logger units 2 to 255.
        train: int64, train number within the minute; 0 outside any train.
        species: int64, NBHF, OTHER_CETACEAN, UNCLASSED or SONAR.
        quality: int64, 0 (doubtful) to 3 (high), as the logger's classifier graded the train.
    """

    first_minute: datetime
    minute: NDArray[np.int64]
    time_us: NDArray[np.int64]
    cycles: NDArray[np.int64]
    frequency_khz: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    train: NDArray[np.int64]
    species: NDArray[np.int64]
    quality: NDArray[np.int64]

    def __len__(self) -> int:
        return self.minute.size

    def day(self) -> NDArray[np.int64]:
        """Calendar days (UTC) since the day of minute 0, one per click."""
        offset_min = self.first_minute.hour * 60 + self.first_minute.minute
        return (self.minute + offset_min) // (24 * 60)


def read_fp3(path: Path) -> FpodClicks:
    """Decode an FP3 file.

    Raises:
        SeaCanaryError: the file is too short for one, or holds no minute.

    Source: record layout as published with the R package `fpod` (Moan, CRAN).
    """
    content = np.fromfile(path, np.uint8)
    if content.size < HEADER_BYTES + RECORD_BYTES:
        raise SeaCanaryError(f"{path.name}: {content.size} bytes is too short for an FP3 file")
    header = content[:HEADER_BYTES].astype(np.int64)
    whole = (content.size - HEADER_BYTES) // RECORD_BYTES * RECORD_BYTES
    records = content[HEADER_BYTES : HEADER_BYTES + whole].reshape(-1, RECORD_BYTES).astype(np.int64)
    if not (records[:, 0] == MINUTE_RECORD).any():
        raise SeaCanaryError(f"{path.name}: no minute records, so not an FP3 file")
    return _decode(header, records)


def _decode(header: NDArray[np.int64], records: NDArray[np.int64]) -> FpodClicks:
    kind = records[:, 0]
    is_click = kind < CLICK_BELOW
    clicks = records[is_click]
    # A train record stands before the click it describes.
    ahead = np.cumsum(is_click)
    labelled = (kind == TRAIN_RECORD) & (ahead < clicks.shape[0])
    verdict = np.zeros((clicks.shape[0], 3), np.int64)
    verdict[:, 1] = UNCLASSED
    described = records[labelled]
    verdict[ahead[labelled]] = np.stack((described[:, 15], (described[:, 14] >> 2) & 3, described[:, 14] & 3), axis=1)
    firmware = (header[39] << 8) | header[40]
    interval = clicks[:, 6 if firmware > NEWER_FPGA else 5] + 1
    first_min = int(sum(header[256 + i] << (8 * (3 - i)) for i in range(4)))
    columns = {
        "minute": (np.cumsum(kind == MINUTE_RECORD) - 1)[is_click],
        "time_us": ((clicks[:, 0] << 16) | (clicks[:, 1] << 8) | clicks[:, 2]) * TICK_US,
        "cycles": clicks[:, 3].copy(),
        "frequency_khz": IPI_TICK_PER_MS / interval,
        "amplitude": np.maximum(clicks[:, 10], 2).astype(np.float64),
        "train": verdict[:, 0].copy(),
        "species": verdict[:, 1].copy(),
        "quality": verdict[:, 2].copy(),
    }
    for column in columns.values():
        column.flags.writeable = False
    return FpodClicks(first_minute=EPOCH + timedelta(minutes=first_min), **columns)
