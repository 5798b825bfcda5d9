"""Trials: each answer is tried as it is given, with the doctor's own checks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from seacanary.config import PublisherSection, SourceSection
from seacanary.contract import ModelContract
from seacanary.detection import DetectorSection
from seacanary.doctor import checks
from seacanary.doctor.apart import Died, apart
from seacanary.doctor.examining import Checked, examine
from seacanary.doctor.findings import Finding
from seacanary.doctor.folders import tried
from seacanary.doctor.model import try_model
from seacanary.doctor.report import as_table, findings_of
from seacanary.doctor.sources import aborted, hanging, judged, recordings
from seacanary.errors import ConfigError
from seacanary.init.asking import Asking
from seacanary.init.metering import metered
from seacanary.publishers.jsonl import JsonLinesSection
from seacanary.sources.devices import DeviceList, list_devices
from seacanary.sources.files import FilesSection
from seacanary.terminal import err, out

T = TypeVar("T")

DEVICES_S = 60.0
AGAIN, KEEP, LEAVE_OUT = "again", "keep it", "leave it out"


def found_devices() -> DeviceList:
    """What this machine can capture from; asked in a process of its own."""
    try:
        with err.status("looking for sound devices"):
            return apart(list_devices, limit_s=DEVICES_S)
    except TimeoutError:
        return DeviceList(devices=(), problems=(f"sound devices did not answer within {DEVICES_S:g} s",))
    except Died as exc:
        return DeviceList(devices=(), problems=(f"asking for sound devices failed badly: {exc}",))


def try_source(section: SourceSection) -> list[Finding]:
    """Open it, hear it for some seconds, and show its level meanwhile."""
    name = f"source {section.kind}"
    if isinstance(section, FilesSection):
        return list(recordings(name, section))
    try:
        return list(judged(name, section, metered(section)))
    except TimeoutError:
        return [hanging(name)]
    except Died as exc:
        return [aborted(name, exc)]


def try_publisher(section: PublisherSection, station: str) -> list[Finding]:
    """Reach it; a webhook gets a signed test event, a channel a test message, a file's folder is written to."""
    if isinstance(section, JsonLinesSection):
        return [tried(f"folder of {section.name}", section.path.parent)]
    with err.status(f"trying {section.name}"):
        return findings_of(examine(list(checks.publisher(section, station, send=True))))


def load_model(path: Path | None) -> tuple[ModelContract | None, list[Finding]]:
    """Load it, and run it once."""
    with err.status("loading the model"):
        loaded, findings = try_model(DetectorSection(path=path), "station")
    return (loaded.contract if loaded else None), findings


def settled(make: Callable[[bool], T], attempt: Callable[[T], Sequence[Finding]], asking: Asking) -> T | None:
    """Ask, try, and ask again until it works or a person wants it so.

    Args:
        make: asks; told whether that is anew, when flags no longer answer.
        attempt: tries what was answered; empty: there was nothing to try.
        asking: who answers.

    Returns:
        What is to be written; None: it is left out.

    Raises:
        ConfigError: it does not work, and nobody is there to be asked.
    """
    anew = False
    while True:
        answer = make(anew)
        findings = list(attempt(answer))
        if findings:
            out.print(as_table([Checked("", tuple(findings), 0.0)]))
        broken = [finding for finding in findings if finding.severity == "broken"]
        if not broken:
            return answer
        if not asking.somebody:
            raise ConfigError(f"{broken[0].name}: {broken[0].seen}; --untried takes answers without trying them")
        match asking.choose("That does not work now. What next", (AGAIN, KEEP, LEAVE_OUT), default=AGAIN):
            case "keep it":
                return answer
            case "leave it out":
                return None
        anew = True
