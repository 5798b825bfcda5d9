"""The contract: the abstain band, and contracts written before there was one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import tiny_contract
from seacanary.contract import METADATA_KEY, CallType, ModelContract


def call_type(**changes: object) -> CallType:
    whistle = {"name": "whistle", "species": "beluga", "band_hz": (0, 2000), "min_sample_rate_hz": 2000}
    return CallType.model_validate(whistle | {"enter": 0.7, "leave": 0.4} | changes)


def test_a_band_is_half_open_and_may_be_empty() -> None:
    banded = call_type(abstain_low=0.2, abstain_high=0.6)
    assert [banded.abstains(p) for p in (0.1999, 0.2, 0.5999, 0.6)] == [False, True, True, False]
    assert not call_type(abstain_low=0.5, abstain_high=0.5).abstains(0.5)


@given(probability=st.floats(0, 1))
def test_without_a_band_no_probability_abstains(probability: float) -> None:
    assert not call_type().abstains(probability)


@pytest.mark.parametrize(
    ("band", "message"),
    [
        ({"abstain_low": 0.2}, "must be given together"),
        ({"abstain_high": 0.2}, "must be given together"),
        ({"abstain_low": 0.5, "abstain_high": 0.4}, "must hold"),
        ({"abstain_low": 0.5, "abstain_high": 0.8}, r"abstain_high \(0.8\) <= enter \(0.7\)"),
        ({"abstain_low": -0.1, "abstain_high": 0.4}, "greater than or equal to 0"),
    ],
)
def test_a_band_that_cannot_be_is_refused(band: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call_type(**band)


def test_a_contract_without_a_band_reads_and_writes_as_it_always_did() -> None:
    text = tiny_contract().to_metadata()[METADATA_KEY]
    assert "abstain" not in text
    assert ModelContract.from_metadata({METADATA_KEY: text}, where="m.onnx") == tiny_contract()


def test_a_band_survives_the_metadata() -> None:
    banded = tiny_contract(call_types=(call_type(abstain_low=0.2, abstain_high=0.6),))
    metadata = banded.to_metadata()
    assert json.loads(metadata[METADATA_KEY])["call_types"][0]["abstain_high"] == 0.6
    assert ModelContract.from_metadata(metadata, where="m.onnx") == banded
