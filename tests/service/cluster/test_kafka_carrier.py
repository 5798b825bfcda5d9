"""A model whose images make records that brokers refuse for ever is refused when an edge starts."""

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from fakes import tiny_contract
from seacanary.cluster.edge_images import image_record_bytes
from seacanary.cluster.edge_runner import check_record_size
from seacanary.cluster.kafka_carrier import BATCH_BYTES, RECORD_BYTES
from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused

LONGEST_PATH, LONGEST_NAME = 4096, 256  # bytes


def model_with(columns: int) -> ModelContract:
    """One whose images are so wide, and 64 rows high."""
    transform = tiny_contract().transform
    rows = (transform.rows[0].model_copy(update={"count": 64}),)
    return tiny_contract(transform=transform.model_copy(update={"columns": columns, "rows": rows}))


def test_the_largest_record_of_an_accepted_model_fits_into_a_batch() -> None:
    batch = BatchBuilder(BATCH_BYTES, 0)
    record = bytes(RECORD_BYTES + LONGEST_PATH + 4 * LONGEST_NAME)
    assert batch.append(key=bytes(2 * LONGEST_NAME), value=record, timestamp=None) is not None
    assert batch.size() <= BATCH_BYTES


def test_a_model_whose_images_no_broker_takes_is_refused() -> None:
    fits, does_not = model_with(RECORD_BYTES // 64 - 16), model_with(RECORD_BYTES // 64)
    check_record_size(fits)
    assert image_record_bytes(does_not) > RECORD_BYTES
    with pytest.raises(ModelRefused, match="tiny-1: an image of 64 x 3904 pixels does not fit into a record"):
        check_record_size(does_not)
    with pytest.raises(ModelRefused, match="64 x 5000 pixels"):
        check_record_size(model_with(5000))
