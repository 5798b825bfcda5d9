"""Recordings analysed offline: the same stages, the same events as live, as fast as the machine allows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seacanary.audio import AudioBlock
from seacanary.batching import BatchingSection
from seacanary.detection import Detector
from seacanary.errors import SeaCanaryError, SourceUnusable
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceSection
from seacanary.reports import (
    CallMerger,
    FileError,
    FileSummary,
    Finding,
    Record,
    Summary,
    WindowFinding,
    finding_of_event,
    ledger_lines,
    printable,
)
from seacanary.sources import Source
from seacanary.sources.channels import hydrophone_names
from seacanary.sources.files import FileReport, FilesSection, FilesSource, probe
from seacanary.sources.folders import sound_files


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How recordings are analysed.

    Attributes:
        station: name that goes into event ids.
        presence: the site's word on presence.
        windows: whether each window is reported too.
    """

    station: str = "analysis"
    presence: PresenceSection = field(default_factory=PresenceSection)
    windows: bool = False


class _Watched:
    """A source that tells how far it has come."""

    def __init__(self, source: Source, progress: Callable[[int], None]) -> None:
        self._source, self._progress = source, progress

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        async for block in self._source.blocks():
            yield block
            self._progress(block.samples.size)

    async def aclose(self) -> None:
        await self._source.aclose()


def recordings_in(paths: Sequence[Path]) -> list[Path]:
    """Files as given; of a folder, the sound files in it and below.

    Raises:
        SourceUnusable: a folder holds none.
    """
    return [file for path in paths for file in (_in_folder(path) if _is_folder(path) else [path])]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name no file can have; opening it will say so
        return False


def _in_folder(folder: Path) -> list[Path]:
    files = sound_files(folder, recursive=True)
    if not files:
        raise SourceUnusable(f"{folder}: holds no sound files, expected at least one")
    return files


def samples_in(path: Path) -> int:
    """Samples of a file over all channels, for progress; 0 if it cannot be read."""
    try:
        recording = probe(path)
    except SourceUnusable:
        return 0
    return recording.frames * recording.channels


class Analysis:
    """Analyses files one after another with one detector, and keeps the sums."""

    def __init__(
        self,
        detector: Detector,
        options: AnalysisOptions,
        *,
        emit: Callable[[Record], None],
        progress: Callable[[Path, int], None] = lambda _path, _samples: None,
    ) -> None:
        """Prepare an analysis.

        Args:
            detector: the model.
            options: how.
            emit: called with each record as it becomes known.
            progress: called with a file and the samples just read of it.
        """
        self._detector, self._options = detector, options
        self._emit, self._progress = emit, progress
        self._summaries: list[FileSummary] = []
        self._errors: list[FileError] = []
        self._detections = self._events = 0

    def run(self, files: Sequence[Path]) -> Summary:
        """Analyse files; one that cannot be read is reported, and the next one taken."""
        for path in files:
            try:
                self._summaries.append(asyncio.run(self._analyse(path)))
            except SeaCanaryError as exc:
                self._refuse(path, printable(Path(str(exc))))
        summary = Summary(
            model_id=self._detector.contract.model_id,
            detections=self._detections,
            events=self._events,
            balanced=all(line["balanced"] for file in self._summaries for line in file.ledger.values()),
            files=tuple(self._summaries),
            errors=tuple(self._errors),
        )
        self._emit(summary)
        return summary

    def _refuse(self, path: Path, message: str) -> None:
        error = FileError(file=printable(path), message=message)
        self._errors.append(error)
        self._emit(error)

    async def _analyse(self, path: Path) -> FileSummary:
        file = _OneFile(path, self._detector, self._options, emit=self._count)
        reports: list[FileReport] = []
        section = FilesSection(path=path, name=printable(Path(path.stem)) or "recording", join_tolerance_s=None)
        source = FilesSource(section, on_file_done=reports.append)
        watched = _Watched(source, lambda samples: self._progress(path, samples))
        feed = Feed(section.name, watched, file.make, patient=True)
        batching = BatchingSection(max_windows=8, deadline_s=0, queue_windows=16)
        listening = Listening([feed], detector=self._detector, batching=batching, metrics=Metrics(), tell=file.conclude)
        await listening.run()
        file.close()
        _account_for_the_end(reports[-1], feed)
        return _summarise(reports[-1], feed, self._detector, windows_failed=listening.windows_failed)

    def _count(self, record: Record) -> None:
        if isinstance(record, Finding):
            self._detections += record.type == "detection"
            self._events += record.type != "detection"
        self._emit(record)


class _OneFile:
    """Collects what is said of one file."""

    def __init__(
        self, path: Path, detector: Detector, options: AnalysisOptions, *, emit: Callable[[Record], None]
    ) -> None:
        self._path, self._detector, self._options, self._emit = printable(path), detector, options, emit
        contract = detector.contract
        self._mergers = [
            CallMerger(species, options.presence.thresholds_for(contract, species), self._path)
            for species in dict.fromkeys(c.species for c in contract.call_types)
        ]
        self._sample_rate_hz = 1

    def make(self, name: str) -> Hydrophone:
        return Hydrophone(
            name,
            station=self._options.station,
            contract=self._detector.contract,
            presence=self._options.presence,
            guard=GuardSection(),
            pad_at_end=True,
        )

    async def conclude(self, conclusion: Conclusion) -> None:
        item = conclusion.item
        if isinstance(item, Detection):
            self._sample_rate_hz = item.sample_rate_hz
            if self._options.windows:
                self._emit(WindowFinding.of(item, self._path))
            for merger in self._mergers:
                self._emit_all(merger.observe(item))
        self._emit_all([finding_of_event(event, self._path) for event in conclusion.events])

    def close(self) -> None:
        for merger in self._mergers:
            self._emit_all(merger.close(self._sample_rate_hz))

    def _emit_all(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self._emit(finding)


def _account_for_the_end(report: FileReport, feed: Feed) -> None:
    """Unusable samples up to the end of a file show as no gap, since no block follows them."""
    if report.recording is None:
        return
    for name in hydrophone_names(feed.name, report.recording.channels):
        ledger = feed.hydrophone(name).intake.ledger
        ledger.lost(report.frames_read - ledger.totals.elapsed)


def _summarise(report: FileReport, feed: Feed, detector: Detector, *, windows_failed: int) -> FileSummary:
    recording = report.recording
    if recording is None:
        raise SourceUnusable(report.refused or f"{report.path}: cannot be read")
    totals = {name: hydrophone.intake.ledger.totals for name, hydrophone in sorted(feed.hydrophones.items())}
    return FileSummary(
        file=printable(report.path),
        sample_rate_hz=recording.sample_rate_hz,
        duration_s=report.frames_read / recording.sample_rate_hz,
        start=recording.start,
        start_source=recording.start_source,
        ledger=ledger_lines(totals),
        unobserved_call_types=tuple(sorted(detector.contract.unobservable(recording.sample_rate_hz))),
        warnings=report.warnings,
        windows_failed=windows_failed,
    )
