"""Envelopes as versioned bytes, and back; what cannot be true is refused.

Layout: b"SCE" and a version byte; the header's length, 4 bytes little-endian; the header,
JSON in UTF-8; for an image its pixels, deflated; CRC-32 of all before, 4 bytes little-endian.
A reader ignores header fields it does not know, and refuses versions it does not know.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seacanary.cluster.envelope import DetectionEnvelope, EdgeClock, EndEnvelope, Envelope, ImageEnvelope, LostEnvelope
from seacanary.cluster.plausible import (
    clock_faults,
    number_faults,
    place_faults,
    share_faults,
    span_faults,
    time_faults,
)
from seacanary.errors import SeaCanaryError
from seacanary.observations import CallSpan, Detection

MAGIC, VERSION = b"SCE", 1
_PREFIX = struct.Struct("<3sBI")
_CHECKSUM = struct.Struct("<I")
LARGEST_SIDE = 4096  # pixels; a header that claims more is damaged


class EnvelopeRefused(SeaCanaryError):
    """Bytes that are no envelope this version can read."""


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)

    station: str
    run: AwareDatetime
    number: int
    contract_sha256: str
    hydrophone: str
    epoch: AwareDatetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int = Field(gt=0)
    start: AwareDatetime
    source_file: str | None
    clock: EdgeClock


class _ImageHeader(_Header):
    kind: Literal["image"] = "image"
    missing_fraction: float
    clipped_fraction: float
    shape: tuple[Annotated[int, Field(gt=0, le=LARGEST_SIDE)], Annotated[int, Field(gt=0, le=LARGEST_SIDE)]]


class _DetectionHeader(_Header):
    kind: Literal["detection"] = "detection"
    probability: dict[str, float]
    unobserved: frozenset[str]
    spans: tuple[CallSpan, ...]
    model_id: str
    abstained: frozenset[str]


_AnyHeader: TypeAlias = Annotated[
    _ImageHeader | _DetectionHeader | LostEnvelope | EndEnvelope, Field(discriminator="kind")
]
_HEADER: TypeAdapter[_AnyHeader] = TypeAdapter(_AnyHeader)

_NEAR = ("first_sample", "sample_rate_hz")
_PLACE = (*_NEAR, "end_sample", "epoch", "start")
_OF_DETECTION = ("hydrophone", "epoch", "first_sample", "end_sample", "sample_rate_hz", "start", "source_file")
_SAID = ("probability", "unobserved", "spans", "model_id", "abstained")
_OF_ENVELOPE = ("station", "run", "number", "contract_sha256", "clock")
_OF_IMAGE = ("missing_fraction", "clipped_fraction")


def encode(item: Envelope) -> bytes:
    """An envelope as bytes.

    Raises:
        ValueError: the image is not uint8 [rows, columns].
    """
    header = _HEADER.dump_json(_header(item))
    pixels = _deflated(item.image) if isinstance(item, ImageEnvelope) else b""
    unchecked = b"".join((_PREFIX.pack(MAGIC, VERSION, len(header)), header, pixels))
    return unchecked + _CHECKSUM.pack(zlib.crc32(unchecked))


def decode(record: bytes) -> Envelope:
    """The envelope that encode() made bytes of.

    Raises:
        EnvelopeRefused: the bytes are truncated, damaged, of another version or no envelope, or what they say cannot
            be true; says which.
    """
    item = _decoded(record)
    if faults := list(_faults(item)):
        raise EnvelopeRefused(f"impossible: {'; '.join(faults)}")
    return item


def _decoded(record: bytes) -> Envelope:
    header_end = _checked_header_end(record)
    try:
        header = _HEADER.validate_json(record[_PREFIX.size : header_end])
    except ValidationError as exc:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'header'}: {e['msg']}" for e in exc.errors())
        raise EnvelopeRefused(f"header refused: {faults}") from exc
    if isinstance(header, _ImageHeader):
        image = _inflated(record[header_end : -_CHECKSUM.size], header.shape)
        return ImageEnvelope(image=image, **_fields(header, *_OF_ENVELOPE, *_OF_DETECTION, *_OF_IMAGE))
    if isinstance(header, _DetectionHeader):
        detection = Detection(mask=None, **_fields(header, *_OF_DETECTION, *_SAID))
        return DetectionEnvelope(detection=detection, **_fields(header, *_OF_ENVELOPE))
    return header


def _faults(item: Envelope) -> Iterator[str]:
    yield from time_faults(run=item.run)
    if isinstance(item, ImageEnvelope | DetectionEnvelope):
        clock = item.clock
        yield from clock_faults(maximum_error_s=clock.maximum_error_s, broker_ahead_s=clock.broker_ahead_s)
    match item:
        case ImageEnvelope():
            yield from place_faults(**_fields(item, *_PLACE))
            yield from share_faults(missing_fraction=item.missing_fraction, clipped_fraction=item.clipped_fraction)
        case DetectionEnvelope():
            yield from place_faults(**_fields(item.detection, *_PLACE))
            yield from share_faults(**item.detection.probability)
            yield from span_faults(item.detection.spans, **_fields(item.detection, *_NEAR))
        case LostEnvelope():
            yield from place_faults(**_fields(item.lost, *_PLACE))
        case EndEnvelope():
            yield from number_faults(silent_s=item.silent_s)


def _header(item: Envelope) -> _AnyHeader:
    if isinstance(item, ImageEnvelope):
        return _ImageHeader(shape=_shape(item.image), **_fields(item, *_OF_ENVELOPE, *_OF_DETECTION, *_OF_IMAGE))
    if isinstance(item, DetectionEnvelope):
        said = _fields(item.detection, *_OF_DETECTION, *_SAID)
        return _DetectionHeader(**_fields(item, *_OF_ENVELOPE), **said)
    return item


def _fields(of: object, *names: str) -> dict[str, Any]:  # what they hold is checked by the model they go into
    return {name: getattr(of, name) for name in names}


def _shape(image: NDArray[np.uint8]) -> tuple[int, int]:
    if image.dtype != np.uint8 or image.ndim != 2:
        raise ValueError(f"an image must be uint8 [rows, columns], got {image.dtype} {list(image.shape)}")
    return image.shape[0], image.shape[1]


def _deflated(image: NDArray[np.uint8]) -> bytes:
    """Deflate by run lengths and Huffman codes: noise has no repeats worth looking for, and it is the fastest."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, zlib.Z_RLE)
    return deflate.compress(image.tobytes()) + deflate.flush()


