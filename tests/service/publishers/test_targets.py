"""Targets: no way of writing an address, and no name, leads where it must not."""

import asyncio
import ipaddress
from collections.abc import Sequence

import httpcore
import pytest

from seacanary.errors import DeliveryRetryable
from seacanary.publishers.targets import Address, CheckedBackend, Targets, effective, literal, resolved

PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
PRIVATE = (
    "127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "fd12::1",
    "fec0::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1",
    "2001:0:808:808::80ff:fffe",
)  # fmt: skip
NEVER = (
    "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "169.254.1.1", "fe80::1",
    "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "224.0.0.1", "239.1.1.1", "ff02::1",
    "0.0.0.0", "::", "255.255.255.255", "240.0.0.1", "::ffff:0.0.0.0",
)  # fmt: skip


def refusal(address: str, targets: Targets) -> str | None:
    return targets.refusal(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_allowed(address: str) -> None:
    assert refusal(address, Targets()) is None
    assert refusal(address, Targets(private=True)) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_loopback_addresses_are_refused_unless_allowed(address: str) -> None:
    assert "allow_private_networks" in str(refusal(address, Targets()))
    assert refusal(address, Targets(private=True)) is None


@pytest.mark.parametrize("address", NEVER)
def test_metadata_link_local_multicast_and_nowhere_need_to_be_listed(address: str) -> None:
    assert refusal(address, Targets())
    assert refusal(address, Targets(private=True))
    exact = ipaddress.ip_network(effective(ipaddress.ip_address(address)))
    assert refusal(address, Targets(networks=(exact,))) is None


def test_a_link_local_address_with_its_interface_is_refused() -> None:
    assert "link-local" in str(refusal("fe80::1%eth0", Targets(private=True)))


def test_a_listed_network_is_allowed_and_no_other() -> None:
    targets = Targets(networks=(ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("fd12::/64")))
    assert refusal("10.20.3.4", targets) is None
    assert refusal("::ffff:10.20.3.4", targets) is None
    assert refusal("fd12::7", targets) is None
    assert refusal("10.21.0.1", targets)
    assert refusal("127.0.0.1", targets)
    assert refusal("fd12:0:0:1::7", targets)


def test_unencrypted_posts_stay_off_the_internet() -> None:
    targets = Targets(private=True, public=False)
    assert "https" in str(refusal("8.8.8.8", targets))
    assert refusal("192.168.1.1", targets) is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("localhost", "127.0.0.1"),
        ("LocalHost.", "127.0.0.1"),
        ("hook.localhost", "127.0.0.1"),
        ("example.org", None),
        ("10.0.0.1.example.org", None),
    ],
)
def test_addresses_in_a_url_are_known_before_any_is_resolved(host: str, address: str | None) -> None:
    assert literal(host) == (ipaddress.ip_address(address) if address else None)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "127.0.0.1"])
async def test_the_system_resolves_odd_ways_of_writing_an_address_to_what_is_checked(host: str) -> None:
    assert await resolved(host, 80) == [ipaddress.ip_address("127.0.0.1")]


# --- at connection time -------------------------------------------------------


class Listener:
    """A TCP port of this machine that counts who comes."""

    def __init__(self) -> None:
        self.came = 0

    async def __aenter__(self) -> "Listener":
        self._server = await asyncio.start_server(self._count, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _count(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        writer.close()


def answers(*addresses: str) -> "Resolving":
    return Resolving([[ipaddress.ip_address(address) for address in addresses]])


class Resolving:
    """A name server that says one thing after another, then the last one again."""

    def __init__(self, script: Sequence[Sequence[Address]]) -> None:
        self._script, self.asked = script, 0

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked += 1
        return self._script[min(self.asked, len(self._script)) - 1]


async def test_a_name_with_a_private_address_is_refused_without_connecting() -> None:
    async with Listener() as listener:
        backend = CheckedBackend(Targets(), resolve=answers("127.0.0.1"))
        with pytest.raises(DeliveryRetryable, match=r"hook\.example: 127\.0\.0\.1 is a loopback address"):
            await backend.connect_tcp("hook.example", listener.port)
    assert listener.came == 0


async def test_one_private_address_among_public_ones_refuses_them_all() -> None:
    backend = CheckedBackend(Targets(), resolve=answers("8.8.8.8", "::ffff:10.0.0.1"))
    with pytest.raises(DeliveryRetryable, match="private address"):
        await backend.connect_tcp("hook.example", 443)


async def test_each_connection_resolves_once_and_goes_to_what_was_checked() -> None:
    """A name that turns from allowed to private between check and use has no second chance to be asked."""
    turning = Resolving([[ipaddress.ip_address("127.0.0.1")], [ipaddress.ip_address("10.0.0.1")]])
    targets = Targets(networks=(ipaddress.ip_network("127.0.0.1/32"),))
    async with Listener() as listener:
        backend = CheckedBackend(targets, resolve=turning)
        stream = await backend.connect_tcp("hook.example", listener.port)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", listener.port)
        assert turning.asked == 1
        await stream.aclose()
        with pytest.raises(DeliveryRetryable, match=r"10\.0\.0\.1"):
            await backend.connect_tcp("hook.example", listener.port)


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with Listener() as listener:
        backend = CheckedBackend(Targets(private=True), resolve=answers("127.0.0.2", "127.0.0.1"))
        stream = await backend.connect_tcp("hook.example", listener.port, timeout=2)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        await stream.aclose()


async def test_a_name_that_cannot_be_resolved_is_said_so() -> None:
    async def nothing(host: str, port: int) -> Sequence[Address]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(httpcore.ConnectError, match=r"hook\.example cannot be resolved: Name or service not known"):
        await CheckedBackend(Targets(), resolve=nothing).connect_tcp("hook.example", 443)
    with pytest.raises(httpcore.ConnectError, match="has no address"):
        await CheckedBackend(Targets(), resolve=answers()).connect_tcp("hook.example", 443)


@pytest.mark.parametrize("host", ["hook..example", "a" * 64 + ".example"])
async def test_a_name_that_no_name_server_can_be_asked_for_is_said_so(host: str) -> None:
    with pytest.raises(httpcore.ConnectError, match="cannot be resolved"):
        await CheckedBackend(Targets()).connect_tcp(host, 443)
