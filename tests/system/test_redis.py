"""A real Redis, killed, flushed, locked and encrypted: the stream equals the journal, once each."""

# ruff: noqa: ASYNC220, ASYNC221  (servers and their files, while nothing else runs)

import asyncio
import json
import logging
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from event_samples import event
from seacanary.errors import DeliveryRetryable
from seacanary.events import PresenceEvent
from seacanary.journal import Journal
from seacanary.journal_reading import rewind_publisher
from seacanary.publishers.delivery import Delivery, DeliveryPolicy, DeliveryStatus
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.redis_streams import RedisStreams

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

HERE = Path(__file__).parent
STREAM = "{seacanary}:events"
QUICK = DeliveryPolicy(batch=7, timeout_s=2, first_wait_s=0.02, longest_wait_s=0.1, recheck_s=0.1)


@dataclass
class Server:
    """redis-server on a free loopback port, with its files in a folder of the test's."""

    folder: Path
    options: Sequence[str] = ()
    tls: bool = False
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.port = self.port or free_port()
        listen = ["--port", "0", "--tls-port"] if self.tls else ["--port"]
        command = ["redis-server", *listen, str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--dir", str(self.folder), *self.options], stdout=log, stderr=log
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self.process is not None
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError((self.folder / "redis.log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def url(self, user: str = "") -> str:
        return f"{'rediss' if self.tls else 'redis'}://{user}127.0.0.1:{self.port}/0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, ("--appendonly", "yes"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def section(server: Server, **changes: object) -> RedisStreamsSection:
    return RedisStreamsSection.model_validate({"url": server.url()} | changes)


@asynccontextmanager
async def delivering(
    journal: Journal,
    to: RedisStreamsSection,
    on_change: Callable[[DeliveryStatus], None] = lambda status: None,
) -> AsyncIterator[Delivery]:
    publisher = RedisStreams(to)
    delivery = Delivery(journal, publisher, policy=QUICK, on_change=on_change)
    running = asyncio.create_task(delivery.run())
    try:
        async with asyncio.timeout(60):
            yield delivery
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await publisher.aclose()


def turned(condition: Callable[[DeliveryStatus], bool]) -> tuple[asyncio.Event, Callable[[DeliveryStatus], None]]:
    """An event that is set once a status meets the condition, and what sets it."""
    met = asyncio.Event()
    return met, lambda status: met.set() if condition(status) else None


@asynccontextmanager
async def events_coming(journal: Journal) -> AsyncIterator[None]:
    """Append an event every few milliseconds meanwhile."""
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await journal.append([event(journal.head + 1)])
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.005)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        yield
        stop.set()


def stream_of(server: Server) -> list[tuple[str, str, int]]:
    """Entry id, event id and onset sample of all that is in the stream."""
    with Redis(port=server.port, decode_responses=True) as client:
        entries: list[tuple[str, dict[str, str]]] = client.xrange(STREAM)  # type: ignore[assignment]  # not async
    told = [(entry_id, fields, json.loads(fields["event"])) for entry_id, fields in entries]
    assert all(fields["id"] == sent["id"] for _, fields, sent in told)
    return [(entry_id, fields["id"], sent["data"]["onset_sample"]) for entry_id, fields, sent in told]


async def journal_of(journal: Journal) -> list[tuple[str, str, int]]:
    return [
        (f"{entry.entry_ms}-{entry.entry_step}", str(entry.event.id), entry.event.onset_sample)
        async for entry in journal.entries()
    ]


# --- the usual ---------------------------------------------------------------


async def test_the_stream_equals_the_journal(journal: Journal, server: Server) -> None:
    await journal.append([event(n) for n in range(1, 30)])
    async with delivering(journal, section(server)) as delivery:
        await journal.append([event(30)])
        assert await delivery.drain(20)
    assert stream_of(server) == await journal_of(journal)
    assert len(stream_of(server)) == 30


async def test_the_current_state_lies_beside_the_stream(journal: Journal, server: Server) -> None:
    latest = [event(2), event(3, species="porpoise"), event(4, hydrophone="south")]
    await journal.append([event(1), *latest])
    async with delivering(journal, section(server)) as delivery:
        assert await delivery.drain(20)
    with Redis(port=server.port, decode_responses=True) as client:
        state: dict[str, str] = client.hgetall(f"{STREAM}:state")  # type: ignore[assignment]  # not async
    assert {key: PresenceEvent.model_validate_json(value) for key, value in state.items()} == {
        "north/beluga": latest[0],
        "north/porpoise": latest[1],
        "south/beluga": latest[2],
    }


async def test_a_batch_whose_acknowledgement_was_lost_is_not_doubled(journal: Journal, server: Server) -> None:
    await journal.append([event(n) for n in range(1, 20)])
    async with delivering(journal, section(server)) as delivery:
        assert await delivery.drain(20)
    await journal.move_cursor("redis", 5)  # as if it had been killed before it could note more
    await journal.append([event(20)])
    async with delivering(journal, section(server)) as delivery:
        assert await delivery.drain(20)
    assert stream_of(server) == await journal_of(journal)


async def test_the_stream_is_kept_to_its_length(journal: Journal, server: Server) -> None:
    await journal.append([event(n) for n in range(1, 1001)])
    async with delivering(journal, section(server, maxlen=100)) as delivery:
        assert await delivery.drain(20)
    held = stream_of(server)
    assert 100 <= len(held) < 300
    assert held == (await journal_of(journal))[-len(held) :]


# --- Redis dies --------------------------------------------------------------


async def test_killed_and_restarted_while_events_come(journal: Journal, server: Server) -> None:
    async with delivering(journal, section(server)) as delivery:
        async with events_coming(journal):
            for _ in range(4):
                await asyncio.sleep(0.4)
                server.kill()
                await asyncio.sleep(0.2)
                await asyncio.to_thread(server.start)
        assert await delivery.drain(20)
    assert stream_of(server) == await journal_of(journal)


async def test_down_for_a_while(journal: Journal, server: Server) -> None:
    in_trouble, note = turned(lambda status: status.failures >= 3 and status.waiting == 3)
    await journal.append([event(1)])
    async with delivering(journal, section(server), note) as delivery:
        assert await delivery.drain(20)
        server.kill()
        await journal.append([event(2), event(3), event(4)])
        await in_trouble.wait()
        assert "ConnectionError" in (delivery.status.trouble or "")
        assert delivery.status.oldest_waiting_ms is not None
        await asyncio.to_thread(server.start)
        assert await delivery.drain(20)
    assert stream_of(server) == await journal_of(journal)


async def test_flushed_while_nothing_happens(journal: Journal, server: Server) -> None:
    refilled, note = turned(lambda status: status.refills > 0)
    await journal.append([event(n) for n in range(1, 40)])
    async with delivering(journal, section(server), note) as delivery:
        assert await delivery.drain(20)
        with Redis(port=server.port) as client:
            client.flushall()
        await refilled.wait()
        assert await delivery.drain(20)
    assert stream_of(server) == await journal_of(journal)


async def test_flushed_again_and_again_while_events_come(journal: Journal, server: Server) -> None:
    refilled, note = turned(lambda status: status.refills > 0)
    async with delivering(journal, section(server), note) as delivery:
        async with events_coming(journal):
            with Redis(port=server.port) as client:
                for _ in range(10):
                    await asyncio.sleep(0.15)
                    client.flushall()
        await refilled.wait()
        await asyncio.sleep(2 * QUICK.recheck_s)
        assert await delivery.drain(20)
    assert stream_of(server) == await journal_of(journal)


async def test_a_refill_brings_no_more_than_the_stream_keeps(journal: Journal, server: Server) -> None:
    await journal.append([event(n) for n in range(1, 101)])
    async with delivering(journal, section(server, maxlen=10)) as delivery:
        assert await delivery.drain(20)
    with Redis(port=server.port) as client:
        client.flushall()
    await journal.append([event(101)])
    refilled, note = turned(lambda status: status.refills > 0)
    async with delivering(journal, section(server, maxlen=10), note) as delivery:
        await refilled.wait()
        assert await delivery.drain(20)
    assert stream_of(server) == (await journal_of(journal))[-10:]


# --- a replay ----------------------------------------------------------------


async def replayed(path: Path, to: RedisStreamsSection, *, after: int) -> list[tuple[str, str, int]]:
    """What the journal holds, once the run after a rewind has delivered."""
    await rewind_publisher(path, "redis", after=after)
    async with await Journal.open(path) as journal:
        async with delivering(journal, to) as delivery:
            assert await delivery.drain(20)
        return await journal_of(journal)


@pytest.mark.parametrize("after", [0, 15])
async def test_a_replay_doubles_nothing_and_refills_what_was_flushed(
    tmp_path: Path, server: Server, after: int
) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path) as journal:
        await journal.append([event(n) for n in range(1, 31)])
    first = await replayed(path, section(server), after=0)
    assert stream_of(server) == first
    assert await replayed(path, section(server), after=after) == stream_of(server)
    assert len(stream_of(server)) == 30
    with Redis(port=server.port) as client:
        client.flushall()
    assert await replayed(path, section(server), after=after) == stream_of(server)
    assert len(stream_of(server)) == 30


# --- the writer dies ---------------------------------------------------------


def left_behind(path: Path) -> int:
    """How many events a journal holds that Redis has not acknowledged, read beside whoever holds its lock."""
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'cursors'").fetchone():
            return 0  # killed before the journal was laid out
        (head,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()
        (cursor,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM cursors").fetchone()
    return int(head - cursor)


async def test_a_writer_killed_fifty_times(tmp_path: Path, server: Server) -> None:
    chance = random.Random(20260501)
    path = tmp_path / "journal.db"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    nursery = subprocess.Popen(
        [sys.executable, HERE / "redis_writers.py", path, server.url()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    undelivered = 0  # over all kills
    with nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(50):
            nursery.stdin.write(b"go\n")
            nursery.stdin.flush()
            writer = int(nursery.stdout.readline())
            await asyncio.sleep(chance.uniform(0.02, 0.5))
            os.kill(writer, signal.SIGKILL)
            undelivered += left_behind(path)
    async with await Journal.open(path) as journal:
        async with delivering(journal, section(server)) as delivery:
            assert await delivery.drain(20)
        written = await journal_of(journal)
        assert await journal.states() == {"head": str(journal.head)}
    assert [onset for _, _, onset in written] == list(range(1, len(written) + 1))
    assert len(written) > 500, "the writers hardly wrote"
    assert undelivered > 0, "no writer was killed with anything left to deliver"
    assert stream_of(server) == written


# --- Redis refuses -----------------------------------------------------------


async def refusal(to: RedisStreamsSection, journal: Journal) -> str:
    [entry] = await journal.append([event(journal.head + 1)])
    async with aclosing(RedisStreams(to)) as publisher:
        with pytest.raises(DeliveryRetryable) as refused:
            await publisher.publish([entry])
    return str(refused.value)


async def test_an_acl_user_delivers_and_a_wrong_password_does_not(
    journal: Journal, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Redis(port=server.port) as client:
        client.execute_command(
            "ACL", "SETUSER", "canary", "on", ">s3cret", f"~{STREAM}*", "+@stream", "+@transaction", "+hset"
        )
        client.execute_command("ACL", "SETUSER", "default", "off")
    right = section(server, url=server.url("canary:s3cret@"))
    wrong = section(server, url=server.url("canary:wr0ng@"))
    in_trouble, note = turned(lambda status: status.failures > 1)
    await journal.append([event(1)])
    async with delivering(journal, wrong, note) as delivery:
        await in_trouble.wait()
        assert "AuthenticationError" in (delivery.status.trouble or "")
        assert "wr0ng" not in (delivery.status.trouble or "")
    assert await journal.cursor("redis") == 0
    async with delivering(journal, right) as delivery:
        assert await delivery.drain(20)
    assert "wr0ng" not in caplog.text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(right)


async def test_trouble_of_configuration_is_told_and_nothing_dropped(journal: Journal, server: Server) -> None:
    with Redis(port=server.port) as client:
        client.set("taken", "by something else")
        client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read")
    reader = section(server, url=server.url("reader:pw@"))
    assert "WRONGTYPE" in await refusal(section(server, stream="taken"), journal)
    assert "NoPermission" in await refusal(reader, journal)


async def test_a_stream_that_another_writer_has_taken_ahead_is_told_until_it_is_free(
    journal: Journal, server: Server
) -> None:
    await journal.append([event(n) for n in range(1, 20)])
    in_trouble, note = turned(lambda status: "a stream of its own" in (status.trouble or ""))
    async with delivering(journal, section(server), note) as delivery:
        assert await delivery.drain(20)
        with Redis(port=server.port) as client:
            client.xadd(STREAM, {"sequence": "by another"}, id="99999999999999-0")
        await journal.append([event(20)])
        await in_trouble.wait()
        with Redis(port=server.port) as client:
            client.delete(STREAM)
        await journal.wait_delivered("redis", 20)
    assert stream_of(server) == await journal_of(journal)


async def test_tls_with_a_certificate_of_our_own(tmp_path: Path, journal: Journal) -> None:
    certificate, key = tmp_path / "redis.crt", tmp_path / "redis.key"
    make = f"""openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1
        -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"""
    subprocess.run(make.split(), check=True, capture_output=True)
    options = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no"]
    server = Server(tmp_path, options, tls=True)
    server.start()
    try:
        assert "CERTIFICATE_VERIFY_FAILED" in await refusal(section(server), journal)
        trusting = section(server, ca_file=certificate)
        async with delivering(journal, trusting) as delivery:
            assert await delivery.drain(20)
        with Redis(port=server.port, ssl=True, ssl_ca_certs=str(certificate)) as client:
            assert client.xlen(STREAM) == 1
    finally:
        server.kill()
