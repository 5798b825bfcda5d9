"""Recordings as a source: a file, a folder, or a folder that files still arrive in."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar
from zlib import crc32

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock
from seacanary.errors import SourceUnusable
from seacanary.sources.channels import channel_blocks, hydrophone_names
from seacanary.sources.folders import Arrivals, is_folder, sound_files, watch_folder
from seacanary.sources.pacing import Monotonic, Pacer, Sleep
from seacanary.sources.recordings import Recording, RecordingReader, probe
from seacanary.sources.timeline import Timeline

__all__ = ["FileReport", "FilesSection", "FilesSource", "Recording", "probe"]

BLOCK_S = 0.25  # long enough that a thread hop per block costs nothing, short enough for a live view

T = TypeVar("T")


class FilesSection(BaseModel):
    """A sound file, a folder of them, or a folder to watch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["files"] = "files"
    name: str = Field("recording", min_length=1, description="name of the feed; its channels are named after it")
    path: Path = Field(description="a sound file, or a folder of sound files")
    hydrophones: tuple[str, ...] = Field((), description="one name per channel; default: name, or name-ch1 and so on")
    recursive: bool = Field(False, description="look into sub-folders too")
    watch: bool = Field(False, description="keep waiting for files to arrive in the folder")
    settle_s: float = Field(2.0, gt=0, description="a watched file is complete when unchanged for this long, seconds")
    start: AwareDatetime | None = Field(None, description="start of files that neither metadata nor name dates")
    utc_offset_h: float = Field(
        0.0, ge=-14, le=14, description="the recorder's clock minus UTC, hours, where no time zone is given"
    )
    pace: Literal["realtime", "fast"] = Field("fast", description="replay as recorded, or as fast as possible")
    join_tolerance_s: float | None = Field(
        1.0, gt=0, description="a file that starts this close to the end of the last one continues it; null: never"
    )

    @property
    def hydrophone_names(self) -> tuple[str, ...]:
        """Names known before a file is opened; without `hydrophones`, those of a one-channel feed."""
        return self.hydrophones or (self.name,)

    @property
    def can_stall(self) -> bool:
        """A folder may be idle, and a disk slow: files never stall."""
        return False


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file, once all its blocks have been taken.

    Attributes:
        path: the file.
        recording: its header, or None if it was refused.
        epoch: the stream epoch it was played in, or None if it was refused.
        refused: why it was refused, or None.
        frames_read: frames delivered, unusable samples among them.
        missing_frames: frames the header promises but the file does not hold.
        unusable_samples: NaN, infinite or absurd samples, over all channels;
            each was left out as a gap.
        damage: what stopped decoding early, in the decoder's words, or None.
    """

    path: Path
    recording: Recording | None = None
    epoch: datetime | None = None
    refused: str | None = None
    frames_read: int = 0
    missing_frames: int = 0
    unusable_samples: int = 0
    damage: str | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each thing a person should know of this file, as a sentence."""
        if self.recording is None:
            return (self.refused or f"{self.path}: refused",)
        facts = (
            (not self.recording.time_known, "start time unknown, counted from 1970-01-01T00:00:00Z"),
            (self.missing_frames > 0, f"truncated: {self.missing_frames} frames that its header promises are missing"),
            (self.damage is not None, f"decoding stopped after {self.frames_read} frames: {self.damage}"),
            (self.unusable_samples > 0, f"{self.unusable_samples} samples are not finite and count as lost"),
        )
        return tuple(f"{self.path}: {text}" for applies, text in facts if applies)


def _ignore(_: FileReport) -> None:
    """Nobody asked."""


