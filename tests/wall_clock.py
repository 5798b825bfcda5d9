"""A wall clock that can be wrong and can be stepped, for one process and without touching the machine's."""

import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class WallClock:
    """The wall clock that one process sees, off by whole seconds; steps while it runs."""

    def __init__(self, folder: Path, *, offset_s: int = 0) -> None:
        """Build the library.

        Raises:
            OSError, subprocess.CalledProcessError: there is no C compiler.
        """
        self._library, self._file = folder / "wall_clock.so", folder / "clock_offset"
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]
        subprocess.run(["gcc", *flags, "-o", str(self._library), str(SOURCE)], check=True, capture_output=True)
        self._file.write_bytes(struct.pack("=q", offset_s))
        self.offset_s = offset_s

    @property
    def environment(self) -> dict[str, str]:
        """For the process that shall see it."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_FILE": str(self._file)}

    def step(self, offset_s: int) -> None:
        """Be off by so much from now on."""
        with self._file.open("r+b", buffering=0) as file:  # in place: the process has it mapped
            file.write(struct.pack("=q", offset_s))
        self.offset_s = offset_s
