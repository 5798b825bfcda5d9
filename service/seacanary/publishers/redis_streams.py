"""Redis Streams: exactly one stream entry per event, and the current state beside it.

The entry id is the journal's (`<ms>-<step>`), which only grows, so what the stream
holds can be read off its newest entry. Each batch looks at that entry under WATCH and
appends in one MULTI: if anything (another connection, FLUSHALL, a restart)
touches the stream in between, nothing is appended and the batch is tried again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from seacanary.errors import DeliveryLost, DeliveryRetryable
from seacanary.events import CloudEvent, JournalEntry, PresenceEvent
from seacanary.publishers.redis_section import RedisStreamsSection, login_options


@dataclass(frozen=True, slots=True, order=True)
class StreamPosition:
    """An entry id of a Redis stream, in its order."""

    ms: int
    step: int

    @classmethod
    def of(cls, entry: JournalEntry) -> "StreamPosition":
        """The id a journal entry has in the stream."""
        return cls(entry.entry_ms, entry.entry_step)

    @classmethod
    def parsed(cls, text: str) -> "StreamPosition":
        """Read `<ms>-<step>`."""
        ms, step = text.split("-")
        return cls(int(ms), int(step))

    def __str__(self) -> str:
        return f"{self.ms}-{self.step}"


START = StreamPosition(0, 0)


@dataclass(frozen=True, slots=True)
class StreamTop:
    """The newest entry of the stream: its id, and the journal sequence it stands for."""

    position: StreamPosition = START
    sequence: int = 0


class RedisStreams:
    """Appends events to a Redis stream, once each, and keeps STREAM:state current."""

    def __init__(self, section: RedisStreamsSection) -> None:
        self.name = section.name
        self._section = section
        self._client = _client(section)
        # The top whose predecessors need no more asking: a loss was reported at it, and what
        # has come since was found in the stream, entry by entry.
        self._settled: StreamTop | None = None

    async def publish(self, entries: Sequence[JournalEntry]) -> None:
        """Append what the stream does not hold yet, and the state it leaves, in one MULTI.

        Raises:
            DeliveryLost: the stream does not hold what came before these.
            DeliveryRetryable: Redis is away, or refuses: wrong password, missing
                permission, wrong type, out of memory, another writer on the stream.
        """
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                await pipe.watch(self._section.stream)
                top = await self._top(pipe)
                self._refuse_hole(top, before=entries[0].sequence)
                fresh = await self._not_there_yet(pipe, entries, top)
                if fresh:
                    pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                    self._append(pipe, fresh)
                    await pipe.execute()
        except (RedisError, OSError) as exc:
            raise self._unwell(exc) from exc
        self._settled = None if fresh else top

    async def recheck(self, delivered: JournalEntry) -> None:
        """Return if the stream still reaches to the last entry delivered."""
        try:
            top = await self._top(self._client)
        except (RedisError, OSError) as exc:
            raise self._unwell(exc) from exc
        if top.position < StreamPosition.of(delivered):
            raise self._lost(top)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _top(self, redis: "Redis | Pipeline") -> StreamTop:
        newest = _decoded(await redis.xrevrange(self._section.stream, count=1))
        for entry_id, fields in newest.items():
            sequence = fields.get("sequence", "")
            return StreamTop(StreamPosition.parsed(entry_id), int(sequence) if sequence.isdecimal() else 0)
        return StreamTop()

    def _refuse_hole(self, top: StreamTop, *, before: int) -> None:
        """What precedes the batch must be there, unless this is the refill of a known loss."""
        if top.sequence < before - 1 and top != self._settled:
            raise self._lost(top)

    def _lost(self, top: StreamTop) -> DeliveryLost:
        self._settled = top
        return DeliveryLost(
            f"{self._section.place}: newest entry is {top.position} (sequence {top.sequence})",
            held_until=top.sequence,
            keeps=self._section.maxlen,
        )

    async def _not_there_yet(
        self, pipe: Pipeline, entries: Sequence[JournalEntry], top: StreamTop
    ) -> list[JournalEntry]:
        """Leave out what an earlier, unacknowledged attempt appended; refuse foreign entries in its place."""
        repeats = [entry for entry in entries if StreamPosition.of(entry) <= top.position]
        if repeats:
            low, high = StreamPosition.of(repeats[0]), StreamPosition.of(repeats[-1])
            held = _decoded(await pipe.xrange(self._section.stream, str(low), str(high)))
            for entry in repeats:
                fields = held.get(str(StreamPosition.of(entry)))
                self._refuse_foreign(entry, fields, top)
        return list(entries[len(repeats) :])

    def _refuse_foreign(self, entry: JournalEntry, fields: dict[str, str] | None, top: StreamTop) -> None:
        """An id that is taken must be by this event; one that is not was trimmed, if ours came after it."""
        trimmed = fields is None and top.sequence > entry.sequence
        ours = fields is not None and fields.get("id") == str(entry.event.id)
        if not (ours or trimmed):
            raise DeliveryRetryable(
                f"{self._section.place}: entry {StreamPosition.of(entry)} cannot be this station's, for the "
                f"stream already reaches to {top.position}; give each station a stream of its own"
            )

    def _append(self, pipe: Pipeline, entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            pipe.xadd(
                self._section.stream,
                _fields(entry),
                id=str(StreamPosition.of(entry)),
                maxlen=self._section.maxlen,
                approximate=True,
            )
        states = _states(entries)
        if states:
            pipe.hset(f"{self._section.stream}:state", mapping=states)

    def _unwell(self, exc: Exception) -> DeliveryRetryable:
        return DeliveryRetryable(f"{self._section.place}: {type(exc).__name__}: {exc}")


def _decoded(reply: object) -> dict[str, dict[str, str]]:
    """Stream entries by id; redis-py types them for every way of decoding, ours is to str."""
    return dict(cast("Iterable[tuple[str, dict[str, str]]]", reply))


def _fields(entry: JournalEntry) -> dict[Any, Any]:
    """The fields of a stream entry; `event` is the CloudEvent as JSON."""
    event = CloudEvent.of(entry.event)
    return {
        "id": event.id,
        "sequence": str(entry.sequence),
        "type": event.type,
        "event": event.model_dump_json(),
    }


def _states(entries: Sequence[JournalEntry]) -> dict[Any, Any]:
    """Last presence event of each hydrophone and species, by HYDROPHONE/SPECIES."""
    presences = [entry.event for entry in entries if isinstance(entry.event, PresenceEvent)]
    return {f"{event.hydrophone}/{event.species}": event.model_dump_json() for event in presences}


def _client(section: RedisStreamsSection) -> Redis:
    """A client that never retries by itself: delivery decides when to try again.

    Raises:
        ConfigError: the password's file cannot be read any more.
    """
    client: Redis = Redis.from_url(
        section.url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=section.connect_timeout_s,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
        **login_options(section),
    )
    return client