def _inflated(pixels: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    inflate, count = zlib.decompressobj(-zlib.MAX_WBITS), shape[0] * shape[1]
    try:
        raw = inflate.decompress(pixels, count)
    except zlib.error as exc:
        raise EnvelopeRefused(f"image refused: {exc}") from exc
    if len(raw) != count or inflate.unconsumed_tail or inflate.unused_data:
        raise EnvelopeRefused(f"image refused: its pixels are not {shape[0]} x {shape[1]}")
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _checked_header_end(record: bytes) -> int:
    """Where the header ends, after prefix and checksum were found good."""
    if len(record) < _PREFIX.size + _CHECKSUM.size:
        raise EnvelopeRefused(f"truncated: {len(record)} bytes are too few for an envelope")
    magic, version, header_bytes = _PREFIX.unpack_from(record)
    if magic != MAGIC:
        raise EnvelopeRefused(f"not an envelope: it begins with {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        raise EnvelopeRefused(f"envelope version {version}; this release reads version {VERSION}")
    (checksum,) = _CHECKSUM.unpack_from(record, len(record) - _CHECKSUM.size)
    if checksum != zlib.crc32(memoryview(record)[: -_CHECKSUM.size]):
        raise EnvelopeRefused("truncated or damaged: its checksum is wrong")
    header_end = _PREFIX.size + int(header_bytes)
    if header_end > len(record) - _CHECKSUM.size:
        raise EnvelopeRefused(f"header of {header_bytes} bytes does not fit in {len(record)}")
    return header_end
