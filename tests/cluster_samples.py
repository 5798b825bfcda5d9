"""Envelopes for tests."""

from datetime import datetime, timedelta

import numpy as np

from fakes import EPOCH, tiny_contract
from seacanary.cluster.envelope import EndEnvelope, ImageEnvelope, LostEnvelope, contract_sha256
from seacanary.events import EndReason
from seacanary.observations import Unobserved, UnobservedReason

WINDOW, HOP, RATE_HZ = 1024, 512, 8000
STATION = "pier"


def image(place: int, *, hydrophone: str = "h1", epoch: datetime = EPOCH, pixels: int = 64) -> ImageEnvelope:
    """The image of the window that begins `place` hops after the epoch; its noise cannot be compressed."""
    first = place * HOP
    noise = np.random.default_rng(place).integers(0, 256, (1, pixels), np.uint8)
    return ImageEnvelope(
        station=STATION,
        run=EPOCH,
        number=0,
        hydrophone=hydrophone,
        contract_sha256=contract_sha256(tiny_contract()),
        epoch=epoch,
        first_sample=first,
        end_sample=first + WINDOW,
        sample_rate_hz=RATE_HZ,
        start=epoch + timedelta(seconds=first / RATE_HZ),
        missing_fraction=0.0,
        clipped_fraction=0.0,
        source_file=None,
        image=noise,
    )


def lost(first: int, end: int, *, hydrophone: str = "h1", reason: UnobservedReason = "shed") -> LostEnvelope:
    """A stretch [first, end) that was not looked at."""
    stretch = Unobserved(hydrophone, EPOCH, first, end, RATE_HZ, EPOCH + timedelta(seconds=first / RATE_HZ), reason)
    return LostEnvelope(station=STATION, run=EPOCH, number=0, lost=stretch)


def end(*, hydrophone: str = "h1", reason: EndReason = "stream_ended") -> EndEnvelope:
    """The end of a stream."""
    return EndEnvelope(station=STATION, run=EPOCH, number=0, hydrophone=hydrophone, reason=reason)