class FilesSource:
    """Replays recordings; in a folder, a bad file is reported and the next one played."""

    def __init__(
        self,
        section: FilesSection,
        *,
        skip: Collection[str] = (),
        on_file_done: Callable[[FileReport], None] = _ignore,
        block_s: float = BLOCK_S,
        monotonic: Monotonic = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            section: what to play, and how.
            skip: paths, as in AudioBlock.source_file, that are not to be played again.
            on_file_done: told of each file, played or refused, when it is over.
            block_s: length of a block, seconds.
            monotonic: clock for pace and settling.
            sleep: waits, for the pace.
        """
        self._section, self._skip, self._on_file_done = section, skip, on_file_done
        self._block_s, self._monotonic = block_s, monotonic
        self._pacer = Pacer(monotonic, sleep) if section.pace == "realtime" else None
        self._timeline = Timeline(section.join_tolerance_s)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix=f"files-{section.name}")
        self._reader: RecordingReader | None = None
        self._played_s = 0.0

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks, file after file.

        Raises:
            SourceUnusable: the one file, or the folder, cannot be played.
            SourceLost: a watched folder is not there (now).
        """
        async for recording in self._recordings():
            if str(recording.path) in self._skip:
                self._pass_over(recording)
                continue
            async for block in self._play(recording):
                yield block

    async def aclose(self) -> None:
        """Release the file; safe to call twice."""
        self._release()
        self._disk.shutdown(wait=False)

    async def _recordings(self) -> AsyncIterator[Recording]:
        """Recordings in the order in which they are played."""
        path = self._section.path
        if self._section.watch:
            async for recording in self._arriving():
                yield recording
        elif await self._on_disk(lambda: is_folder(path)):
            for recording in await self._on_disk(self._in_folder):
                yield recording
        else:
            yield await self._on_disk(lambda: self._probe(path))

    def _refuse(self, path: Path, reason: SourceUnusable) -> None:
        """One file in a folder costs only itself; the one file there is costs the source."""
        if path == self._section.path:
            raise reason
        self._on_file_done(FileReport(path, refused=str(reason)))

    def _in_folder(self) -> list[Recording]:
        files = sound_files(self._section.path, recursive=self._section.recursive)
        if not files:
            raise SourceUnusable(f"{self._section.path}: holds no sound files, expected at least one")
        return self._in_order(files)

    async def _arriving(self) -> AsyncIterator[Recording]:
        section = self._section
        arrivals = Arrivals(section.settle_s, self._looks_whole)
        async for _ in watch_folder(section.path, every_s=section.settle_s / 2, recursive=section.recursive):
            for recording in await self._on_disk(lambda: self._newly_complete(arrivals)):
                yield recording

    def _newly_complete(self, arrivals: Arrivals) -> list[Recording]:
        present = sound_files(self._section.path, recursive=self._section.recursive)
        return self._in_order(arrivals.complete(present, self._monotonic()))

    def _in_order(self, files: list[Path]) -> list[Recording]:
        """Readable files by start time, then name."""
        readable = [recording for path in files if (recording := self._probe_or_report(path)) is not None]
        return sorted(readable, key=lambda recording: (recording.start, recording.path))

    def _probe(self, path: Path) -> Recording:
        offset = timedelta(hours=self._section.utc_offset_h)
        return probe(path, utc_offset=offset, configured=self._section.start)

    def _probe_or_report(self, path: Path) -> Recording | None:
        try:
            return _set_apart(self._probe(path))
        except SourceUnusable as exc:
            if str(path) not in self._skip:
                self._refuse(path, exc)
            return None

    def _looks_whole(self, path: Path) -> bool:
        try:
            recording = self._probe(path)
        except SourceUnusable:
            return False
        return recording.frames >= recording.promised_frames

    def _pass_over(self, recording: Recording) -> None:
        """Leave a file out, but let it take its place: epochs must not depend on what was heard before."""
        self._timeline.place(recording)
        self._timeline.advance(recording.frames)

    async def _play(self, recording: Recording) -> AsyncIterator[AudioBlock]:
        try:
            names = hydrophone_names(self._section.name, recording.channels, self._section.hydrophones)
            self._reader = reader = await self._on_disk(lambda: RecordingReader(recording.path))
        except SourceUnusable as exc:
            self._refuse(recording.path, exc)
            return
        epoch, first = self._timeline.place(recording)
        read, unusable, block_frames = 0, 0, max(1, round(self._block_s * recording.sample_rate_hz))
        while (samples := await self._on_disk(lambda: reader.read(block_frames))).shape[1]:
            await self._keep_pace(samples.shape[1] / recording.sample_rate_hz)
            heard = 0
            for block in channel_blocks(
                names,
                samples,
                first_sample=first + read,
                sample_rate_hz=recording.sample_rate_hz,
                epoch=epoch,
                source_file=str(recording.path),
                time_known=recording.time_known,
            ):
                heard += block.samples.size
                yield block
            unusable += samples.size - heard
            read += samples.shape[1]
        self._timeline.advance(read)
        self._release()
        missing = max(0, recording.promised_frames - read)
        self._on_file_done(
            FileReport(
                recording.path,
                recording,
                epoch,
                frames_read=read,
                missing_frames=missing,
                unusable_samples=unusable,
                damage=reader.damage,
            )
        )

    async def _keep_pace(self, length_s: float) -> None:
        self._played_s += length_s
        if self._pacer is not None:
            await self._pacer.wait_until(self._played_s)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        """Run on the one disk thread, so that no file is closed while it is read."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    def _release(self) -> None:
        if self._reader is not None:
            self._disk.submit(self._reader.close)
            self._reader = None


def _set_apart(recording: Recording) -> Recording:
    """Give undated files of one folder each an epoch of its own, microseconds into 1970.

    Events are named after their epoch: two files with the same one would
    have events of the same name. The name decides, so a rerun gives the same.
    """
    if recording.time_known:
        return recording
    apart = timedelta(microseconds=crc32(recording.path.name.encode("utf-8", "surrogateescape")) % 1_000_000)
    return replace(recording, start=recording.start + apart)
