"""A disk's hours as the running station reckons them, and words for what really lies on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from faulty_station import FaultyStation
from planted_faults import run_of, subject_of
from seacanary.doctor import disks as module
from seacanary.doctor.disks import Disk, disks, judged
from seacanary.doctor.findings import Finding
from seacanary.doctor.subject import Running, Subject
from seacanary.evidence.retention import DiskSpace, EvidenceRetention

GIB = 2**30
SMALL = Disk(free_bytes=5 * GIB, disk_bytes=32 * GIB, free_files=1000)
SCARCE = Disk(free_bytes=100 * 2**20, disk_bytes=32 * GIB, free_files=1000)
FULL = Disk(free_bytes=0, disk_bytes=32 * GIB, free_files=1000)


def running_with_evidence(station: FaultyStation, **sections: object) -> Subject:
    """A station whose evidence disk has 5 GiB free, and gets 0.1 GiB an hour less."""
    subject = subject_of(station, evidence={"path": str(station.folder / "evidence")}, **sections)
    space = DiskSpace(SMALL.free_bytes, 0.1 * GIB, SMALL.disk_bytes)
    hours = space.headroom_hours(EvidenceRetention())
    assert hours == pytest.approx(30)
    gauges = {"seacanary_disk_free_bytes": float(SMALL.free_bytes), "seacanary_disk_headroom_hours": hours}
    running = run_of(subject)
    return replace(subject, running=Running(running.holds, running.health, gauges))


def found(subject: Subject, monkeypatch: pytest.MonkeyPatch, disk: Disk = SMALL) -> list[Finding]:
    monkeypatch.setattr(module, "look", lambda _: disk)
    return list(disks(subject))


def test_the_hours_are_those_of_the_running_station(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = found(running_with_evidence(station), monkeypatch)
    assert finding.severity == "ok"
    assert "it fills by 0.10 GiB an hour, which lasts 30 hours" in finding.seen


def test_an_archive_on_another_disk_is_judged_by_what_is_written_there(
    station: FaultyStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = station.folder / "archive"
    subject = running_with_evidence(station, archive={"path": str(archive)})
    (archive / "day").mkdir(parents=True)
    (archive / "day" / "a.flac").write_bytes(bytes(2**20))
    monkeypatch.setattr(module, "device_of", lambda folder: int("archive" in Path(folder).parts))
    findings = {finding.name: finding for finding in found(subject, monkeypatch)}
    assert "0.10 GiB" not in findings["disk of archive"].seen
    assert "0.10 GiB" in findings["disk of journal, evidence, audio spool"].seen


@pytest.mark.parametrize("disk", [SCARCE, FULL])
def test_nothing_is_said_of_evidence_on_a_disk_that_holds_none(disk: Disk) -> None:
    finding = judged({"journal": Path("state")}, disk, EvidenceRetention(), None)
    told = f"{finding.means} {finding.remedy}"
    assert finding.severity == ("warning" if disk is SCARCE else "broken")
    assert "events wait in memory" in told
    assert not any(word in told for word in ("evidence", "clips", "archive", "retention"))


def test_an_archive_that_makes_its_own_room_is_no_warning() -> None:
    finding = judged({"archive": Path("archive")}, SMALL, EvidenceRetention(), 1.0 * GIB)
    assert finding.severity == "ok"
    assert "1.00 GiB an hour are written to it, 5 hours of what is free" in finding.seen


def test_a_scarce_disk_of_evidence_says_that_evidence_goes() -> None:
    finding = judged({"evidence": Path("clips")}, replace(SMALL, free_bytes=3 * GIB // 2), EvidenceRetention(), 0.0)
    assert (finding.severity, "evidence is deleted" in finding.means) == ("warning", True)
