"""Order: a partition's records are taken one after another, also over rebalances."""

import pytest
from faust.types import TP
from faust.types.tuples import Message

from seacanary.cluster.ordered_consumer import Order, RecordsSkipped

IMAGES = TP("images", 3)


def record(offset: int, *, generation: int = 1, tp: TP = IMAGES) -> Message:
    return Message(
        tp.topic, tp.partition, offset, timestamp=0.0, timestamp_type=1, headers=None, key=b"", value=b"",
        checksum=None, generation_id=generation,
    )  # fmt: skip


def test_records_come_one_after_another() -> None:
    order = Order(lambda: {IMAGES: 5})
    for offset in (5, 6, 7):
        order.check(record(offset))
    with pytest.raises(RecordsSkipped, match=r"images\[3\]: expected 8, got 9"):
        order.check(record(9))


def test_a_partition_begins_where_it_was_committed() -> None:
    with pytest.raises(RecordsSkipped, match="expected 5, got 6"):
        Order(lambda: {IMAGES: 5}).check(record(6))


def test_after_a_rebalance_records_go_on_from_the_commit_and_not_beyond() -> None:
    begins_at = {IMAGES: 0}
    order = Order(lambda: begins_at)
    for offset in range(10):
        order.check(record(offset))
    begins_at[IMAGES] = 4
    order.check(record(10))  # of the generation before, which was in work
    order.check(record(4, generation=2))
    with pytest.raises(RecordsSkipped, match="expected 5, got 11"):
        order.check(record(11, generation=2))


def test_what_another_worker_has_done_meanwhile_is_no_hole() -> None:
    begins_at = {IMAGES: 0}
    order = Order(lambda: begins_at)
    order.check(record(0))
    begins_at[IMAGES] = 100
    order.check(record(100, generation=3))


def test_records_read_again_are_taken() -> None:
    order = Order(lambda: {IMAGES: 0})
    for offset in (0, 1, 2, 0, 1, 2, 3):
        order.check(record(offset))


def test_partitions_are_apart() -> None:
    order = Order(lambda: {IMAGES: 5})
    order.check(record(5))
    order.check(record(70, tp=TP("images", 4)))
