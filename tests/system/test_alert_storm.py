"""A storm of 10,000 presence events: each in the journal and in a real Redis, and a handful of messages for people."""

import json
import shutil
from pathlib import Path

import pytest
from benchmarks.delivery_storm import presences_told, storm
from redis import Redis

from json_channel import JsonChannel
from redis_server import RedisServer
from seacanary.events import PresenceEvent
from seacanary.journal import Journal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

STREAM = "{seacanary}:events"
EVENTS = 10_000


async def test_a_storm_is_told_in_a_handful_of_messages_and_every_event_is_delivered(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, JsonChannel() as channel:
        came_to = await storm(tmp_path, redis_url=server.url, channel_url=channel.url, per_s=40)
        with Redis.from_url(server.url, decode_responses=True) as redis:
            streamed = [json.loads(fields["event"]) for _, fields in redis.xrange(STREAM)]
    async with await Journal.open_to_read(tmp_path / "journal.db") as journal:
        journalled = [str(entry.event.id) async for entry in journal.entries()]
        presences = {entry.event.id async for entry in journal.entries() if isinstance(entry.event, PresenceEvent)}

    assert came_to.append_s < 60
    assert came_to.events == len(presences) == EVENTS
    assert [event["id"] for event in streamed] == journalled

    assert [message["message"].rpartition("Id ")[2] for message in channel.messages] == [
        str(alert.id) for alert in came_to.alerts
    ]
    limit = came_to.limit
    for first, one_too_many in zip(came_to.alerts, came_to.alerts[limit.messages :], strict=False):
        assert one_too_many.at - first.at >= limit.per

    digests = [alert for alert in came_to.alerts if alert.notice == "digest"]
    [last] = channel.titles[-1:]
    assert last.startswith("storm: digest")
    assert presences_told(came_to.alerts) == came_to.presences == EVENTS // 2
    told_one_by_one = {alert.events[0] for alert in came_to.alerts if alert.notice == "heard"}
    bouts = came_to.presences // 5  # five hydrophones hear each
    heard_held_back = sum(sum(digest.held_back.values()) for digest in digests)
    gone_said = sum(alert.notice == "gone" for alert in came_to.alerts)
    # Of a bout that was told of, `gone` is a notice of its own; of another, `heard` was all that was held back.
    assert heard_held_back == (bouts - len(told_one_by_one)) + (len(told_one_by_one) - gone_said)
    assert f"{digests[0].events_count} presences" in channel.messages[-1]["message"]
