"""Envelopes: what travels over Kafka between stations and workers, as versioned bytes.

Layout: b"SCE" and a version byte; the header's length, 4 bytes little-endian; the header,
JSON in UTF-8; for an image its pixels, deflated; CRC-32 of all before, 4 bytes little-endian.
A reader ignores header fields it does not know, and refuses versions it does not know.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seacanary.cluster.plausible import (
    clock_faults,
    number_faults,
    place_faults,
    share_faults,
    span_faults,
    time_faults,
)
from seacanary.contract import ModelContract
from seacanary.errors import SeaCanaryError
from seacanary.events import EndReason
from seacanary.observations import CallSpan, Detection, Unobserved

MAGIC, VERSION = b"SCE", 1
_PREFIX = struct.Struct("<3sBI")
_CHECKSUM = struct.Struct("<I")
LARGEST_SIDE = 4096  # pixels; a header that claims more is damaged


class EnvelopeRefused(SeaCanaryError):
    """Bytes that are no envelope this version can read."""


@dataclass(frozen=True, slots=True)
class EdgeClock:
    """What a station knew of its own clock when it made an envelope; None: not known.

    Attributes:
        synchronised: whether NTP or PTP keeps it.
        maximum_error_s: the kernel's bound on its error, seconds.
        broker_ahead_s: the broker's clock minus the station's at the latest acknowledgement, seconds.
    """

    synchronised: bool | None = None
    maximum_error_s: float | None = None
    broker_ahead_s: float | None = None

    def is_unsure(self, tolerance_s: float) -> bool:
        """Whether times may be wrong by more than this: the broker says so, or nobody keeps the clock."""
        if self.broker_ahead_s is not None:
            return abs(self.broker_ahead_s) > tolerance_s
        return self.synchronised is False and (self.maximum_error_s or 0.0) > tolerance_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Addressed:
    """What every envelope says of its origin.

    Attributes:
        station: name of the station.
        run: UTC that names the spool that numbers the envelopes.
        number: place among all envelopes of the hydrophone in that run, rising; not without
            holes, and the same for an envelope that is sent again.
    """

    station: str
    run: AwareDatetime
    number: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageEnvelope(_Addressed):
    """T's image of one window.

    Attributes:
        contract_sha256: of the model's contract, by contract_sha256().
        hydrophone, epoch, first_sample, end_sample, sample_rate_hz, start: as in Window.
        missing_fraction, clipped_fraction, source_file: as in Window.
        image: uint8 [rows, columns], read-only, 0 to the contract's image_steps for 0 to 1.
        clock: the station's clock when the image was made.
    """

    hydrophone: str
    contract_sha256: str
    epoch: AwareDatetime
    first_sample: int
    end_sample: int
    sample_rate_hz: int
    start: AwareDatetime
    missing_fraction: float
    clipped_fraction: float
    source_file: str | None
    image: NDArray[np.uint8]
    clock: EdgeClock = EdgeClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostEnvelope(_Addressed):
    """A stretch that no model will look at."""

    lost: Unobserved
    kind: Literal["lost"] = "lost"

    @property
    def hydrophone(self) -> str:
        """Name of the hydrophone."""
        return self.lost.hydrophone


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEnvelope(_Addressed):
    """Nothing follows for now: open presences end.

    Attributes:
        hydrophone: name of the hydrophone.
        reason: why.
        silent_s: how long a live hydrophone has been silent, seconds: only presences whose hold
            is no longer than this end. None: all end.
    """

    hydrophone: str
    reason: EndReason
    silent_s: float | None = None
    kind: Literal["end"] = "end"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionEnvelope(_Addressed):
    """What the model said of an image; its mask does not travel.

    Attributes:
        contract_sha256: of the model's contract.
        detection: with mask None.
        clock: of the image's envelope.
    """

    contract_sha256: str
    detection: Detection
    clock: EdgeClock = EdgeClock()

    @property
    def hydrophone(self) -> str:
        """Name of the hydrophone."""
        return self.detection.hydrophone


Envelope: TypeAlias = ImageEnvelope | LostEnvelope | EndEnvelope | DetectionEnvelope


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


def contract_sha256(contract: ModelContract) -> str:
    """Hex SHA-256 of a contract's JSON: T at the edge and M at a worker belong together if theirs agree."""
    return hashlib.sha256(contract.model_dump_json(exclude_none=True).encode()).hexdigest()


def key_of(station: str, hydrophone: str) -> bytes:
    """Key of a hydrophone's records: they share a partition, in order."""
    return f"{station}/{hydrophone}".encode()


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
