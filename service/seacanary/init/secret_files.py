"""Files that only their owner may read: the configuration and the secrets beside it."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True, repr=False)
class PrivateFile:
    """Something to be written. It has no repr: its text may be a secret.

    Attributes:
        path: where.
        text: what.
    """

    path: Path
    text: str


def kept_as(path: Path) -> Path:
    """Where a file that is replaced goes."""
    return path.with_name(f"{path.name}.old")


def write_all(files: Sequence[PrivateFile]) -> None:
    """Write each whole or not at all, mode 600; what was there before is kept beside it.

    Raises:
        OSError: one cannot be written; those before it are.
    """
    for file in files:
        file.path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        descriptor, name = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.")  # mode 600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(file.text)
                stream.flush()
                os.fsync(stream.fileno())
            if file.path.exists():
                file.path.replace(kept_as(file.path))
            Path(name).replace(file.path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
