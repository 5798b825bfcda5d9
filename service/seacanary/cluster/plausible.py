"""Plausible: whether an envelope's times, positions and figures can be true. What cannot be would overflow a date, or
be counted hour by hour for ever, at every worker that takes its partition over.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from seacanary.observations import CallSpan

YEARS = range(1970, 2200)
LONGEST_S = 10 * 366 * 86_400.0  # one stretch: a hydrophone that was away
OLDEST_S = 100 * 366 * 86_400.0  # of one epoch


def place_faults(
    *, epoch: datetime, start: datetime, first_sample: int, end_sample: int, sample_rate_hz: int
) -> Iterator[str]:
    """What cannot be true of a stretch of audio: its rate, its order, its length, its times."""
    if sample_rate_hz <= 0:
        yield f"sample_rate_hz {sample_rate_hz} is not above 0"
        return
    if not 0 <= first_sample <= end_sample:
        yield f"samples {first_sample} to {end_sample} are no stretch"
    if end_sample - first_sample > LONGEST_S * sample_rate_hz:
        yield f"samples {first_sample} to {end_sample} are more than ten years"
    if end_sample > OLDEST_S * sample_rate_hz:
        yield f"sample {end_sample} lies a century after its epoch"
    yield from time_faults(epoch=epoch, start=start)


def time_faults(**times: datetime) -> Iterator[str]:
    """Times outside the years in which there are stations."""
    for name, time in times.items():
        if time.year not in YEARS:
            yield f"{name} is in the year {time.year}"


def span_faults(spans: Sequence[CallSpan], *, first_sample: int, sample_rate_hz: int) -> Iterator[str]:
    """Calls that do not lie near the first sample of where they were found, or in no band."""
    longest = LONGEST_S * sample_rate_hz
    for span in spans:
        apart = max(abs(span.onset_sample - first_sample), abs(span.offset_sample - first_sample))
        if span.onset_sample > span.offset_sample or apart > longest:
            yield f"a call from sample {span.onset_sample} to {span.offset_sample}"
        low_hz, high_hz = span.band_hz
        yield from number_faults(band_from_hz=low_hz, band_to_hz=high_hz)


def number_faults(**numbers: float | None) -> Iterator[str]:
    """Numbers that are not finite; None is not known, which is plausible."""
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            yield f"{name} is {number}"


def clock_faults(**seconds: float | None) -> Iterator[str]:
    """Differences of clocks that no clock has; one that began in 1970 has half a century."""
    for name, value in seconds.items():
        if value is not None and not abs(value) <= OLDEST_S:
            yield f"{name} is {value}"


def share_faults(**shares: float) -> Iterator[str]:
    """Fractions and probabilities outside 0 to 1."""
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            yield f"{name} {share} is not within 0 to 1"
