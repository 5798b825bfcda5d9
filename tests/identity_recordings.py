"""Audio of six hydrophones, for a station and for a cluster to hear: simulated, recorded, and both mixed."""

import asyncio
import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from fakes import EPOCH
from seacanary.sources.simulated import SimulatedSection, SimulatedSource

AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "shared" / "data" / "audio"))
BUNDLED = Path(str(resources.files("seacanary"))) / "assets" / "orcasound_ambient.flac"
SOUNDS = {".wav", ".mp3"}
CALLS = {
    "whistle": {"bouts_per_min": 3, "snr_db": (8, 26)},
    "beluga_click": {"bouts_per_min": 1, "snr_db": (15, 35)},
    "porpoise_click": {"bouts_per_min": 2, "snr_db": (15, 35)},
}
PARTS = 5  # files of one hydrophone
PAUSE_S = 40  # before the fourth: another epoch


@dataclass(frozen=True)
class Simulated:
    """One simulated hydrophone.

    Attributes:
        rate_hz: of its recorder.
        subtype: of its files; FLOAT ones have stretches that are missing.
        scene: what is heard besides calls.
        background: whether a real recording lies under it.
    """

    rate_hz: int
    subtype: str = "PCM_16"
    scene: Mapping[str, Any] | None = None
    background: bool = False

    def write(self, folder: Path, *, seconds: float, seed: int) -> None:
        """Files that follow one another, one after a pause."""
        folder.mkdir(parents=True)
        section = SimulatedSection.model_validate(
            {
                "hydrophones": (folder.name,),
                "scene": {"seed": seed, **CALLS, **(self.scene or {})},
                "sample_rate_hz": self.rate_hz,
                "pace": "fast",
                "seconds": seconds,
                "start": EPOCH,
                "background": BUNDLED if self.background else None,
            }
        )
        asyncio.run(self._write(folder, section, seconds))

    async def _write(self, folder: Path, section: SimulatedSection, seconds: float) -> None:
        random, part_samples = np.random.default_rng(section.scene.seed), round(seconds / PARTS) * self.rate_hz
        with ExitStack() as opened:
            sounds = [
                opened.enter_context(
                    soundfile.SoundFile(folder / name, "w", self.rate_hz, 1, subtype=self.subtype, format="WAV")
                )
                for name in _names(seconds)
            ]
            async for block in SimulatedSource(section).blocks():
                samples = block.samples.copy()
                if self.subtype == "FLOAT" and random.random() < 0.02:
                    samples[: int(random.integers(1, samples.size))] = np.nan
                sounds[min(block.first_sample // part_samples, PARTS - 1)].write(samples)


SIMULATED = {
    "north": {
        "n1": Simulated(384_000),
        "n2": Simulated(96_000, subtype="FLOAT"),
        "n3": Simulated(384_000, background=True),
    },
    "south": {
        "s1": Simulated(192_000, scene={"ships": [{"closest_s": 60}]}),
        "s2": Simulated(500_000),
    },
}
RECORDED = {"south": "s3"}


def write_recordings(folder: Path, station: str, *, seconds: float) -> list[str]:
    """Write what a station's hydrophones record, each into a folder of its name; their names."""
    names = []
    for seed, (name, simulated) in enumerate(SIMULATED[station].items(), start=len(station)):
        simulated.write(folder / name, seconds=seconds, seed=seed)
        names.append(name)
    if station in RECORDED:
        _write_recorded(folder / RECORDED[station], seconds=seconds)
        names.append(RECORDED[station])
    return names


def what_is_real() -> str:
    """Which real recordings are used here."""
    return "the shared recordings" if AUDIO.is_dir() else "the recording that the demo has"


def _names(seconds: float) -> Iterator[str]:
    for part in range(PARTS):
        yield _name(EPOCH + timedelta(seconds=part * round(seconds / PARTS) + PAUSE_S * (part >= PARTS // 2 + 1)))


def _name(start: datetime) -> str:
    return f"{start:%Y%m%d_%H%M%S}.wav"


def _write_recorded(folder: Path, *, seconds: float) -> None:
    """Real recordings one after the other, each at its own rate and time, again from the first until it is enough."""
    folder.mkdir(parents=True)
    files = sorted(path for path in AUDIO.iterdir() if path.suffix.lower() in SOUNDS) if AUDIO.is_dir() else [BUNDLED]
    start, end = EPOCH, EPOCH + timedelta(seconds=seconds)
    for path in itertools.cycle(files):
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        soundfile.write(folder / _name(start), samples[:, 0], rate_hz, subtype="PCM_16")
        start += timedelta(seconds=int(samples.shape[0] / rate_hz) + 3)
        if start >= end:
            return
