"""A storm: 10,000 simulated presence events at once, and the handful of messages that people get of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Never

from pydantic import SecretStr

from seacanary.alerts.rules import AlertRule, AlertsSection, RateLimit
from seacanary.alerts.engine import CURSOR, Alerting
from seacanary.event_ids import named_by
from seacanary.events import AlertEvent, EventKind, PresenceEvent
from seacanary.journal import Journal
from seacanary.publishers.delivery import Delivery
from seacanary.publishers.circuit import DeliveryPolicy
from seacanary.publishers.notify import Notify, NotifySection
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.redis_streams import RedisStreams

HYDROPHONES = ("east", "north", "south", "west", "deep")
SPECIES = ("beluga", "orca")
RATE_HZ = 384_000


@dataclass(frozen=True, slots=True)
class Storm:
    """What a storm came to.

    Attributes:
        events: presence events appended.
        presences: of these, those that begin one.
        append_s: how long appending them took.
        settle_s: how long after the last of them the digest was delivered.
        alerts: all that the rule made, in order.
        limit: the rule's.
    """

    events: int
    presences: int
    append_s: float
    settle_s: float
    alerts: Sequence[AlertEvent]
    limit: RateLimit

    @property
    def most_in_stretch(self) -> int:
        """Most messages in any stretch of the limit's length."""
        times = [alert.at for alert in self.alerts]
        return max(sum(begin <= at < begin + self.limit.per for at in times) for begin in times)

    def figures(self) -> dict[str, object]:
        """For benchmarks/delivery.json."""
        return {
            "storm_events": self.events,
            "storm_messages": len(self.alerts),
            "storm_presences": self.presences,
            "storm_presences_told": presences_told(self.alerts),
            "storm_append_s": round(self.append_s, 2),
            "storm_most_messages_in_stretch": self.most_in_stretch,
            "storm_limit_messages": self.limit.messages,
            "storm_limit_per_s": self.limit.per_s,
        }


async def storm(folder: Path, *, redis_url: str, channel_url: str, rounds: int = 500, per_s: float = 60.0) -> Storm:
    """Append presences as fast as the journal takes them, and wait until all is told and delivered.

    In each round, each species comes and goes at each hydrophone: one bout per round and species.

    Args:
        folder: for the journal.
        redis_url: of a server, for every event.
        channel_url: an Apprise URL, for the alerts.
        rounds: 20 events each.
        per_s: stretch of the rate limit, of 6 messages; longer than the storm lasts, or it is told in parts.
    """
    limit = RateLimit(messages=6, per_s=per_s)
    rule = AlertRule(name="storm", cooldown_s=0, rate_limit=limit)
    redis = RedisStreams(RedisStreamsSection(url=SecretStr(redis_url), maxlen=None))
    channel = Notify(NotifySection(url=SecretStr(channel_url)))
    async with await Journal.open(folder / "journal.db") as journal, asyncio.timeout(600):
        alerting = Alerting(journal, AlertsSection(rules=(rule,)), station="storm", hold_s=0.0)
        async with _running(alerting.run(), *(_delivery(journal, p).run() for p in (redis, channel))):
            began_s = time.monotonic()
            events = await _append_all(journal, rounds)
            appended_s = time.monotonic()
            await _until_told(journal, events // 2)
            for reader in (CURSOR, redis.name, channel.name):
                await journal.wait_delivered(reader, journal.head)
            settled_s = time.monotonic()
        alerts = await _alerts(journal)
    await redis.aclose()
    await channel.aclose()
    return Storm(events, events // 2, appended_s - began_s, settled_s - appended_s, alerts, limit)


def presences_told(alerts: Sequence[AlertEvent]) -> int:
    """Presences that alerts spoke of: those in each bout's last notice, and those in the digests."""
    bouts = {alert.events[0]: alert.events_count for alert in alerts if alert.notice != "digest"}
    return sum(bouts.values()) + sum(alert.events_count for alert in alerts if alert.notice == "digest")


async def _append_all(journal: Journal, rounds: int) -> int:
    """Append every round's presences; how many events that made."""
    appended = 0
    for number in range(rounds):
        onset = datetime.now(UTC)
        for kind in ("started", "ended"):
            events = [_event(kind, number, onset, hydrophone=h, species=s) for h, s in product(HYDROPHONES, SPECIES)]
            appended += len(await journal.append(events))
    return appended


def _event(kind: EventKind, number: int, onset: datetime, *, hydrophone: str, species: str) -> PresenceEvent:
    ended = kind == "ended"
    return PresenceEvent(
        id=named_by("storm", hydrophone, species, str(number), kind),
        kind=kind,
        station="storm",
        hydrophone=hydrophone,
        species=species,
        call_types=("whistle",),
        epoch=onset,
        sample_rate_hz=RATE_HZ,
        onset_sample=0,
        offset_sample=RATE_HZ,
        onset=onset,
        offset=onset + timedelta(seconds=1) if ended else None,
        revision=int(ended),
        reason="quiet" if ended else None,
        peak_probability=0.9,
        mean_probability=0.8,
        windows_seen=2,
        windows_positive=2,
        coverage=1.0,
        model_id="simulated",
    )


def _delivery(journal: Journal, publisher: RedisStreams | Notify) -> Delivery:
    return Delivery(journal, publisher, policy=DeliveryPolicy(first_wait_s=0.05), on_change=lambda _: None)


async def _until_told(journal: Journal, presences: int) -> None:
    """Follow the journal until its alerts have spoken of so many presences."""
    alerts: list[AlertEvent] = []
    sequence = 0
    while presences_told(alerts) < presences:
        await journal.wait_beyond(sequence)
        for entry in await journal.read_after(sequence, 1000):
            sequence = entry.sequence
            alerts += [entry.event] if isinstance(entry.event, AlertEvent) else []


async def _alerts(journal: Journal) -> list[AlertEvent]:
    return [entry.event async for entry in journal.entries() if isinstance(entry.event, AlertEvent)]


@asynccontextmanager
async def _running(*parts: Coroutine[Any, Any, Never]) -> AsyncIterator[None]:
    """Run parts that never end by themselves, as long as the context lasts."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
