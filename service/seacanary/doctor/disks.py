"""Disks: what is free on each, and how many hours that lasts at the rate it fills."""

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
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
# What a full disk costs, by what lies on it.
CLIPS_LOST = "clips are lost"
COSTS: Mapping[str, str] = {
    "journal": "events wait in memory",
    "evidence": CLIPS_LOST,
    "audio spool": CLIPS_LOST,
    "archive": "the archive gets gaps",
    "effort": "rows of listening effort wait in memory",
    "image spool": "images wait in memory, and then audio is shed",
    "worker": "this worker's stages stand still",
}
OF_A_PUBLISHER = "events for its files wait in the journal"
LIMITS: Mapping[str, str] = {
    "evidence": "set retention.max_bytes or max_age_days",
    "archive": "set archive.max_bytes",
    "image spool": "set edge.spool_limit_bytes",
}


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
            by_device[device_of(folder)][what] = folder
    for folders in by_device.values():
        yield from _disk(subject, folders)


def device_of(folder: Path) -> int:
    """The file system on which a folder lies, or would be made.

    Raises:
        OSError: as nearest().
    """
    return nearest(folder).stat().st_dev


def _disk(subject: Subject, folders: dict[str, Path]) -> Iterator[Finding]:
    disk = look(nearest(next(iter(folders.values()))))
    rule = subject.station.retention if subject.station else EvidenceRetention()
    yield judged(folders, disk, rule, _rate(subject, folders, disk, rule))


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


def judged(folders: Mapping[str, Path], disk: Disk, rule: EvidenceRetention, rate: float | None) -> Finding:
    """What the state of a disk means.

    Args:
        folders: that lie on it, by what they are for.
        disk: its state.
        rule: of the site, for evidence.
        rate: bytes an hour by which it fills; None: nothing on it grows without end.
    """
    name = f"disk of {', '.join(folders)}"
    seen = f"{disk.free_bytes / GIB:.2f} of {disk.disk_bytes / GIB:.2f} GiB are free"
    if disk.free_files == 0:
        means = "no file can be made any more, however many bytes are free"
        return broken(name, f"{seen}; it has no free inode", means=means, remedy="delete or join small files there")
    if disk.free_bytes < FULL_BYTES:
        return broken(name, seen, means=f"it is full: {_costs(folders)}", remedy=_room(folders))
    if "evidence" in folders:
        return _of_evidence(name, seen, DiskSpace(disk.free_bytes, rate, disk.disk_bytes), rule, _room(folders))
    if rate:
        seen += f"; {rate / GIB:.2f} GiB an hour are written to it, {disk.free_bytes / rate:,.0f} hours of what is free"
    if disk.free_bytes < SCARCE_BYTES:
        return warning(name, seen, means=f"nearly full; once it is, {_costs(folders)}", remedy=_room(folders))
    return ok(name, seen)


def _of_evidence(name: str, seen: str, space: DiskSpace, rule: EvidenceRetention, room: str) -> Finding:
    """Evidence makes room for itself and for all else on its disk, and stops before that is full."""
    hours, least = space.headroom_hours(rule), rule.least_free_bytes(space)
    if space.fill_bytes_per_hour:
        seen += f"; it fills by {space.fill_bytes_per_hour / GIB:.2f} GiB an hour, which lasts {hours:,.0f} hours"
    elif space.fill_bytes_per_hour == 0:
        seen += "; it does not fill"
    if space.free_bytes < STOP_SHARE * least:
        means = f"evidence has stopped: less than half of the {least / GIB:.2f} GiB that are to stay free; events go on"
        return broken(name, seen, means=means, remedy=room)
    if space.free_bytes < max(SCARCE_BYTES, least):
        return warning(name, seen, means="it is nearly full: evidence is deleted, oldest first", remedy=room)
    if hours < rule.min_headroom_hours:
        means = (
            f"less than the {rule.min_headroom_hours:g} hours wanted: the oldest evidence is deleted to keep to them"
        )
        return warning(name, seen, means=means, remedy=room)
    return ok(name, seen)


def _costs(on_it: Collection[str]) -> str:
    return ", ".join(dict.fromkeys(COSTS.get(what, OF_A_PUBLISHER) for what in on_it))


def _room(on_it: Collection[str]) -> str:
    limits = "".join(f"{limit}, " for what, limit in LIMITS.items() if what in on_it)
    return f"make room: delete what is not needed, {limits}or take a larger disk"


def _rate(subject: Subject, folders: Mapping[str, Path], disk: Disk, rule: EvidenceRetention) -> float | None:
    """Bytes an hour: of evidence as the running station has measured, else by what was written in the last day."""
    filling = [folder for what, folder in folders.items() if what in FILLING]
    if not filling:
        return None
    measured = _measured(subject, disk, rule) if "evidence" in folders else None
    return sum(map(written_an_hour, filling)) if measured is None else measured


def _measured(subject: Subject, disk: Disk, rule: EvidenceRetention) -> float | None:
    """The rate from which the running station has reckoned the hours of its evidence's disk; None: it tells none."""
    free = subject.running.gauges.get("seacanary_disk_free_bytes")
    hours = subject.running.gauges.get("seacanary_disk_headroom_hours")
    if free is None or not hours or hours == inf:
        return None
    return (free - rule.least_free_bytes(DiskSpace(int(free), None, disk.disk_bytes))) / hours


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
