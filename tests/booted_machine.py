"""A machine of its own for a test: a root file system that systemd boots, in systemd-nspawn (Linux, as root).

It has its own processes, services, users and files. The network, the kernel and the clock are this machine's.
"""

import shutil
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

BOOT_S = 120


class BootedMachine:
    """Booted on entry, switched off on exit.

    Attributes:
        root: its root file system.
    """

    def __init__(self, root: Path, *, binds: dict[Path, str] | None = None) -> None:
        """Prepare.

        Args:
            root: its root file system, which it may change.
            binds: folders of this machine, and where they are in that one.
        """
        self.root = root
        self._binds = [f"--bind={here}:{there}" for here, there in (binds or {}).items()]
        self._mark = uuid.uuid4().hex
        self._leader = 0

    def __enter__(self) -> Self:
        self._console = (self.root.parent / "console.log").open("wb")
        alone = ["--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe", "--resolv-conf=copy-host"]
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", *alone, f"--setenv=BOOTED_MACHINE={self._mark}", *self._binds, "-D", str(self.root)],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=self._console,
        )
        try:
            self._wait_until_up()
        except BaseException:
            self._off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._off()

    def run(self, *command: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command there as root; stderr is in stdout."""
        enter = ["nsenter", f"--target={self._leader}", "--all", "--root"]
        setting = [
            "env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
            "HOME=/root",
            "LC_ALL=C.UTF-8",
        ]
        return subprocess.run(
            [*enter, *setting, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def said(self, *command: str, timeout: float = 60) -> str:
        """What a command there says; it must end well."""
        done = self.run(*command, timeout=timeout)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def _wait_until_up(self) -> None:
        deadline_s = time.monotonic() + BOOT_S
        while time.monotonic() < deadline_s:
            if self._nspawn.poll() is not None:
                break
            self._leader = self._leader or self._find_leader()
            if self._leader:
                state = self.run("systemctl", "is-system-running").stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.5)
        raise MachineDoesNotBoot((self.root.parent / "console.log").read_text(errors="replace")[-2000:])

    def _find_leader(self) -> int:
        """Its first process, known by a word in its environment."""
        for place in Path("/proc").glob("[0-9]*"):
            try:
                mark = f"BOOTED_MACHINE={self._mark}".encode() in (place / "environ").read_bytes().split(b"\0")
                first = (place / "status").read_text().partition("NSpid:")[2].splitlines()[0].split()[-1] == "1"
            except (OSError, IndexError):
                continue
            if mark and first:
                return int(place.name)
        return 0

    def _off(self) -> None:
        if self._leader and self._nspawn.poll() is None:
            self.run("systemctl", "--no-block", "poweroff")
        try:
            self._nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._console.close()


class MachineDoesNotBoot(Exception):
    """What its console said last."""


def copied(root: Path, folder: Path) -> Path:
    """A copy of a machine that has not been booted, to be changed."""
    target = folder / "machine"
    subprocess.run(["cp", "-a", "--reflink=auto", str(root), str(target)], check=True, timeout=600)
    return target


def missing_machine_tools() -> list[str]:
    """What this machine lacks to boot another."""
    return [tool for tool in ("systemd-nspawn", "nsenter") if shutil.which(tool) is None]
