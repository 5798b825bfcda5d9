"""Tells systemd, or whatever speaks its protocol, how the process fares: READY, WATCHDOG, STATUS and STOPPING.

By the judgement of the probes (health.py), but for one thing: /readyz wants every live hydrophone, here one is enough.
To start a station again because one of four hydrophones is unplugged would cost the other three their sound.

The protocol is one datagram to the socket that NOTIFY_SOCKET names, and is promised to stay (sd_notify(3), which
invites to implement it). The libraries that do it are a compiled binding to libsystemd, of which a station needs this
one call, or have had no release since 2017; so it is done here.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Never

from seacanary.health import Health

log = logging.getLogger(__name__)

LOOK_S = 1.0
# A watchdog that waits for less than a few looks is looked after more often.
LOOKS_PER_WATCHDOG = 4
# systemd shows it in one line.
LONGEST_STATUS = 300


@asynccontextmanager
async def supervisor_told(
    read: Callable[[], Health], environment: Mapping[str, str] = os.environ
) -> AsyncIterator[None]:
    """Tell the supervisor meanwhile, if there is one that wants to know.

    It is told on the loop: a loop that hangs tells nothing, and that is right.

    Args:
        read: what is known of the process now.
        environment: where the supervisor says how it wants to be told.
    """
    if not environment.get("NOTIFY_SOCKET"):
        yield
        return
    with _Line(environment["NOTIFY_SOCKET"]) as line:
        telling = asyncio.create_task(_tell(line, read, look_s=_look_s(environment)))
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            line.send("STOPPING=1")


async def _tell(line: "_Line", read: Callable[[], Health], *, look_s: float) -> Never:
    while True:
        line.send(notice_of(read()))
        await asyncio.sleep(look_s)


def notice_of(health: Health) -> str:
    """The whole notice, every time: nothing of it must be remembered, and what gets lost is said again.

    READY again does no harm to a service that is.
    """
    fed = ["READY=1", "WATCHDOG=1"] if health.is_working else []
    return "\n".join([*fed, f"STATUS={_status(health)}"])


def _status(health: Health) -> str:
    """What `systemctl status` shows: one line."""
    troubles = dict.fromkeys((*health.failing, *health.standstill, *health.unready))
    return " ".join("; ".join(troubles).split())[:LONGEST_STATUS] or "all is well"


def _look_s(environment: Mapping[str, str]) -> float:
    """How often to look, seconds: often enough for the watchdog, if there is one for this process."""
    watchdog_us = environment.get("WATCHDOG_USEC", "")
    if not watchdog_us.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return LOOK_S
    return min(LOOK_S, int(watchdog_us) / 1e6 / LOOKS_PER_WATCHDOG)


class _Line:
    """The supervisor's socket. What it does not take is dropped: the next look says it again."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._refused = False

    def send(self, message: str) -> None:
        """Send one message; the first of those that are not taken is logged."""
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as exc:
            if not self._refused:
                log.warning("the supervisor does not take what it is told: %s", exc.strerror)
            self._refused = True
        else:
            self._refused = False

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
