"""What an offline analysis says: calls merged from windows, and its JSON, CSV and Raven forms."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.events import EventKind, PresenceEvent
from seacanary.ledger import LedgerTotals
from seacanary.observations import Detection
from seacanary.presence_rules import Thresholds

ReportFormat = Literal["json", "csv", "raven"]


class Finding(BaseModel):
    """A call, or a presence event, of one file; seconds count from the file's start."""

    model_config = ConfigDict(frozen=True)

    type: Literal["detection"] | EventKind
    file: str
    hydrophone: str
    species: str
    call_types: tuple[str, ...]
    onset_s: float
    offset_s: float | None
    onset: AwareDatetime
    offset: AwareDatetime | None
    probability: float = Field(ge=0, le=1, description="peak over the windows that heard it")
    band_hz: tuple[float, float] | None
    id: str | None = Field(None, description="event id; none for detections")
    reason: str | None = Field(None, description="why a presence ended")


class WindowFinding(BaseModel):
    """What the model said of one window."""

    model_config = ConfigDict(frozen=True)

    type: Literal["window"] = "window"
    file: str
    hydrophone: str
    start_s: float
    end_s: float
    probability: dict[str, float]
    unobserved: tuple[str, ...]
    abstained: tuple[str, ...] = ()

    @classmethod
    def of(cls, detection: Detection, file: str) -> "WindowFinding":
        """Describe an analysed window."""
        return cls(
            file=file,
            hydrophone=detection.hydrophone,
            start_s=detection.first_sample / detection.sample_rate_hz,
            end_s=detection.end_sample / detection.sample_rate_hz,
            probability={name: round(p, 6) for name, p in detection.probability.items()},
            unobserved=tuple(sorted(detection.unobserved)),
            abstained=tuple(sorted(detection.abstained)),
        )


class FileError(BaseModel):
    """A file that could not be analysed."""

    model_config = ConfigDict(frozen=True)

    type: Literal["error"] = "error"
    file: str
    message: str


class FileSummary(BaseModel):
    """How much of a file was analysed."""

    model_config = ConfigDict(frozen=True)

    file: str
    sample_rate_hz: int
    duration_s: float
    start: AwareDatetime
    start_source: str
    ledger: dict[str, dict[str, int | bool]] = Field(description="samples by hydrophone: where each one went")
    unobserved_call_types: tuple[str, ...] = Field(description="call types the rate cannot carry")
    warnings: tuple[str, ...] = ()
    windows_failed: int = Field(0, description="windows the model could not answer; their samples are unobserved")


class Summary(BaseModel):
    """The closing line of an analysis."""

    model_config = ConfigDict(frozen=True)

    type: Literal["summary"] = "summary"
    model_id: str
    detections: int
    events: int
    balanced: bool
    files: tuple[FileSummary, ...]
    errors: tuple[FileError, ...]


