"""Targets: which network addresses a publisher may connect to, held when the connection is made.

A URL from a configuration, or a name server that answers differently each time, must not
turn the station into a way into its own network. So the name is resolved here, every
address it has is checked, and the connection goes to a checked address; TLS still
asks for, and checks, the name.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from httpcore import SOCKET_OPTION, AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream, ConnectError, ConnectTimeout

from seacanary.errors import DeliveryRetryable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]

# Instance metadata services at addresses that are not link-local: Azure, Oracle, Alibaba, AWS on IPv6.
METADATA = tuple(
    map(ipaddress.ip_address, ("168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "169.254.169.254"))
)
# RFC 6052: an IPv6 address that a NAT64 gateway turns into the IPv4 address in its last 32 bits.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Targets:
    """What may be connected to.

    Attributes:
        private: whether private and loopback networks are allowed.
        networks: networks that are allowed whatever they are.
        public: whether the internet is allowed.
    """

    private: bool = False
    networks: tuple[Network, ...] = ()
    public: bool = True

    def refusal(self, address: Address) -> str | None:
        """Why an address is not to be connected to; None: it is allowed."""
        target = effective(address)
        if any(target.version == network.version and target in network for network in self.networks):
            return None
        sort = _sort_of(target)
        if sort == "public":
            return (
                None if self.public else f"{address} is public, and http:// is for private networks only; use https://"
            )
        if sort in ("private", "loopback") and self.private:
            return None
        return f"{address} is a {sort} address; list its network in allow_private_networks to allow it"


def effective(address: Address) -> Address:
    """The address that packets end up at: IPv4 in IPv6 (mapped, 6to4, Teredo, NAT64, compatible) is taken out."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if address in NAT64 or 1 < int(address) < 1 << 32:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _sort_of(address: Address) -> str:
    if address in METADATA:
        return "cloud metadata"
    if address.is_multicast:
        return "multicast"
    if address.is_link_local:
        return "link-local"
    if address.is_unspecified:
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address.is_reserved:
        return "reserved"
    return "private" if not address.is_global or getattr(address, "is_site_local", False) else "public"


def literal(host: str) -> Address | None:
    """The address that a URL's host states itself; None: it is a name to be resolved."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


async def resolved(host: str, port: int) -> list[Address]:
    """Every address of a host, as the system resolves it; all ways of writing an address included.

    Raises:
        OSError: it has none, or they cannot be asked for now.
    """
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(answer[4][0]) for answer in answers))


class CheckedBackend(AsyncNetworkBackend):
    """Connects httpcore to allowed targets only."""

    def __init__(self, targets: Targets, *, resolve: Resolver = resolved) -> None:
        self._targets, self._resolve = targets, resolve
        self._network = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first address that answers; one that is refused refuses them all.

        Args:
            host: name or address.
            port: TCP port.
            timeout: longest wait for each address, seconds.
            local_address: to connect from.
            socket_options: for the socket.

        Raises:
            DeliveryRetryable: an address of the host is not allowed; a name may have others later.
            ConnectError: none answers, or the name has no address.
            ConnectTimeout: none answers in time.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as exc:  # UnicodeError: no name at all, such as one with two dots in a row
            reason = getattr(exc, "strerror", None) or exc
            raise ConnectError(f"{host} cannot be resolved: {reason}") from exc
        for refusal in map(self._targets.refusal, addresses):
            if refusal:
                raise DeliveryRetryable(f"{host}: {refusal}" if host != str(addresses[0]) else refusal)
        failure: ConnectError | ConnectTimeout = ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (ConnectError, ConnectTimeout) as exc:
                failure = exc
        raise failure
