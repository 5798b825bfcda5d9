"""Processes of this machine that were started on a configuration, as their command lines say."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from seacanary.config_checks import COMMANDS

# As the installed script is called, and as Python's -m names it.
PROGRAMS = frozenset({"seacanary", "seacanary.cli"})


def process_on(file: Path) -> int | None:
    """A process that runs on a configuration; None: none that can be seen."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another's who hides it
            if process.pid != os.getpid() and any(
                _is_same(process, word, file) for word in _arguments(process.cmdline())
            ):
                return int(process.pid)
    return None


def _arguments(words: Sequence[str]) -> Sequence[str]:
    """What `seacanary run` and the like were given; empty: it is another program, or another command."""
    for place, word in enumerate(words[:-1]):
        if Path(word).name in PROGRAMS and words[place + 1] in COMMANDS.values():
            return words[place + 2 :]
    return ()


def _is_same(process: psutil.Process, word: str, file: Path) -> bool:
    """Whether a word of its command line names the file. One whose folder it hides may, if it has that name."""
    if Path(word).name != file.name:
        return False
    try:
        return file.samefile(Path(word) if Path(word).is_absolute() else Path(process.cwd()) / word)
    except psutil.AccessDenied:
        return True
    except OSError:
        return False
