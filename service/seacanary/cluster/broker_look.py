"""BrokerLook: what the brokers know of our group, asked by clients of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, for_code  # type: ignore[import-untyped]

from seacanary.cluster.section import KafkaSection
from seacanary.cluster.security import client_options
from seacanary.cluster.topics import IMAGE_BYTES
from seacanary.cluster.watchdog_judgement import Answer, Place, Standing
from seacanary.errors import SeaCanaryError

CLOSE_S = 2.0
# Reading a record to see its time costs a batch of its partition: the fullest partitions alone are asked.
DATED_AT_MOST = 16


class NoAnswer(SeaCanaryError):
    """The brokers do not say what is asked, now."""


class BrokerLook:
    """Asks again and again; after a failure with new clients. All methods belong to one loop."""

    def __init__(self, section: KafkaSection, *, group: str, topics: Mapping[str, str], timeout_s: float) -> None:
        """Prepare; brokers are asked by the first answer().

        Args:
            section: which Kafka.
            group: name of the consumer group.
            topics: full names by the stage that reads them.
            timeout_s: how long an answer may take.
        """
        self._section, self._group, self._timeout_s = section, group, timeout_s
        self._stages = {topic: stage for stage, topic in topics.items()}
        self._topics = dict(topics)
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._times_ms: dict[tuple[Place, int], int] = {}

    async def answer(self) -> Answer:
        """Ask for offsets and members.

        Raises:
            NoAnswer: the brokers, or those that matter, are away.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                admin, consumer = await self._open()
                return await self._ask(admin, consumer)
        except (KafkaError, OSError, TimeoutError) as exc:
            await self.aclose()
            raise NoAnswer(f"{self._section.place}: {type(exc).__name__} {exc}".rstrip()) from exc

    async def oldest_ms(self, standings: Mapping[Place, Standing]) -> dict[Place, int]:
        """The brokers' time of the oldest record that waits, ms since 1970, for the fullest partitions.

        What cannot be read in time is missing.
        """
        full = sorted((place for place in standings if standings[place].waiting), key=lambda p: -standings[p].waiting)
        wanted = {place: standings[place].next for place in full[:DATED_AT_MOST]}
        self._times_ms = {key: ms for key, ms in self._times_ms.items() if wanted.get(key[0]) == key[1]}
        unknown = {place: offset for place, offset in wanted.items() if (place, offset) not in self._times_ms}
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._read_times(unknown)
        return {place: ms for (place, _), ms in self._times_ms.items()}

    async def aclose(self) -> None:
        """Let go of the brokers."""
        clients = (self._admin and self._admin.close, self._consumer and self._consumer.stop)
        self._admin = self._consumer = None
        for close in filter(None, clients):
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await close()

    async def _open(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        options = client_options(self._section)
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**options)
            await self._admin.start()
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **options,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                max_partition_fetch_bytes=IMAGE_BYTES,
            )
            await self._consumer.start()
        return self._admin, self._consumer

    async def _ask(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Answer:
        places = await self._led(admin)
        committed = await admin.list_consumer_group_offsets(self._group)
        owners, members = await self._owners(admin)
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        standings = {}
        for at in places:
            known = committed[at].offset if at in committed and committed[at].offset >= 0 else None
            standings[self._place(at)] = Standing(begins[at], ends[at], known, owners.get(at))
        return Answer(standings, members)

    async def _led(self, admin: AIOKafkaAdminClient) -> list[TopicPartition]:
        """Partitions that can be asked for; one without a leader is the brokers' trouble and not ours."""
        # All topics are asked for, as to ask for one by name may make it.
        found = await admin.describe_topics()
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in found
            if topic["topic"] in self._stages
            for partition in topic["partitions"]
            if partition["leader"] >= 0
        ]

    async def _owners(self, admin: AIOKafkaAdminClient) -> tuple[dict[TopicPartition, str], frozenset[str]]:
        owners = dict[TopicPartition, str]()
        members = set[str]()
        for response in await admin.describe_consumer_groups([self._group]):
            for group in response.to_object()["groups"]:
                if group["error_code"]:
                    raise for_code(group["error_code"])(self._group)
                for member in group["members"]:
                    members.add(member["client_id"])
                    owners.update(dict.fromkeys(_assigned(member["member_assignment"]), member["client_id"]))
        return owners, frozenset(members)

    async def _read_times(self, offsets: Mapping[Place, int]) -> None:
        if self._consumer is None or not offsets:
            return
        places = {TopicPartition(self._topics[place.stage], place.partition): place for place in offsets}
        self._consumer.assign(assigned := list(places))
        try:
            for at, place in places.items():
                self._consumer.seek(at, offsets[place])
            while places:
                found: Mapping[TopicPartition, Sequence[Any]] = await self._consumer.getmany(*places, timeout_ms=500)
                for at, records in found.items():
                    place = places.pop(at)
                    self._times_ms[place, offsets[place]] = int(records[0].timestamp)
        finally:
            self._consumer.pause(*assigned)

    def _place(self, at: TopicPartition) -> Place:
        return Place(self._stages[at.topic], at.partition)


def _assigned(assignment: bytes) -> list[TopicPartition]:
    """What a member has; nothing, while the group makes up its mind."""
    if not assignment:
        return []
    decoded: list[TopicPartition] = ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    return decoded
