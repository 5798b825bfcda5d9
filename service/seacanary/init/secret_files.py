"""Files that few may read: the configuration and the secrets beside it."""

import itertools
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FOLDER_MODE = 0o700
GROUP_FOLDER_MODE, GROUP_FILE_MODE = 0o750, 0o640


@dataclass(frozen=True, slots=True, repr=False)
class PrivateFile:
    """Something to be written. It has no repr: its text may be a secret.

    Attributes:
        path: where.
        text: what.
    """

    path: Path
    text: str


def kept_as(path: Path, at: datetime) -> Path:
    """Where a file that is replaced goes: a name with the time, that nothing has yet."""
    name = f"{path.name}.old-{at:%Y%m%dT%H%M%SZ}"
    names = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(kept for kept in map(path.with_name, names) if not os.path.lexists(kept))


def write_all(files: Sequence[PrivateFile], at: datetime) -> bool:
    """Write each whole or not at all, mode 600; what was there before is kept beside it, named by the time.

    In a folder that lets another group read it, root's files are for that group too, mode 640: they are a service's.

    Returns:
        Whether all are readable by the group of their folder.

    Raises:
        OSError: one cannot be written; those before it are.
    """
    shared = [_write(file, at) for file in files]
    return all(shared)


def _write(file: PrivateFile, at: datetime) -> bool:
    folder = file.path.parent
    _make_folder(folder)
    group = _reading_group(folder)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{file.path.name}.")  # mode 600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(file.text)
            stream.flush()
            if group is not None:
                os.fchown(descriptor, -1, group)
                os.fchmod(descriptor, GROUP_FILE_MODE)
            os.fsync(descriptor)
        if file.path.exists():
            file.path.replace(kept_as(file.path, at))
        Path(name).replace(file.path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return group is not None


def _make_folder(folder: Path) -> None:
    """Make it unless it is there, for whom the folder it is in is."""
    if folder.exists():
        return
    folder.mkdir(parents=True, mode=FOLDER_MODE)
    if (group := _reading_group(folder.parent)) is not None:
        os.chown(folder, -1, group)
        folder.chmod(GROUP_FOLDER_MODE)


def _reading_group(folder: Path) -> int | None:
    """The group, not its own, that what root writes into a folder is for."""
    if os.geteuid() != 0:
        return None
    at = folder.stat()
    may_read = at.st_mode & GROUP_FOLDER_MODE & stat.S_IRWXG == GROUP_FOLDER_MODE & stat.S_IRWXG
    return at.st_gid if may_read and at.st_gid != os.getegid() else None
