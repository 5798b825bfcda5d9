"""An older journal is restored while a real Redis and a webhook's receiver remember what was told since: no doubles."""

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from documents import ROOT
from event_samples import event
from redis_server import RedisServer
from seacanary.cli import app
from seacanary.config import StationConfig, read_config
from seacanary.events import JournalEntry
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery, DeliveryPolicy
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.redis_streams import RedisStreams
from seacanary.publishers.webhook import Webhook
from seacanary.publishers.webhook_section import WebhookSection
from webhook_receiver import SECRET, Receiver, Reply

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

STREAM = "{seacanary}:events"
QUICK = DeliveryPolicy(batch=7, timeout_s=5, first_wait_s=0.02, longest_wait_s=0.1, recheck_s=0.1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, server: RedisServer, receiver: Receiver) -> Path:
    path = tmp_path / "station.yaml"
    tree = {
        "station": {"name": "station"},
        "sources": [{"kind": "simulated", "hydrophones": ["north"], "sample_rate_hz": 384000}],
        "journal": {"path": str(tmp_path / "journal.db")},
        "publishers": [
            {"kind": "redis_streams", "url": server.url},
            {
                "kind": "webhook",
                "name": "webhook",
                "url": receiver.url,
                "secret": SECRET,
                "events": ["presence"],
                "allow_private_networks": True,
            },
        ],
    }
    path.write_text(json.dumps(tree))
    return path


def seacanary(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@asynccontextmanager
async def station(config: StationConfig, *, only: Sequence[str] = ("redis", "webhook")) -> Any:
    """A journal and the publishers that deliver from it."""
    async with await Journal.open(config.journal.path) as journal:
        await journal.begin([section.name for section in config.publishers])
        made = [
            RedisStreams(section) if isinstance(section, RedisStreamsSection) else Webhook(section)
            for section in config.publishers
            if section.name in only and isinstance(section, RedisStreamsSection | WebhookSection)
        ]
        deliveries = [Delivery(journal, publisher, policy=QUICK, on_change=lambda _: None) for publisher in made]
        running = [asyncio.create_task(delivery.run()) for delivery in deliveries]
        try:
            yield journal
            for delivery in deliveries:
                assert await delivery.drain(60)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for publisher in made:
                await publisher.aclose()


async def hear(config: Path, *onsets: int, only: Sequence[str] = ("redis", "webhook")) -> list[JournalEntry]:
    """Run a station until it has told all there is; all entries of its journal."""
    async with station(read_config(config), only=only) as journal:
        for onset in onsets:
            await journal.append([event(onset)])
        return [entry async for entry in journal.entries()]


def streamed(server: RedisServer) -> list[tuple[str, str]]:
    """Entry id and event id of all that the stream holds."""
    with Redis.from_url(server.url, decode_responses=True) as redis:
        entries: Any = redis.xrange(STREAM)
        return [(entry_id, fields["id"]) for entry_id, fields in entries]


def places(entries: Sequence[JournalEntry]) -> list[tuple[str, str]]:
    return [(f"{entry.entry_ms}-{entry.entry_step}", str(entry.event.id)) for entry in entries]


def restored(backup: Path, config: Path) -> str:
    result = seacanary("restore", backup, config, "--force")
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


async def test_what_was_told_after_the_backup_is_told_once(
    config: Path, tmp_path: Path, server: RedisServer, receiver: Receiver
) -> None:
    backup = tmp_path / "b.tar.gz"
    await hear(config, *range(1, 8), only=["redis"])  # the webhook's cursor lags
    assert (await asyncio.to_thread(seacanary, "backup", config, backup)).exit_code == 0
    told = await hear(config, *range(8, 16))
    before = streamed(server)
    assert before == places(told)

    said = await asyncio.to_thread(restored, backup, config)
    assert "redis: 8 events of after the backup taken back from Redis" in said
    assert "webhook: 7 events of before the backup are offered to it again" in said
    # A recording is read again: events 10 to 15 are made once more, and then new ones.
    entries = await hear(config, *range(10, 20))
    assert [entry.event for entry in entries] == [event(n) for n in range(1, 20)]
    assert streamed(server) == places(entries)
    assert streamed(server)[: len(before)] == before
    assert acted_on(receiver, tmp_path) == [str(event(n).id) for n in range(1, 20)]
    assert len(receiver.taken) > 19  # it was told again, under the same ids


def inbox_of(tmp_path: Path, acted: list[str]) -> Any:
    """As docs/receiving-webhooks.md has it."""
    spec = importlib.util.spec_from_file_location("receive_webhooks", ROOT / "docs" / "receive_webhooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Inbox(SECRET, tmp_path / "seen.db", lambda received: acted.append(received["id"]))


def acted_on(receiver: Receiver, tmp_path: Path) -> list[str]:
    """What the receiver of docs/receiving-webhooks.md makes of all that came."""
    acted: list[str] = []
    inbox = inbox_of(tmp_path, acted)
    for request in receiver.taken:
        assert inbox.take(request.body, request.headers) == Reply().status
    return acted


async def test_a_cursor_that_goes_back_doubles_nothing_in_redis(
    config: Path, tmp_path: Path, server: RedisServer
) -> None:
    await hear(config, *range(1, 6), only=["redis"])
    await hear(config, *range(6, 12), only=[])  # journalled, not yet delivered
    backup = tmp_path / "b.tar"
    assert (await asyncio.to_thread(seacanary, "backup", config, backup)).exit_code == 0
    told = await hear(config, only=["redis"])
    await asyncio.to_thread(restored, backup, config)
    entries = await hear(config, 12, only=["redis"])
    assert streamed(server) == places(entries)
    assert entries[:-1] == told


async def test_without_redis_the_restore_says_so_and_new_events_flow(
    config: Path, tmp_path: Path, server: RedisServer
) -> None:
    backup = tmp_path / "b.tar"
    await hear(config, 1, 2, only=["redis"])
    assert (await asyncio.to_thread(seacanary, "backup", config, backup)).exit_code == 0
    await hear(config, 3, 4, only=["redis"])
    server.kill()
    said = await asyncio.to_thread(restored, backup, config)
    assert "redis: 0 events of after the backup taken back from Redis; no more of it:" in said
    server.start()
    await hear(config, 5, 6, only=["redis"])
    assert [ident for _, ident in streamed(server)] == [str(event(n).id) for n in range(1, 7)]


async def test_a_stream_of_another_station_or_history_is_not_taken_back(
    config: Path, tmp_path: Path, server: RedisServer
) -> None:
    backup = tmp_path / "b.tar"
    await hear(config, 1, 2, only=["redis"])
    assert (await asyncio.to_thread(seacanary, "backup", config, backup)).exit_code == 0
    with Redis.from_url(server.url) as redis:
        redis.xadd(STREAM, {"id": "x", "sequence": "3", "event": "{}"})
        said = await asyncio.to_thread(restored, backup, config)
        assert "holds no event that can be read" in said
        redis.delete(STREAM)
        foreign = event(3).model_copy(update={"station": "pier"})
        redis.xadd(STREAM, {"id": "x", "sequence": "3", "event": json.dumps({"data": foreign.model_dump(mode="json")})})
        said = await asyncio.to_thread(restored, backup, config)
        assert "is of station pier, not station" in said
        redis.delete(STREAM)
        redis.xadd(STREAM, {"id": "x", "sequence": "9", "event": "{}"})
        said = await asyncio.to_thread(restored, backup, config)
    assert "event 3 is missing; after it comes" in said
    async with await Journal.open_to_read(tmp_path / "journal.db") as journal:
        assert [entry.event async for entry in journal.entries()] == [event(1), event(2)]
