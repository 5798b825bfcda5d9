"""Damaged and odd sound files, written by hand so that every field can be wrong."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 48_000
FRAMES = 4800


def noise(channels: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(7).uniform(-0.9, 0.9, (FRAMES, channels))


def chunk(ident: bytes, body: bytes, size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    return ident + struct.pack("<I", length) + body + b"\0" * (len(body) % 2)


def wav(
    data: bytes = bytes(2 * FRAMES),
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    data_size: int | None = None,
    riff_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A WAV file written by hand, so that every field can be wrong."""
    align = channels * bits // 8
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    body = b"WAVE" + chunk(b"fmt ", layout) + before + chunk(b"data", data, data_size) + after
    return chunk(b"RIFF", body, riff_size)


def written(subtype: str, kind: str = "WAV", *, channels: int = 1, rate: int = RATE) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        soundfile.write(path, noise(channels), rate, format=kind, subtype=subtype)

    return make


def bytes_of(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


def cut(make: Callable[[Path], None], share: float) -> Callable[[Path], None]:
    def made(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return made


def overwritten(make: Callable[[Path], None], start: int, content: bytes) -> Callable[[Path], None]:
    def made(path: Path) -> None:
        make(path)
        whole = bytearray(path.read_bytes())
        whole[start : start + len(content)] = content
        path.write_bytes(whole)

    return made


def floats(*bad: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        samples = noise()
        samples[1000 : 1000 + len(bad), 0] = bad
        soundfile.write(path, samples.astype(np.float32), RATE, subtype="FLOAT")

    return make


def loop(path: Path) -> None:
    path.symlink_to(path)


def link_to_real(path: Path) -> None:
    real = path.with_name("real.wav")
    written("PCM_16")(real)
    path.symlink_to(real)


# name of the file, how it is made, sample frames it gives over all channels
READABLE: list[tuple[str, Callable[[Path], None], int]] = [
    ("8bit.wav", written("PCM_U8"), FRAMES),
    ("24bit.wav", written("PCM_24"), FRAMES),
    ("32bit.wav", written("PCM_32"), FRAMES),
    ("64bit-float.wav", written("DOUBLE"), FRAMES),
    ("a-law.wav", written("ALAW"), FRAMES),
    ("mu-law.wav", written("ULAW"), FRAMES),
    ("extensible.wav", written("PCM_24", "WAVEX"), FRAMES),
    ("rf64.wav", written("PCM_16", "RF64"), FRAMES),
    ("w64.w64", written("PCM_16", "W64"), FRAMES),
    ("aiff.aiff", written("PCM_16", "AIFF"), FRAMES),
    ("flac called wav.wav", written("PCM_16", "FLAC"), FRAMES),
    ("32-channels.wav", written("PCM_16", channels=32), 32 * FRAMES),
    ("8kHz.wav", written("PCM_16", rate=8000), FRAMES),
    ("1MHz.wav", written("PCM_16", rate=1_000_000), FRAMES),
    ("truncated.wav", cut(written("PCM_16"), 0.5), 2389),
    ("truncated.aiff", cut(written("PCM_16", "AIFF"), 0.5), 2386),
    ("truncated-rf64.wav", cut(written("PCM_16", "RF64"), 0.5), 2374),
    ("odd-byte.wav", bytes_of(wav(bytes(2 * FRAMES + 1))), FRAMES),
    ("odd-byte-cut.wav", bytes_of(wav()[:-1]), FRAMES - 1),
    ("riff-size-zero.wav", bytes_of(wav(riff_size=0)), FRAMES),
    ("riff-size-huge.wav", bytes_of(wav(riff_size=0xFFFFFFF0)), FRAMES),
    ("data-size-huge.wav", bytes_of(wav(data_size=0x7FFFFFF0)), FRAMES),
    ("data-size-unknown.wav", bytes_of(wav(data_size=0xFFFFFFFF)), FRAMES),
    ("nan.wav", floats(np.nan, np.nan, np.nan), FRAMES - 3),
    ("infinite.wav", floats(np.inf, -np.inf), FRAMES - 2),
    ("absurd.wav", floats(3e38), FRAMES - 1),
    ("all-nan.wav", bytes_of(wav(struct.pack("<f", np.nan) * FRAMES, tag=3, bits=32)), 0),
    ("garbage-guano.wav", bytes_of(wav(after=chunk(b"guan", os.urandom(99)))), FRAMES),
    ("guano-too-long.wav", bytes_of(wav(after=chunk(b"guan", b"Timestamp: x", 0x7FFFFFFF))), FRAMES),
    ("short-bext.wav", bytes_of(wav(before=chunk(b"bext", b"abc"))), FRAMES),
    ("garbage-bext.wav", bytes_of(wav(before=chunk(b"bext", b"\xff" * 700))), FRAMES),
    ("garbage-ixml.wav", bytes_of(wav(after=chunk(b"iXML", b"<BWFXML><BEXT>" + bytes(20)))), FRAMES),
    ("empty-ixml.wav", bytes_of(wav(after=chunk(b"iXML", b"    "))), FRAMES),
    ("trailing-garbage.wav", bytes_of(wav(after=b"\xff" * 999)), FRAMES),
    ("наутилус 鯨 🐋.wav", written("PCM_16"), FRAMES),
    ("link.wav", link_to_real, FRAMES),
    ("silent.wav", bytes_of(wav()), FRAMES),
]

# name of the file, how it is made, what the message must say
REFUSED: list[tuple[str, Callable[[Path], None], str]] = [
    ("zero-bytes.wav", bytes_of(b""), r"is empty \(0 bytes\)"),
    ("text.wav", bytes_of(b"These are my field notes, not a sound.\n" * 50), "Format not recognised; expected WAV"),
    ("one-byte.wav", bytes_of(b"R"), "expected"),
    ("zeros.wav", bytes_of(bytes(5000)), "Format not recognised"),
    ("header-only.wav", bytes_of(wav(b"")), "has a header but no samples"),
    ("data-size-zero.wav", bytes_of(wav(data_size=0)), "has a header but no samples"),
    ("cut-in-header.wav", bytes_of(wav()[:30]), "expected WAV"),
    ("no-data-chunk.wav", bytes_of(wav()[:36]), "expected"),
    ("65535-channels.wav", bytes_of(wav(channels=65_535)), "channel|align"),
    ("1000-channels.wav", bytes_of(wav(channels=1000)), "1000 channels, expected at most 256"),
    ("0-channels.wav", bytes_of(wav(channels=0)), "expected"),
    ("0-bits.wav", bytes_of(wav(bits=0)), "expected"),
    ("0-hertz.wav", bytes_of(wav(rate=0)), "sample rate|expected"),
    ("500Hz.wav", written("PCM_16", rate=500), "sample rate 500 Hz, expected 1000 to 2000000 Hz"),
    ("4MHz.wav", written("PCM_16", rate=4_000_000), "sample rate 4000000 Hz"),
    ("unknown-codec.wav", bytes_of(wav(tag=0x1234)), "expected"),
    ("cut-in-header.flac", cut(written("PCM_16", "FLAC"), 0.002), "expected"),
    ("broken-magic.flac", overwritten(written("PCM_16", "FLAC"), 0, b"FLUC"), "Format not recognised"),
    ("raw.raw", bytes_of(bytes(1000)), "samplerate must be specified"),
    ("folder.wav", Path.mkdir, "holds no sound files"),
    ("missing.wav", lambda _: None, "no such file"),
    ("pipe.wav", os.mkfifo, "is no regular file"),
    ("loop.wav", loop, "symbolic links"),
    ("x" * 300 + ".wav", lambda _: None, "too long"),
    ("nul\0.wav", lambda _: None, "not a possible file name|no such file"),
]
