"""Metadata chunks of WAV, RF64 and AIFF files, read so that a broken chunk costs only itself."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

# Chunks that may say when the recording began, or how long it should be.
_KEPT = frozenset({b"fmt ", b"ds64", b"guan", b"bext", b"iXML", b"LIST", b"COMM"})
_LARGEST_KEPT_BYTES = 1 << 20
_MOST_CHUNKS = 10_000
_UNKNOWN_SIZE = 0xFFFFFFFF  # what a stream writer leaves, and what RF64 puts there
_UNCOMPRESSED = frozenset({0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE})  # PCM, float, A-law, mu-law, extensible


@dataclass(frozen=True, slots=True)
class Chunks:
    """What the container says about itself.

    Attributes:
        bodies: the first chunk of each kept kind.
        promised_frames: sample frames that the header promises, or None if
            it promises none (other containers, compressed or endless data).
    """

    bodies: dict[bytes, bytes] = field(default_factory=dict)
    promised_frames: int | None = None


def read_chunks(stream: BinaryIO) -> Chunks:
    """Walk the chunks from the start of a file; a file of another kind has none."""
    stream.seek(0)
    header = stream.read(12)
    form = (header[:4], header[8:12])
    if form in {(b"RIFF", b"WAVE"), (b"RF64", b"WAVE"), (b"BW64", b"WAVE")}:
        return _read_wave(stream, "<")
    if form == (b"RIFX", b"WAVE"):
        return _read_wave(stream, ">")
    if form in {(b"FORM", b"AIFF"), (b"FORM", b"AIFC")}:
        bodies, _ = _walk(stream, ">")
        return Chunks(bodies, _frames_of_aiff(bodies))
    return Chunks()


def comment(chunks: Chunks) -> str | None:
    """The ICMT text of a WAV file's INFO list, where AudioMoth says when it began."""
    info = chunks.bodies.get(b"LIST", b"")
    if not info.startswith(b"INFO"):
        return None
    for ident, start, size in _headers(info, 4, "<"):
        if ident == b"ICMT":
            return info[start : start + size].decode("latin-1").strip("\0 ")
    return None


def _read_wave(stream: BinaryIO, order: str) -> Chunks:
    bodies, data_bytes = _walk(stream, order)
    return Chunks(bodies, _frames_of_wave(bodies, data_bytes, order))


def _walk(stream: BinaryIO, order: str) -> tuple[dict[bytes, bytes], int | None]:
    """Kept chunk bodies, and the size the `data` chunk claims."""
    bodies: dict[bytes, bytes] = {}
    data_bytes: int | None = None
    for _ in range(_MOST_CHUNKS):
        header = stream.read(8)
        if len(header) < 8:
            break
        ident, size = header[:4], int(struct.unpack(f"{order}I", header[4:])[0])
        start = stream.tell()
        if ident == b"data":
            size = data_bytes = _true_size(size, bodies.get(b"ds64", b""))
        elif ident in _KEPT and ident not in bodies and size <= _LARGEST_KEPT_BYTES:
            bodies[ident] = stream.read(size)
        stream.seek(start + size + size % 2)
    return bodies, data_bytes


def _headers(body: bytes, position: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(ident, start, size) of each sub-chunk in a list chunk."""
    while position + 8 <= len(body):
        ident, size = body[position : position + 4], struct.unpack_from(f"{order}I", body, position + 4)[0]
        yield ident, position + 8, size
        position += 8 + size + size % 2


def _true_size(size: int, ds64: bytes) -> int:
    """RF64 keeps the real size of `data` in ds64, after the size of the file."""
    if size == _UNKNOWN_SIZE and len(ds64) >= 16:
        return int(struct.unpack_from("<Q", ds64, 8)[0])
    return size


def _frames_of_wave(bodies: dict[bytes, bytes], data_bytes: int | None, order: str) -> int | None:
    layout = bodies.get(b"fmt ", b"")
    if not data_bytes or data_bytes == _UNKNOWN_SIZE or len(layout) < 16:
        return None
    tag, frame_bytes = struct.unpack_from(f"{order}H", layout)[0], struct.unpack_from(f"{order}H", layout, 12)[0]
    return data_bytes // frame_bytes if tag in _UNCOMPRESSED and frame_bytes else None


def _frames_of_aiff(bodies: dict[bytes, bytes]) -> int | None:
    common = bodies.get(b"COMM", b"")
    return int(struct.unpack_from(">I", common, 2)[0]) if len(common) >= 6 else None
