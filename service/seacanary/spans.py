"""Call spans read off a mask: when and in which band each call type sounded."""

import numpy as np
from numpy.typing import NDArray

from seacanary.contract import CallType, ModelContract
from seacanary.observations import CallSpan, Placed

# Columns without mask that still belong to one call: a click train's usual
# inter-click interval stays under 0.1 s (25 columns of 4 ms).
JOIN_COLUMNS = 25
# Fewer mask pixels than this is speckle, not a call.
LEAST_PIXELS = 3


def rows_of(call_type: CallType, contract: ModelContract) -> NDArray[np.bool_]:
    """Bool [256]: image rows whose band lies inside the call type's band."""
    count = sum(rows.count for rows in contract.transform.rows)
    bands = np.array([contract.row_hz(row) for row in range(count)])
    low, high = call_type.band_hz
    inside: NDArray[np.bool_] = (bands[:, 0] >= low) & (bands[:, 1] <= high)
    return inside


def column_runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs [first, end) of active columns, joined across short pauses."""
    columns = np.flatnonzero(active)
    if not columns.size:
        return []
    breaks = np.flatnonzero(np.diff(columns) > JOIN_COLUMNS)
    firsts = columns[np.concatenate(([0], breaks + 1))]
    lasts = columns[np.concatenate((breaks, [columns.size - 1]))]
    return [(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]


def call_spans(
    mask: NDArray[np.bool_],
    *,
    window: Placed,
    contract: ModelContract,
    rows_by_call_type: dict[str, NDArray[np.bool_]],
) -> tuple[CallSpan, ...]:
    """Read the spans of the given call types off a mask.

    Args:
        mask: bool [rows, columns], True where a call is.
        window: the window the mask belongs to; gives positions.
        contract: the transform's geometry.
        rows_by_call_type: bool [rows] per call type to look at, from rows_of.

    Returns:
        Spans in stream samples (one column is 4 ms), in order of onset within
        each call type, clipped to the samples really heard.
    """
    spans: list[CallSpan] = []
    for name, rows in rows_by_call_type.items():
        band = mask & rows[:, np.newaxis]
        for first, end in column_runs(np.any(band, axis=0)):
            pixels = band[:, first:end]
            if pixels.sum() >= LEAST_PIXELS:
                spans.append(_span(name, pixels, columns=(first, end), window=window, contract=contract))
    return tuple(spans)


def _span(
    name: str, pixels: NDArray[np.bool_], *, columns: tuple[int, int], window: Placed, contract: ModelContract
) -> CallSpan:
    sounding = np.flatnonzero(pixels.any(axis=1))
    onset, offset = (_stream_sample(column, window, contract) for column in columns)
    return CallSpan(
        call_type=name,
        onset_sample=onset,
        offset_sample=max(onset + 1, offset),
        band_hz=(contract.row_hz(int(sounding[0]))[0], contract.row_hz(int(sounding[-1]))[1]),
    )


def _stream_sample(column: int, window: Placed, contract: ModelContract) -> int:
    model_sample = column * contract.transform.column_samples
    sample = window.first_sample + model_sample * window.sample_rate_hz // contract.sample_rate_hz
    return min(sample, window.end_sample)
