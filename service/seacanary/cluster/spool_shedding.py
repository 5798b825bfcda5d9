"""Shedding from the image spool: the oldest image goes, a LostEnvelope in its place says so."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from seacanary.cluster.envelope import Envelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.envelope_codec import EnvelopeRefused, decode, encode
from seacanary.cluster.spool_rows import SpoolRows
from seacanary.observations import Unobserved

# Each has a later image of its hydrophone: what a shed image held and that one holds is not lost.
_OLDEST_IMAGE = """
SELECT number FROM envelopes AS old WHERE kind = 'image' AND number > ? AND EXISTS (
    SELECT 1 FROM envelopes AS new
    WHERE new.hydrophone = old.hydrophone AND new.number > old.number AND new.kind = 'image'
) ORDER BY number LIMIT 1"""
_SENT_END = "SELECT kept_end_sample FROM hydrophones WHERE name = ? AND kept_epoch = ?"
_KEPT_END = """
SELECT max(end_sample) FROM envelopes WHERE hydrophone = ? AND number < ? AND kind = 'image' AND epoch = ?"""
_NEXT_FIRST = """
SELECT min(first_sample) FROM envelopes WHERE hydrophone = ? AND number > ? AND kind = 'image' AND epoch = ?"""
_BEFORE = """
SELECT number, kind, record FROM envelopes WHERE hydrophone = ? AND number < ? ORDER BY number DESC LIMIT 1"""


def shed_down_to(rows: SpoolRows, bound_bytes: int, *, taken: Collection[int], now_s: float) -> None:
    """Shed images, oldest first, until the rest keeps within the bound; inside a transaction.

    Args:
        rows: of the spool.
        bound_bytes: size of all records at most.
        taken: numbers that may be with the broker already: they stay.
        now_s: UTC seconds since 1970.
    """
    oldest_first = _oldest_images(rows, taken)
    while rows.size_bytes > bound_bytes and (number := next(oldest_first, None)) is not None:
        image = _envelope(rows, number)
        if isinstance(image, ImageEnvelope):
            _shed(rows, image, taken=taken, now_s=now_s)


def _oldest_images(rows: SpoolRows, taken: Collection[int]) -> Iterator[int]:
    number = 0
    while row := rows.one(_OLDEST_IMAGE, number):
        number = int(row[0])
        if number not in taken:
            yield number


def _shed(rows: SpoolRows, image: ImageEnvelope, *, taken: Collection[int], now_s: float) -> None:
    rows.change(
        "UPDATE hydrophones SET shed_images = shed_images + 1, shed_samples = shed_samples + ? WHERE name = ?",
        _samples_lost_with(rows, image), image.hydrophone,
    )  # fmt: skip
    lost, before = _lost(image), _shed_before(rows, image, taken)
    if before is not None:
        lost = replace(lost, lost=replace(before.lost, end_sample=image.end_sample))
        rows.delete(before.number)
    rows.delete(image.number)
    rows.insert(lost, encode(lost), spooled_s=now_s)


def _samples_lost_with(rows: SpoolRows, image: ImageEnvelope) -> int:
    """Samples of an image that neither one sent or kept before it nor the next one holds."""
    epoch, name = image.epoch.isoformat(), image.hydrophone
    ends = (rows.one(_SENT_END, name, epoch), rows.one(_KEPT_END, name, image.number, epoch))
    first = max([image.first_sample, *(row[0] for row in ends if row and row[0] is not None)])
    following = rows.one(_NEXT_FIRST, name, image.number, epoch)
    end = image.end_sample if following is None or following[0] is None else min(image.end_sample, following[0])
    return int(max(0, end - first))


def _shed_before(rows: SpoolRows, image: ImageEnvelope, taken: Collection[int]) -> LostEnvelope | None:
    """The shed stretch that an image continues, if it still waits."""
    row = rows.one(_BEFORE, image.hydrophone, image.number)
    if row is None or row[1] != "shed" or row[0] in taken:
        return None
    before = _decoded(row[2])
    if not isinstance(before, LostEnvelope) or before.lost.epoch != image.epoch:
        return None
    return before if before.lost.end_sample >= image.first_sample else None


def _envelope(rows: SpoolRows, number: int) -> Envelope | None:
    row = rows.one("SELECT record FROM envelopes WHERE number = ?", number)
    return _decoded(row[0]) if row else None


def _decoded(record: bytes) -> Envelope | None:
    """None: the disk has damaged it. It stays, and is sent: workers put it aside with the reason."""
    try:
        return decode(record)
    except EnvelopeRefused:
        return None


def _lost(image: ImageEnvelope) -> LostEnvelope:
    lost = Unobserved(
        hydrophone=image.hydrophone,
        epoch=image.epoch,
        first_sample=image.first_sample,
        end_sample=image.end_sample,
        sample_rate_hz=image.sample_rate_hz,
        start=image.start,
        reason="shed",
    )
    return LostEnvelope(station=image.station, run=image.run, number=image.number, lost=lost)
