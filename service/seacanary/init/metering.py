"""A live level meter of a source, heard in a process of its own: drivers hang and abort."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seacanary.audio import AudioBlock
from seacanary.config import SourceSection
from seacanary.doctor.apart import apart_telling
from seacanary.doctor.listening import Attempt, listen
from seacanary.doctor.sources import LISTEN_LIMIT_S, OPENING_S
from seacanary.terminal import out

EVERY_S = 0.2
FLOOR_DB = -96.0
BAR_CELLS = 32
# Peaks above this leave little for a close animal; the loudest of a bar is red.
LOUD_DB = -6.0


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a hydrophone was over EVERY_S.

    Attributes:
        hydrophone: which.
        rms_db: root mean square, dB re full scale.
        peak_db: largest sample, dB re full scale.
    """

    hydrophone: str
    rms_db: float
    peak_db: float


class LevelMeter:
    """Gathers blocks of all hydrophones of a source into levels."""

    def __init__(self, tell: Callable[[Level], None]) -> None:
        self._tell = tell
        self._gathered: dict[str, list[AudioBlock]] = {}

    def hear(self, block: AudioBlock) -> None:
        """Take a block; tells a level when there is enough for one."""
        gathered = self._gathered.setdefault(block.hydrophone, [])
        gathered.append(block)
        if sum(part.samples.size for part in gathered) >= EVERY_S * block.sample_rate_hz:
            self._tell(level_of(block.hydrophone, np.concatenate([part.samples for part in gathered])))
            gathered.clear()


def level_of(hydrophone: str, samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Level:
    """Levels of float32 samples [n], full scale ±1; silence has FLOOR_DB."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return Level(hydrophone, _decibels(rms), _decibels(float(np.abs(samples).max())))


def metered(section: SourceSection) -> Attempt:
    """Hear a source for some seconds and show how loud it is meanwhile.

    Raises:
        TimeoutError: its driver hangs.
        Died: its driver ended the process that opened it.
    """
    latest: dict[str, Level] = {}
    with Live(_bars(section, latest), console=out, auto_refresh=False) as live:

        def show(level: Level) -> None:
            latest[level.hydrophone] = level
            live.update(_bars(section, latest), refresh=True)

        return apart_telling(partial(_heard, section), hear=show, limit_s=LISTEN_LIMIT_S)


def bar_of(level: Level) -> Text:
    """A bar as long as the level is above the floor."""
    cells = round(BAR_CELLS * (1 - max(FLOOR_DB, level.rms_db) / FLOOR_DB))
    style = "red" if level.peak_db > LOUD_DB else "green"
    bar = Text("█" * cells, style)
    bar.append("·" * (BAR_CELLS - cells), "dim")
    return bar.append(f" {level.rms_db:4.0f} dBFS, peak {level.peak_db:.0f}", "default")


def _heard(section: SourceSection, tell: Callable[[Level], None]) -> Attempt:
    return listen(section, opening_s=OPENING_S, hear=LevelMeter(tell).hear)


def _bars(section: SourceSection, latest: dict[str, Level]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name in section.hydrophone_names:
        table.add_row(Text(f"  {name}"), bar_of(latest[name]) if name in latest else Text("listening ...", "dim"))
    return table


def _decibels(amplitude: float) -> float:
    return max(FLOOR_DB, 20 * float(np.log10(amplitude))) if amplitude > 0 else FLOOR_DB
