"""What systemd is told. A datagram socket of the test stands in its place, which is all that systemd's side is."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from seacanary.health import Health
from seacanary.supervisor_notice import supervisor_told

WORKING = Health((), (), {})
FED = ["READY=1", "WATCHDOG=1", "STATUS=all is well"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(tmp_path / "notify"))
        inbox.setblocking(False)
        yield inbox


def environment_of(supervisor: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(supervisor.getsockname()), **more}


async def next_notice(supervisor: socket.socket) -> list[str]:
    async with asyncio.timeout(30):
        return (await asyncio.get_running_loop().sock_recv(supervisor, 4096)).decode().splitlines()


def waiting(supervisor: socket.socket) -> list[str]:
    """What has arrived and was not yet looked at."""
    notices = []
    while True:
        try:
            notices.append(supervisor.recv(4096).decode())
        except BlockingIOError:
            return notices


async def test_who_works_is_ready_and_feeds_the_watchdog_again_and_again(supervisor: socket.socket) -> None:
    async with supervisor_told(lambda: WORKING, environment_of(supervisor, WATCHDOG_USEC="40000")):
        assert [await next_notice(supervisor) for _ in range(3)] == [FED] * 3


@pytest.mark.parametrize(
    "health",
    [
        Health((), ("it is starting",), {}, ("it is starting",)),
        Health((), ("hydrophone north has delivered no samples for 9 s",), {}, ("hydrophone north: nothing",)),
        Health(("the journal could not be written for 61 s",), (), {}),
        Health(("the event loop has not turned for 31 s",), (), {}),
    ],
    ids=["starting", "hung source", "stuck journal", "hung loop"],
)
async def test_who_does_not_work_says_why_and_feeds_nothing(supervisor: socket.socket, health: Health) -> None:
    async with supervisor_told(lambda: health, environment_of(supervisor, WATCHDOG_USEC="40000")):
        notices = [await next_notice(supervisor) for _ in range(3)]
    (told,) = {tuple(notice) for notice in notices}
    assert told == ("STATUS=" + "; ".join(dict.fromkeys((*health.failing, *health.standstill, *health.unready))),)


async def test_one_of_two_hydrophones_is_enough_and_the_other_is_named(supervisor: socket.socket) -> None:
    health = Health((), ("source 1-alsa is lost: unplugged",), {})
    async with supervisor_told(lambda: health, environment_of(supervisor)):
        assert await next_notice(supervisor) == [*FED[:2], "STATUS=source 1-alsa is lost: unplugged"]


async def test_work_that_stops_and_goes_on_stops_and_goes_on_feeding(supervisor: socket.socket) -> None:
    healths = [WORKING, Health((), (), {}, ("hung\nup",)), WORKING]
    told = iter(healths)
    async with supervisor_told(lambda: next(told, WORKING), environment_of(supervisor, WATCHDOG_USEC="40000")):
        assert [await next_notice(supervisor) for _ in healths] == [FED, ["STATUS=hung up"], FED]


async def test_the_end_is_announced_and_is_the_last_word(supervisor: socket.socket) -> None:
    async with supervisor_told(lambda: WORKING, environment_of(supervisor)):
        await next_notice(supervisor)
    assert waiting(supervisor)[-1] == "STOPPING=1"


async def test_a_failure_within_is_not_hidden(supervisor: socket.socket) -> None:
    with pytest.raises(RuntimeError, match="within"):
        async with supervisor_told(lambda: WORKING, environment_of(supervisor)):
            raise RuntimeError("within")
    assert waiting(supervisor)[-1] == "STOPPING=1"


async def test_without_a_supervisor_nothing_is_asked() -> None:
    def unasked() -> Health:
        raise AssertionError("nobody wants to know")

    async with supervisor_told(unasked, {"NOTIFY_SOCKET": ""}):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("pid", [os.getpid(), 1])
async def test_the_watchdog_of_another_process_does_not_hurry_us(supervisor: socket.socket, pid: int) -> None:
    environment = environment_of(supervisor, WATCHDOG_USEC="40000", WATCHDOG_PID=str(pid))
    looks = 0

    def look() -> Health:
        nonlocal looks
        looks += 1
        return WORKING

    async with supervisor_told(look, environment):
        await asyncio.sleep(0.2)
    assert (looks > 1) == (pid == os.getpid())


async def test_an_abstract_address_is_understood(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        name = f"seacanary-test-{os.getpid()}"
        inbox.bind("\0" + name)
        inbox.setblocking(False)
        async with supervisor_told(lambda: WORKING, {"NOTIFY_SOCKET": "@" + name}):
            assert await next_notice(inbox) == FED


async def test_a_supervisor_that_is_away_is_told_again_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = str(tmp_path / "notify")
    async with supervisor_told(lambda: WORKING, {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000"}):
        await asyncio.sleep(0.1)
        assert [record.message for record in caplog.records] == [
            "the supervisor does not take what it is told: No such file or directory"
        ]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
            inbox.bind(address)
            inbox.setblocking(False)
            assert await next_notice(inbox) == FED
