"""A command at a real terminal (a pseudo-terminal), as a person sees and answers it."""

import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENT_S = 300.0
LOCAL_FLAGS = 3  # in what tcgetattr gives
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


class TerminalSession:
    """Started on entry, killed on exit.

    Attributes:
        seen: all that was printed so far, without colours and cursor movements.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.seen = ""
        self._command, self._folder = command, folder
        self._environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", **(environment or {})}
        self._raw, self._read_to = b"", 0

    def __enter__(self) -> Self:
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            self._command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self._folder, env=self._environment,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        return self

    def expect(self, *wanted: str) -> str:
        """Wait until one of these is printed after what was waited for before; which of them."""
        until_s = time.monotonic() + PATIENT_S
        while True:
            places = [(self.seen.find(text, self._read_to), text) for text in wanted]
            found = sorted((place, text) for place, text in places if place >= 0)
            if found:
                place, text = found[0]
                self._read_to = place + len(text)
                return text
            if time.monotonic() > until_s or not self._take():
                raise AssertionError(f"none of {wanted} came:\n{self.seen[-3000:]}")

    def answer(self, question: str, said: str) -> None:
        """Wait for a question, and answer it."""
        self.expect(question)
        self.expect(": ")
        os.write(self._ours, f"{said}\n".encode())

    def answer_unseen(self, question: str, said: str) -> None:
        """Answer a question whose answer is not shown: what is typed before the echo is off is thrown away."""
        self.expect(question)
        until_s = time.monotonic() + PATIENT_S
        while termios.tcgetattr(self._ours)[LOCAL_FLAGS] & termios.ECHO:
            assert time.monotonic() < until_s, "what is typed would be shown"
            time.sleep(0.01)
        os.write(self._ours, f"{said}\n".encode())

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        while self._take():
            pass
        return self._process.wait(PATIENT_S)

    def _take(self) -> bool:
        """Read what there is; False: the command has closed its terminal."""
        ready, _, _ = select.select([self._ours], [], [], 1.0)
        if not ready:
            return True
        try:
            raw = os.read(self._ours, 65_536)
        except OSError:  # as Linux tells that nobody has the other end any more
            return False
        self._raw += raw
        self.seen = _CONTROL.sub("", self._raw.decode("utf-8", "replace"))
        return bool(raw)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
