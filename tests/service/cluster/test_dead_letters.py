"""Dead letters hold the record as it was, and fit into their topic whatever is wrong with it."""

import json
import struct
import zlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from seacanary.cluster.dead_letters import OFFSET, PARTITION, REASON, TOPIC, DeadLetters
from seacanary.cluster.envelope_codec import EnvelopeRefused, decode
from seacanary.cluster.topics import IMAGE_BYTES, LETTER_BYTES
from seacanary.metrics import Metrics


@dataclass
class Topic:
    """Keeps what is sent."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, **record: Any) -> None:
        self.sent.append(record)


def event(value: bytes) -> Any:
    message = SimpleNamespace(topic="seacanary.images", partition=7, offset=41, key=b"pier/h1", value=value)
    return SimpleNamespace(message=message)


async def put(value: bytes, reason: str) -> dict[str, Any]:
    topic, metrics = Topic(), Metrics()
    await DeadLetters(topic, metrics).put(event(value), reason)  # type: ignore[arg-type]  # as much of one as it takes
    assert metrics.registry.get_sample_value("seacanary_deadletters_total", {"topic": "seacanary.images"}) == 1
    (sent,) = topic.sent
    return sent


async def test_a_letter_holds_the_record_and_says_where_it_was_and_why() -> None:
    sent = await put(b"damaged", "no envelope")
    assert (sent["key"], sent["value"]) == (b"pier/h1", b"damaged")
    assert sent["headers"] == {REASON: b"no envelope", TOPIC: b"seacanary.images", PARTITION: b"7", OFFSET: b"41"}


async def test_a_letter_fits_however_many_faults_its_record_has() -> None:
    header = json.dumps({"kind": "detection", "spans": [{}] * 20_000}).encode()
    unchecked = struct.pack("<3sBI", b"SCE", 1, len(header)) + header
    record = unchecked + struct.pack("<I", zlib.crc32(unchecked))
    assert len(record) < IMAGE_BYTES
    with pytest.raises(EnvelopeRefused) as refused:
        decode(record)
    sent = await put(record, str(refused.value))
    size = len(sent["key"]) + len(sent["value"]) + sum(len(text) for text in sent["headers"].values())
    assert size < LETTER_BYTES / 2
    assert sent["headers"][REASON].startswith(b"header refused: ")
