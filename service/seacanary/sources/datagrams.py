"""A UDP socket as a bounded queue of datagrams, each stamped when it arrived."""

import asyncio
import ipaddress
import socket
import struct
from collections import deque
from dataclasses import dataclass

from seacanary.audio import Arrival
from seacanary.errors import SourceLost
from seacanary.sources.capture import Clock

_KEPT = 8192  # datagrams; at 1,400 bytes some 3 s of 16 channels x 96 kHz x 24 bit
_KERNEL_BYTES = 8 << 20  # asked for; the kernel may give less


@dataclass(frozen=True, slots=True)
class Datagram:
    """What came in one piece.

    Attributes:
        raw: its bytes.
        arrival: when it came.
        shed_bytes: bytes of the datagrams before it that the full queue shed.
    """

    raw: bytes
    arrival: Arrival
    shed_bytes: int = 0


class DatagramQueue(asyncio.DatagramProtocol):
    """Datagrams in order of arrival. Full: sheds the oldest, and counts it and its bytes."""

    def __init__(self, clock: Clock, *, kept: int = _KEPT) -> None:
        self._clock, self._kept = clock, kept
        self._items: deque[tuple[bytes, Arrival]] = deque()
        self._ready = asyncio.Event()
        self._shed_bytes = 0
        self.shed = 0

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 the loop passes it
        """Stamp and keep; called by the loop."""
        if len(self._items) == self._kept:
            self._shed_bytes += len(self._items.popleft()[0])
            self.shed += 1
        self._items.append((data, self._clock()))
        self._ready.set()

    async def get(self) -> Datagram:
        """Wait for the oldest."""
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        raw, arrival = self._items.popleft()
        shed, self._shed_bytes = self._shed_bytes, 0
        return Datagram(raw, arrival, shed)


async def open_datagrams(host: str, port: int, *, clock: Clock) -> tuple[asyncio.DatagramTransport, DatagramQueue]:
    """Listen on an own address, or join a multicast group.

    Raises:
        SourceLost: the address is not ours (now), or in use.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, address = found[0][0], found[0][4]
        transport, queue = await loop.create_datagram_endpoint(
            lambda: DatagramQueue(clock), sock=_bound(family, (str(address[0]), port))
        )
    except OSError as exc:
        raise SourceLost(f"udp {host}:{port}: {exc.strerror or exc}") from exc
    return transport, queue


def _bound(family: int, address: tuple[str, int]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
        if ipaddress.ip_address(address[0]).is_multicast:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            _join(bound, address[0])
        else:
            bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _join(bound: socket.socket, group: str) -> None:
    packed = ipaddress.ip_address(group).packed
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("@I", 0))
    else:
        bound.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + struct.pack("=I", socket.INADDR_ANY))
