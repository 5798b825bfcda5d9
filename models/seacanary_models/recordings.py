"""The real recordings: what each is, which part of the work it serves, and stretches cut from it."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from seacanary.errors import SeaCanaryError

SPLIT_FILE = Path(__file__).with_name("real_split.csv")
Part = Literal["train", "validation"]
EDGE_SAMPLES = 256
SPEED_SPREAD = 0.2  # stretches are played up to this much slower or faster
FPOD_TRAIN_DAYS = 6  # the logger's first days train, the rest validate


@dataclass(frozen=True, slots=True)
class Recording:
    """One row of the catalogue.

    Attributes:
        use: audio, clicks (stored waveforms), template, detections or unused.
        part: train, validation, or both (split inside: by day).
        use_s: seconds before the clip repeats itself; None: all of it.
        weights: per call type, in the model's order: 1 where it is a sure negative, 0 where unknown.
        group: recordings of one stream, site or night share a group and never part.
    """

    path: Path
    use: str
    part: str
    use_s: float | None
    weights: tuple[float, float, float]
    group: str
    sample_rate_hz: int | None
    licence: str
    credit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All recordings of one folder, and a hash of exactly what they are."""

    recordings: tuple[Recording, ...]
    digest: str

    def select(self, *, use: str, part: Part) -> tuple[Recording, ...]:
        """Recordings of one use that serve a part."""
        return tuple(r for r in self.recordings if r.use == use and r.part in (part, "both"))

    def one(self, use: str) -> Recording:
        """The only recording of a use.

        Raises:
            SeaCanaryError: there is none, or several.
        """
        found = [r for r in self.recordings if r.use == use]
        if len(found) != 1:
            raise SeaCanaryError(f"expected one recording of use '{use}', found {len(found)}")
        return found[0]


def read_catalogue(folder: Path, *, split: Path = SPLIT_FILE) -> Catalogue:
    """Join a folder's files.csv (origin, licence, credit) with the committed split.

    Raises:
        SeaCanaryError: files.csv is absent, a file of the split is missing, or a group is in both parts.
    """
    listing = folder / "files.csv"
    if not listing.is_file():
        raise SeaCanaryError(f"{folder} holds no files.csv; give the folder of the real recordings")
    origins = {row["file"]: row for row in _rows(listing)}
    chosen = _rows(split)
    absent = [r["file"] for r in chosen if r["file"] not in origins or not (folder / r["file"]).is_file()]
    if absent:
        raise SeaCanaryError(f"{folder} lacks {', '.join(absent)}")
    recordings = tuple(_recording(folder, row, origins[row["file"]]) for row in chosen)
    _check_groups(recordings)
    hashed = "".join(f"{r.path.name} {origins[r.path.name]['sha256']} {r.part} {r.use}\n" for r in recordings)
    return Catalogue(recordings, hashlib.sha256(hashed.encode()).hexdigest())


def read_mono(recording: Recording) -> tuple[NDArray[np.float32], int]:
    """First channel of an audio file up to where it repeats, with its rate in hertz.

    Raises:
        SeaCanaryError: libsndfile cannot read it.
    """
    try:
        samples, rate_hz = soundfile.read(recording.path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as exc:
        raise SeaCanaryError(f"{recording.path.name} cannot be read as audio: {exc}") from exc
    end = samples.shape[0] if recording.use_s is None else round(recording.use_s * rate_hz)
    mono = np.ascontiguousarray(samples[:end, 0])
    mono.flags.writeable = False
    return mono, int(rate_hz)


def plain_stretch(
    audio: NDArray[np.float32], rate_hz: int, *, start: int, to_rate_hz: int, samples: int
) -> NDArray[np.float32]:
    """Cut from `start` and resample; what the audio does not fill is zero at the end.

    Returns:
        float32 [samples] at to_rate_hz.
    """
    lead = min(start, EDGE_SAMPLES)  # so that the resampler does not ring at the cut
    needed = lead + -(-samples * rate_hz // to_rate_hz) + EDGE_SAMPLES
    cut = soxr.resample(audio[start - lead : start - lead + needed], rate_hz, to_rate_hz)
    first = round(lead * to_rate_hz / rate_hz)
    stretch = np.asarray(cut[first : first + samples], np.float32)
    return np.pad(stretch, (0, samples - stretch.size))


def varied_stretch(
    rng: np.random.Generator, audio: NDArray[np.float32], rate_hz: int, *, to_rate_hz: int, samples: int
) -> NDArray[np.float32]:
    """Cut anywhere, play up to 20 % slower or faster, sometimes backwards or upside down.

    Returns:
        float32 [samples] at to_rate_hz; zero where a short recording ends.
    """
    played_hz = round(rate_hz * (1 + rng.uniform(-SPEED_SPREAD, SPEED_SPREAD)))
    spare = audio.size - samples * played_hz // to_rate_hz
    start = int(rng.integers(0, spare)) if spare > 0 else 0
    stretch = plain_stretch(audio, played_hz, start=start, to_rate_hz=to_rate_hz, samples=samples)
    if rng.random() < 0.3:
        stretch = stretch[::-1]
    return np.ascontiguousarray(stretch * np.float32(rng.choice((-1.0, 1.0))))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _recording(folder: Path, row: dict[str, str], origin: dict[str, str]) -> Recording:
    return Recording(
        path=folder / row["file"],
        use=row["use"],
        part=row["part"],
        use_s=float(row["use_s"]) if row["use_s"] else None,
        weights=(
            float(row["whistle_weight"]),
            float(row["beluga_click_weight"]),
            float(row["porpoise_click_weight"]),
        ),
        group=row["group"],
        sample_rate_hz=int(origin["sample_rate_hz"]) if origin["sample_rate_hz"] else None,
        licence=origin["licence"],
        credit=origin["credit"],
        reason=row["reason"],
    )


def _check_groups(recordings: tuple[Recording, ...]) -> None:
    parts: dict[str, str] = {}
    for recording in recordings:
        if parts.setdefault(recording.group, recording.part) != recording.part:
            raise SeaCanaryError(f"group '{recording.group}' is in both parts of the split")
