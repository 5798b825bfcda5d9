"""Recent audio on request: any stretch of the last minutes that the spool still holds, event or not."""

import asyncio
import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from seacanary.errors import SeaCanaryError
from seacanary.evidence.clips import ClipLayout, Held, lay_out, span_between
from seacanary.evidence.files import guano_of_stretch
from seacanary.evidence.flac import Encoded, SamplesGone, encode
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.spool import Heard, Spool

MOST_WAITING = 4  # stretches that are cut or wait for it; a minute at 384 kHz takes a second or two of one core
BUSY_S = 5.0


class AudioRefused(SeaCanaryError):
    """A stretch of audio cannot be given."""


class AudioUnknown(AudioRefused):
    """There never was such audio here."""


class AudioGone(AudioRefused):
    """It has made room for newer audio."""


class AudioTooLong(AudioRefused):
    """More is asked for at once than may be."""


class AudioLater(AudioRefused):
    """Not now; asking again may help.

    Attributes:
        retry_s: after how long, seconds; None: nobody knows.
    """

    def __init__(self, message: str, retry_s: float | None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class AudioNotYet(AudioLater):
    """It has not been heard yet."""


class AudioBusy(AudioLater):
    """Too many ask at once."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Audio as a FLAC file.

    Attributes:
        layout: which samples it holds, and which are zeros because nobody has them.
        encoded: the file, with its metadata in it (GUANO).
    """

    layout: ClipLayout
    encoded: Encoded

    @property
    def start(self) -> datetime:
        """UTC of its first sample."""
        return self.layout.span.utc(self.layout.clip[0])


class RecentAudio:
    """Cuts stretches out of the spool, one at a time, on a thread that does nothing else."""

    def __init__(
        self, spool: Spool, section: EvidenceSection, *, station: str, location: tuple[float, float] | None = None
    ) -> None:
        """Prepare.

        Args:
            spool: where the audio is.
            section: how much may be asked for at once.
            station: name of the station.
            location: its latitude and longitude, degrees.
        """
        self._spool, self._section = spool, section
        self._station, self._location = station, location
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recent-audio")
        self._waiting = 0

    async def cut(self, hydrophone: str, start: datetime, end: datetime) -> Stretch:
        """The samples [start, end) of a hydrophone, exact to 24 bits, zeros where nobody has them.

        Args:
            hydrophone: its name.
            start: UTC, aware.
            end: UTC, aware, later than start.

        Raises:
            AudioRefused: why it cannot be given.
        """
        longest_s = self._section.longest_request_s
        if (end - start).total_seconds() > longest_s:
            raise AudioTooLong(f"At most {longest_s:g} s can be asked for at once; ask for it in parts.")
        if self._waiting >= MOST_WAITING:
            raise AudioBusy("Too many ask for audio now.", BUSY_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._cut, hydrophone, start, end)
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        """Let a stretch in progress be finished."""
        await asyncio.to_thread(self._thread.shutdown)

    def _cut(self, hydrophone: str, start: datetime, end: datetime) -> Stretch:
        while True:
            layout = self._laid_out(hydrophone, start, end)
            comment = guano_of_stretch(self._station, layout, self._location)
            try:
                return Stretch(layout, encode(layout, self._spool.read, comment=comment))
            except SamplesGone:  # dropped meanwhile: the next look says so
                continue

    def _laid_out(self, hydrophone: str, start: datetime, end: datetime) -> ClipLayout:
        held = self._spool.held(hydrophone)
        _check_heard(hydrophone, self._spool.heard(hydrophone), held, end)
        oldest = min(stretch.start for stretch in held if stretch.start is not None)
        if start < oldest:
            raise AudioGone(f"Audio of {hydrophone} is held from {_utc(oldest)} on; what was before is gone.")
        span = span_between(held, start=start, end=end)
        if span is None:
            raise AudioUnknown(f"{hydrophone} gave no audio from {_utc(start)} to {_utc(end)}.")
        return lay_out(span, held)


def _check_heard(hydrophone: str, heard: Heard | None, held: Iterable[Held], end: datetime) -> None:
    """Refuse what is about no hydrophone of ours, has no time, or lies in the future.

    Raises:
        AudioUnknown, AudioNotYet: it does.
    """
    ends = [stretch.start + stretch.length for stretch in held if stretch.start is not None]
    if not ends:
        if heard is None:
            raise AudioUnknown(f"No audio of a hydrophone named {hydrophone} is held.")
        raise AudioUnknown(f"{hydrophone} plays recordings without a known time, or nothing of it could be kept.")
    until = max(ends)
    if end > until:
        retry_s = math.ceil((end - until).total_seconds()) if heard is not None else None
        raise AudioNotYet(f"{hydrophone} has been heard until {_utc(until)}; what is later has not come yet.", retry_s)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
