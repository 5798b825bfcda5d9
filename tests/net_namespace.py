"""A network namespace at the end of a cable of its own, which can be pulled (Linux, as root)."""

import os
import shutil
import subprocess
from contextlib import suppress
from types import TracebackType
from typing import Self


class NamespaceRefused(Exception):
    """This machine lets us make none; says why."""


class NetNamespace:
    """Made on entry, deleted on exit; processes in it see nothing of the network but the cable.

    Attributes:
        outside: address of this side of the cable.
        within: command that runs another one in the namespace.
    """

    def __init__(self) -> None:
        """Choose names that no other test has."""
        place = os.getpid() % 10_000
        self._name, self._ours, self._theirs = f"seacanary{place}", f"scn{place}o", f"scn{place}t"
        network = f"10.{200 + place % 50}.{place // 50 % 250}"
        self.outside, self._inside = f"{network}.1", f"{network}.2"
        self.within = ("ip", "netns", "exec", self._name)

    def cut(self) -> None:
        """Pull the cable: nothing is refused, nothing arrives."""
        _ip("link", "set", self._ours, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self._ours, "up")

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._delete()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._delete()

    def _make(self) -> None:
        if shutil.which("ip") is None:
            raise NamespaceRefused("ip is not installed (Debian: iproute2)")
        _ip("netns", "add", self._name)
        _ip("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs, "netns", self._name)
        _ip("address", "add", f"{self.outside}/30", "dev", self._ours)
        _ip("-n", self._name, "address", "add", f"{self._inside}/30", "dev", self._theirs)
        _ip("link", "set", self._ours, "up")
        for name in (self._theirs, "lo"):
            _ip("-n", self._name, "link", "set", name, "up")

    def _delete(self) -> None:
        with suppress(NamespaceRefused, FileNotFoundError):
            _ip("netns", "delete", self._name)  # its end of the cable goes with it, and so does ours


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NamespaceRefused(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
