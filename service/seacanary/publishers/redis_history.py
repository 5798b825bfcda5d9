"""What a Redis stream holds beyond a journal that was set back: its entries are the journal's, place by place."""

import json
from collections.abc import Iterator
from typing import Any, cast

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import RedisError

from seacanary.errors import DeliveryRetryable
from seacanary.events import EVENT, JournalEntry
from seacanary.publishers.redis_section import RedisStreamsSection, login_options
from seacanary.publishers.redis_streams import START, StreamPosition

AT_ONCE = 500


class HistoryRefused(DeliveryRetryable):
    """The stream does not go on where the journal ends."""


def entries_beyond(
    section: RedisStreamsSection, newest: JournalEntry | None, *, station: str
) -> Iterator[JournalEntry]:
    """Entries of the stream after the journal's newest, in order and without a hole.

    Args:
        section: which Redis, which stream.
        newest: of the journal; None: it has none.
        station: whose events they must be.

    Raises:
        HistoryRefused: the stream is of another history, has lost what comes next, or holds what is no event.
        DeliveryRetryable: Redis is away or refuses.
    """
    position, sequence = (StreamPosition.of(newest), newest.sequence) if newest else (START, 0)
    try:
        with _client(section) as redis:
            if newest is not None:
                _refuse_other_history(redis, section, newest)
            while batch := _batch(redis, section, position):
                for entry_id, fields in batch:
                    sequence, position = sequence + 1, StreamPosition.parsed(entry_id)
                    yield _entry(section, position, fields, sequence=sequence, station=station)
    except (RedisError, OSError) as exc:
        raise DeliveryRetryable(f"{section.place}: {type(exc).__name__}: {exc}") from exc


def _batch(redis: Redis, section: RedisStreamsSection, after: StreamPosition) -> list[tuple[str, dict[str, str]]]:
    reply: Any = redis.xrange(section.stream, min=f"({after}", count=AT_ONCE)
    return cast("list[tuple[str, dict[str, str]]]", reply)


def _refuse_other_history(redis: Redis, section: RedisStreamsSection, newest: JournalEntry) -> None:
    place = str(StreamPosition.of(newest))
    held: Any = redis.xrange(section.stream, min=place, max=place)
    for _, fields in held:
        if fields.get("id") != str(newest.event.id):
            raise HistoryRefused(f"{section.place}: entry {place} is another event than the journal's newest")


def _entry(
    section: RedisStreamsSection, position: StreamPosition, fields: dict[str, str], *, sequence: int, station: str
) -> JournalEntry:
    if fields.get("sequence") != str(sequence):
        raise HistoryRefused(
            f"{section.place}: event {sequence} is missing; after it comes entry {position}, event "
            f"{fields.get('sequence', 'of no number')}"
        )
    try:
        event = EVENT.validate_python(json.loads(fields["event"])["data"])
    except (KeyError, ValueError, ValidationError) as exc:
        raise HistoryRefused(f"{section.place}: entry {position} holds no event that can be read") from exc
    if event.station != station:
        raise HistoryRefused(f"{section.place}: entry {position} is of station {event.station}, not {station}")
    return JournalEntry(sequence=sequence, entry_ms=position.ms, entry_step=position.step, event=event)


def _client(section: RedisStreamsSection) -> Redis:
    client: Redis = Redis.from_url(
        section.url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=section.connect_timeout_s,
        socket_timeout=section.connect_timeout_s,
        **login_options(section),
    )
    return client
