"""All that a topic holds now."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from seacanary.cluster.section import KafkaSection
from seacanary.cluster.security import client_options
from seacanary.cluster.topics import topics


async def records_of(section: KafkaSection, topic: str) -> list[Any]:
    """Records of one of our topics, each partition's in order."""
    consumer = AIOKafkaConsumer(**client_options(section), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        count = next(known.partitions for known in topics(section) if known.name == section.topic(topic))
        places = [TopicPartition(section.topic(topic), partition) for partition in range(count)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(batch)
        return found
    finally:
        await consumer.stop()
