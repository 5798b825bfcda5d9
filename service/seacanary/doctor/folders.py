"""Folders that the process writes to: whether they can be written, and why not."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.doctor.findings import Finding, broken, ok
from seacanary.doctor.subject import Subject
from seacanary.publishers.jsonl import JsonLinesSection

TRIED_BYTES = 4096


def written_to(subject: Subject) -> Mapping[str, Path]:
    """Every folder that is written to, by what it is for."""
    found: dict[str, Path] = {}
    if subject.journal is not None:
        found["journal"] = subject.journal.parent
    station = subject.station
    if station is not None and station.evidence is not None:
        found["evidence"] = station.evidence.path
        found["audio spool"] = station.evidence.spool_path
    if station is not None and station.archive is not None:
        found["archive"] = station.archive.path
    if station is not None and station.effort is not None:
        found["effort"] = station.effort.path
    if isinstance(subject.config, EdgeConfig):
        found["image spool"] = subject.config.edge.spool
    if isinstance(subject.config, WorkerConfig):
        found["worker"] = subject.config.worker.data
    files = (section for section in subject.publishers if isinstance(section, JsonLinesSection))
    return found | {f"publisher {section.name}": section.path.parent for section in files}


def folders(subject: Subject) -> Iterator[Finding]:
    """Write a little into each, and take it away again."""
    for what, folder in written_to(subject).items():
        yield tried(f"folder of {what}", folder)


def tried(name: str, folder: Path) -> Finding:
    """Write a little into a folder, or where it would be made."""
    try:
        place = nearest(folder)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".seacanary-doctor-") as file:
            file.write(bytes(TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        return _refused(name, folder, exc)
    made = "" if place == folder.absolute() else f"; it is made in {place} when it is needed"
    return ok(name, f"{folder} can be written by user {os.geteuid()}{made}")


def nearest(folder: Path) -> Path:
    """The folder, or the one in which it would be made.

    Raises:
        OSError: a file is in its place, or it may not be looked at.
    """
    path = folder.absolute()
    while not path.exists():
        path = path.parent
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{path} is a file")
    return path


def _refused(name: str, folder: Path, exc: OSError) -> Finding:
    means = "what belongs there is lost, and without its journal or spool the process does not start"
    match exc.errno:
        case errno.EACCES | errno.EPERM:
            remedy = f"chown -R it to the station's user (this is user {os.geteuid()}), or run the doctor as that user"
        case errno.EROFS:
            remedy = "mount its disk to be written, or name a folder on another one; a disk that turned read-only by "\
                     "itself is failing (dmesg)"  # fmt: skip
        case errno.ENOSPC | errno.EDQUOT:
            remedy = "make room on its disk, or set retention.max_bytes and max_age_days lower"
        case errno.ENOTDIR:
            remedy = "move that file away, or name another folder"
        case _:
            remedy = "see the system's log (dmesg, journalctl -k): the disk may be failing or gone"
    return broken(name, f"{folder} cannot be written: {exc.strerror or exc}", means=means, remedy=remedy)
