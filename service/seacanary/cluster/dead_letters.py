"""Dead letters: records that no worker can read, put aside with the reason, so that the rest flows."""

import logging
from collections.abc import Awaitable
from typing import Any

from faust.types import EventT, TopicT

from seacanary.metrics import Metrics

log = logging.getLogger(__name__)

REASON, TOPIC, PARTITION, OFFSET = "reason", "topic", "partition", "offset"
# Of a reason, which lists every fault of a header: a letter that is too large could not be written at all.
REASON_CHARACTERS = 1000


class DeadLetters:
    """The dead-letter topic. A letter holds the record as it was; its headers say where it was and what is wrong."""

    def __init__(self, topic: TopicT, metrics: Metrics) -> None:
        self._topic, self._metrics = topic, metrics

    async def put(self, event: EventT[Any], reason: str) -> Awaitable[object]:
        """Put a record aside; the write is done when the brokers have it."""
        message = event.message
        if len(reason) > REASON_CHARACTERS:
            reason = reason[:REASON_CHARACTERS] + "..."
        log.error("record %d of %s[%d] refused: %s", message.offset, message.topic, message.partition, reason)
        self._metrics.dead_letters.labels(message.topic).inc()
        headers = {
            REASON: reason.encode(),
            TOPIC: message.topic.encode(),
            PARTITION: str(message.partition).encode(),
            OFFSET: str(message.offset).encode(),
        }
        return await self._topic.send(key=message.key, value=message.value, headers=headers)