def printable(path: Path) -> str:
    """A path as text that can be written as UTF-8, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


Record = Finding | WindowFinding | FileError | Summary


def ledger_lines(totals: Mapping[str, LedgerTotals]) -> dict[str, dict[str, int | bool]]:
    """The ledger of each hydrophone with its balance, for JSON."""
    return {
        name: {
            "elapsed": t.elapsed,
            "captured": t.captured,
            "lost": t.lost,
            "analysed": t.analysed,
            "shed": t.shed,
            "unobserved": t.unobserved,
            "pending": t.pending,
            "balanced": t.balanced,
        }
        for name, t in totals.items()
    }


def finding_of_event(event: PresenceEvent, file: str) -> Finding:
    """Describe a presence event by its place in the file."""
    offset_s = None if event.offset_sample is None else event.offset_sample / event.sample_rate_hz
    return Finding(
        type=event.kind,
        file=file,
        hydrophone=event.hydrophone,
        species=event.species,
        call_types=event.call_types,
        onset_s=event.onset_sample / event.sample_rate_hz,
        offset_s=offset_s,
        onset=event.onset,
        offset=event.offset,
        probability=event.peak_probability,
        band_hz=(event.band_hz.low, event.band_hz.high) if event.band_hz else None,
        id=str(event.id),
        reason=event.reason,
    )


@dataclass(slots=True)
class _OpenCall:
    """Positive windows in a row, as far as they have come."""

    onset: tuple[int, datetime]
    offset: tuple[int, datetime]
    reaches: int
    probability: float
    call_types: set[str]
    bands: list[tuple[float, float]] = field(default_factory=list)


class CallMerger:
    """Merges a species' positive windows that overlap or touch into one call bout.

    Args:
        species: whose calls.
        thresholds: of each of its call types; a window is positive when one is over `enter`.
        file: named in the findings.
    """

    def __init__(self, species: str, thresholds: Mapping[str, Thresholds], file: str) -> None:
        self._species, self._thresholds, self._file = species, thresholds, file
        self._open: dict[str, _OpenCall] = {}

    def observe(self, detection: Detection) -> list[Finding]:
        """Take the next window of any hydrophone; return the calls that it ends."""
        over = {n for n, t in self._thresholds.items() if detection.probability.get(n, 0.0) >= t.enter}
        call = self._open.get(detection.hydrophone)
        done = []
        if call and (not over or detection.first_sample > call.reaches):
            done.append(self._close(detection.hydrophone, detection.sample_rate_hz))
        if over:
            self._extend(detection, over)
        return done

    def close(self, sample_rate_hz: int) -> list[Finding]:
        """End what is open: the file is over."""
        return [self._close(hydrophone, sample_rate_hz) for hydrophone in sorted(self._open)]

    def _extend(self, detection: Detection, over: set[str]) -> None:
        spans = [span for span in detection.spans if span.call_type in over]
        onset = min((s.onset_sample for s in spans), default=detection.first_sample)
        offset = max((s.offset_sample for s in spans), default=detection.end_sample)
        call = self._open.setdefault(
            detection.hydrophone,
            _OpenCall((onset, _utc(detection, onset)), (offset, _utc(detection, offset)), 0, 0.0, set()),
        )
        if offset > call.offset[0]:
            call.offset = (offset, _utc(detection, offset))
        call.reaches = detection.end_sample
        call.probability = max(call.probability, *(detection.probability[name] for name in over))
        call.call_types |= over
        call.bands += [span.band_hz for span in spans]

    def _close(self, hydrophone: str, sample_rate_hz: int) -> Finding:
        call = self._open.pop(hydrophone)
        return Finding(
            type="detection",
            file=self._file,
            hydrophone=hydrophone,
            species=self._species,
            call_types=tuple(sorted(call.call_types)),
            onset_s=call.onset[0] / sample_rate_hz,
            offset_s=call.offset[0] / sample_rate_hz,
            onset=call.onset[1],
            offset=call.offset[1],
            probability=min(call.probability, 1.0),
            band_hz=(min(b[0] for b in call.bands), max(b[1] for b in call.bands)) if call.bands else None,
        )


def _utc(detection: Detection, sample: int) -> datetime:
    return detection.start + timedelta(seconds=(sample - detection.first_sample) / detection.sample_rate_hz)


def write_json(record: BaseModel, out: TextIO) -> None:
    """Write one record as a line of JSON."""
    out.write(json.dumps(record.model_dump(mode="json"), separators=(", ", ": ")) + "\n")


CSV_COLUMNS = (
    "type", "file", "hydrophone", "species", "call_types", "onset_s", "offset_s",
    "onset", "offset", "probability", "low_hz", "high_hz", "reason", "id",
)  # fmt: skip


def write_csv(findings: Iterable[Finding], out: TextIO) -> None:
    """Write findings as CSV with a header."""
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for finding in findings:
        row: dict[str, Any] = finding.model_dump(mode="json", exclude={"band_hz"})  # mixed JSON scalars
        low, high = finding.band_hz or ("", "")
        writer.writerow(row | {"call_types": " ".join(finding.call_types), "low_hz": low, "high_hz": high})


RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin File", "Species", "Call Types", "Probability", "Begin Date Time (UTC)",
)  # fmt: skip


def write_raven(findings: Sequence[Finding], out: TextIO) -> None:
    """Write detections as a Raven selection table (tab separated, one spectrogram view)."""
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(RAVEN_COLUMNS)
    detections = [finding for finding in findings if finding.type == "detection"]
    for number, finding in enumerate(detections, start=1):
        low, high = finding.band_hz or (0.0, 0.0)
        writer.writerow(
            (
                number,
                "Spectrogram 1",
                1,
                f"{finding.onset_s:.6f}",
                f"{finding.offset_s or finding.onset_s:.6f}",
                low,
                high,
                finding.file,
                finding.species,
                " ".join(finding.call_types),
                f"{finding.probability:.4f}",
                finding.onset.isoformat(),
            )
        )


class Sheet:
    """Writes an analysis in one format: JSON lines at once, tables at the end."""

    def __init__(self, report: ReportFormat, out: TextIO) -> None:
        self._report, self._out = report, out
        self._findings: list[Finding] = []

    def add(self, record: Record) -> None:
        """Take a record as it becomes known."""
        if self._report == "json":
            write_json(record, self._out)
        elif isinstance(record, Finding):
            self._findings.append(record)

    def close(self) -> None:
        """Write what had to wait for the end."""
        if self._report == "csv":
            write_csv(self._findings, self._out)
        elif self._report == "raven":
            write_raven(self._findings, self._out)
