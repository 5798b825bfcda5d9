"""Disks: what is free on each, and how many hours that lasts at the rate it fills."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.doctor.folders import nearest, written_to
from seacanary.doctor.subject import Subject
from seacanary.evidence.retention import STOP_SHARE, DiskSpace, EvidenceRetention

MIB, GIB = 2**20, 2**30
# What the journal needs to go on: events are small, and SQLite's log is folded in at a few MiB.
FULL_BYTES, SCARCE_BYTES = 16 * MIB, 200 * MIB
DAY_S, HOUR_S = 86_400.0, 3600.0
# So many files are looked at for the rate; of more, the oldest folders are left out.
FILES_AT_MOST = 200_000
FILLING = frozenset({"evidence", "archive"})
ROOM = (
    "make room: delete what is not needed, set retention.max_bytes, max_age_days or archive.max_bytes, or a larger disk"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system.

    Attributes:
        free_bytes: what an ordinary user may still write.
        disk_bytes: its size.
        free_files: how many files may still be made; None: it does not count them.
    """

    free_bytes: int
    disk_bytes: int
    free_files: int | None


def disks(subject: Subject) -> Iterator[Finding]:
    """Each file system that is written to, once."""
    by_device: dict[int, dict[str, Path]] = defaultdict(dict)
    for what, folder in written_to(subject).items():
        with suppress(OSError):  # the folder's own check says so
            by_device[nearest(folder).stat().st_dev][what] = folder
    for folders in by_device.values():
        yield from _disk(subject, folders)


def _disk(subject: Subject, folders: dict[str, Path]) -> Iterator[Finding]:
    disk = look(nearest(next(iter(folders.values()))))
    rule = subject.station.retention if subject.station else EvidenceRetention()
    rate = None
    if FILLING & folders.keys():
        rate = _rate(subject, [folder for what, folder in folders.items() if what in FILLING])
    yield judged(folders, disk, rule, rate)


def look(folder: Path) -> Disk:
    """Ask the file system of a folder.

    Raises:
        OSError: it cannot be asked.
    """
    status = os.statvfs(folder)
    return Disk(
        status.f_bavail * status.f_frsize,
        status.f_blocks * status.f_frsize,
        status.f_favail if status.f_files else None,
    )


def judged(folders: dict[str, Path], disk: Disk, rule: EvidenceRetention, rate: float | None) -> Finding:
    """What the state of a disk means.

    Args:
        folders: that lie on it, by what they are for.
        disk: its state.
        rule: of the site.
        rate: bytes an hour by which it fills; None: nothing on it grows without end.
    """
    space = DiskSpace(disk.free_bytes, rate, disk.disk_bytes)
    hours, least = space.headroom_hours(rule), rule.least_free_bytes(space)
    name = f"disk of {', '.join(folders)}"
    seen = f"{disk.free_bytes / GIB:.2f} of {disk.disk_bytes / GIB:.2f} GiB are free"
    if rate:
        seen += f"; it fills by {rate / GIB:.2f} GiB an hour, which lasts {hours:,.0f} hours"
    elif rate == 0:
        seen += "; it does not fill"
    if disk.free_files == 0:
        means = "no file can be made any more, however many bytes are free"
        return broken(name, f"{seen}; it has no free inode", means=means, remedy="delete or join small files there")
    if disk.free_bytes < FULL_BYTES:
        return broken(name, seen, means="it is full: events wait in memory, and clips are lost", remedy=ROOM)
    if "evidence" in folders and disk.free_bytes < STOP_SHARE * least:
        means = f"evidence has stopped: less than half of the {least / GIB:.2f} GiB that are to stay free; events go on"
        return broken(name, seen, means=means, remedy=ROOM)
    if disk.free_bytes < max(SCARCE_BYTES, least if "evidence" in folders else 0):
        return warning(name, seen, means="it is nearly full: evidence is deleted, oldest first", remedy=ROOM)
    if hours < rule.min_headroom_hours:
        means = (
            f"less than the {rule.min_headroom_hours:g} hours wanted: the oldest evidence is deleted to keep to them"
        )
        return warning(name, seen, means=means, remedy=ROOM)
    return ok(name, seen)


def _rate(subject: Subject, folders: list[Path]) -> float:
    """Bytes an hour: as the running station has measured, or by what was written in the last day."""
    free = subject.running.gauges.get("seacanary_disk_free_bytes")
    hours = subject.running.gauges.get("seacanary_disk_headroom_hours", 0.0)
    if free and hours and hours != inf:
        return free / hours
    return sum(map(written_an_hour, folders))


def written_an_hour(folder: Path, *, now_s: float | None = None) -> float:
    """Bytes an hour that the last day's files come to, or those of as long as there are any.

    Args:
        folder: looked through to any depth; what is hidden is not kept.
        now_s: seconds since 1970; None: now.
    """
    now_s = time.time() if now_s is None else now_s
    written, oldest_s = 0, now_s
    for count, (modified_s, size) in enumerate(_files(folder)):
        if count >= FILES_AT_MOST:
            break
        oldest_s = min(oldest_s, modified_s)
        written += size if now_s - modified_s <= DAY_S else 0
    over_s = max(HOUR_S, min(DAY_S, now_s - oldest_s))
    return written / over_s * HOUR_S


def _files(folder: Path) -> Iterator[tuple[float, int]]:
    """When each file was written, and its size; the newest folders, which are named by date, first."""
    with suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield status.st_mtime, status.st_size
