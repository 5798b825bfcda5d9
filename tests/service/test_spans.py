import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fakes import EPOCH, tiny_contract
from seacanary.audio import Window
from seacanary.spans import JOIN_COLUMNS, call_spans, column_runs, rows_of


def window(rate: int = 8000, first: int = 0) -> Window:
    contract = tiny_contract()
    heard = contract.window_samples * rate // contract.sample_rate_hz
    return Window("h1", np.zeros(contract.window_samples, np.float32), EPOCH, EPOCH, first, first + heard, rate)


def test_rows_belong_to_the_call_type_whose_band_holds_them() -> None:
    contract = tiny_contract()
    assert rows_of(contract.call_types[0], contract).tolist() == [True, True, False, False]
    assert rows_of(contract.call_types[1], contract).tolist() == [False, False, True, True]


def test_a_span_stands_where_the_mask_is_in_stream_samples_and_hertz() -> None:
    contract = tiny_contract()
    mask = np.zeros((4, 16), bool)
    mask[2, 4:8] = True
    rows = {c.name: rows_of(c, contract) for c in contract.call_types}
    (span,) = call_spans(mask, window=window(16000, 1000), contract=contract, rows_by_call_type=rows)
    assert span.call_type == "porpoise_click"
    assert (span.onset_sample, span.offset_sample) == (1000 + 4 * 128, 1000 + 8 * 128)
    assert span.band_hz == (2000, 3000)


def test_speckle_is_not_a_call() -> None:
    contract = tiny_contract()
    mask = np.zeros((4, 16), bool)
    mask[0, 3] = mask[1, 9] = True
    mask[0, 9] = False
    rows = {"whistle": rows_of(contract.call_types[0], contract)}
    assert call_spans(mask, window=window(), contract=contract, rows_by_call_type=rows) == ()


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_runs_cover_every_active_column_and_are_apart(active: list[bool]) -> None:
    runs = column_runs(np.array(active))
    covered = {column for first, end in runs for column in range(first, end)}
    assert {i for i, on in enumerate(active) if on} <= covered
    assert all(active[first] and active[end - 1] for first, end in runs)
    assert all(later[0] - earlier[1] >= JOIN_COLUMNS for earlier, later in itertools.pairwise(runs))
