"""Bytes that a hydrophone puts on the wire, as the broker stores them, and what other compressions would have made."""

import bz2
import itertools
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cluster_records import STATION, sea_images
from seacanary.cluster.envelope import ImageEnvelope
from seacanary.cluster.envelope_codec import encode
from seacanary.cluster.image_spool import Spooled
from seacanary.cluster.kafka_carrier import KafkaCarrier
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import IMAGES, make_topics
from seacanary.detection import DetectorSection
from seacanary.image_detection import Transformer
from seacanary.kafka_clients import client_options

KIB = 1024
TARGET_KIB = 64

Bytes = NDArray[np.uint8]


def between_columns(image: Bytes) -> Bytes:
    """PNG's filter Sub: each pixel less the one 4 ms before."""
    return np.diff(image, axis=1, prepend=np.uint8(0))


def between_rows(image: Bytes) -> Bytes:
    """PNG's filter Up: each pixel less the one of the frequency below."""
    return np.diff(image, axis=0, prepend=np.uint8(0))


def average(image: Bytes) -> Bytes:
    """PNG's filter Average: each pixel less the mean of the two."""
    before, below = np.zeros_like(image, np.uint16), np.zeros_like(image, np.uint16)
    before[:, 1:], below[1:] = image[:, :-1], image[:-1]
    return image - ((before + below) // 2).astype(np.uint8)


def by_columns(image: Bytes) -> Bytes:
    """No filter, column after column."""
    return np.ascontiguousarray(image.T)


def as_it_is(image: Bytes) -> Bytes:
    """No filter."""
    return image


FILTERS: Mapping[str, Callable[[Bytes], Bytes]] = {
    "none": as_it_is,
    "by_columns": by_columns,
    "sub": between_columns,
    "up": between_rows,
    "average": average,
}


def _deflate(raw: bytes, *, level: int, strategy: int) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, strategy)
    return deflate.compress(raw) + deflate.flush()


def _lzma(raw: bytes) -> bytes:
    return lzma.compress(raw, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "pb": 0}])


COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "deflate_rle": partial(_deflate, level=1, strategy=zlib.Z_RLE),
    "deflate_huffman": partial(_deflate, level=1, strategy=zlib.Z_HUFFMAN_ONLY),
    "deflate_1": partial(_deflate, level=1, strategy=zlib.Z_DEFAULT_STRATEGY),
    "deflate_6": partial(_deflate, level=6, strategy=zlib.Z_DEFAULT_STRATEGY),
    "deflate_9_filtered": partial(_deflate, level=9, strategy=zlib.Z_FILTERED),
    "bzip2": bz2.compress,
    "lzma": _lzma,
}


def compared(images: Sequence[Bytes]) -> dict[str, dict[str, int]]:
    """Mean bytes of an image's pixels by filter and compression."""
    return {
        filtered: {
            name: round(float(np.mean([len(squeeze(kept(image).tobytes())) for image in images])))
            for name, squeeze in COMPRESSIONS.items()
        }
        for filtered, kept in FILTERS.items()
    }


def entropy_bytes(images: Sequence[Bytes]) -> int:
    """What no code could go below that takes pixels one by one, each with the same table for a whole image."""
    return round(float(np.mean([_entropy_bits(image) * image.size / 8 for image in images])))


def _entropy_bits(image: Bytes) -> float:
    share = np.bincount(image.ravel()) / image.size
    held = share[share > 0]
    return float(-(held * np.log2(held)).sum())


def given_the_previous(images: Sequence[Bytes]) -> int:
    """Mean bytes of an image's pixels if a reader already had the previous image, half of which is the same sound.

    T takes each row's noise floor of each window off, so the half differs by a number per row, and by rounding.

    Args:
        images: of windows half a window apart, two or more.
    """
    sizes = []
    for previous, image in itertools.pairwise(images):
        half = image.shape[1] // 2
        difference = image[:, :half].astype(np.int16) - previous[:, half:]
        floor = np.rint(np.median(difference, axis=1, keepdims=True)).astype(np.int16)
        pieces = (floor.astype(np.int8), (difference - floor).astype(np.uint8), image[:, half:])
        sizes.append(sum(len(COMPRESSIONS["deflate_rle"](piece.tobytes())) for piece in pieces))
    return round(float(np.mean(sizes)))


async def measure_bytes(kafka: KafkaSection, brokers: Path, *, windows: int) -> dict[str, Any]:
    """Send a simulated sea's images as a live edge does, one by one, and look at what lies in the topic.

    Args:
        kafka: topics of its own.
        brokers: folder of the one broker.
        windows: how many images.
    """
    transformer = Transformer.load(DetectorSection(sessions=1))
    contract = transformer.contract
    envelopes = sea_images(transformer, windows)
    transformer.close()
    await _ship(kafka, envelopes)
    hop_s = contract.hop_samples / contract.sample_rate_hz
    stored = stored_bytes(brokers, kafka.topic(IMAGES))
    images = [envelope.image for envelope in envelopes]
    return {
        "bytes_per_hydrophone_second": round(stored / (windows * hop_s)),
        "bytes": {
            "target": TARGET_KIB * KIB,
            "what": "record batches of one image each in the topic's segments, as a live edge sends them; "
            "simulated sea with belugas and porpoises, 384 kHz, through the bundled model's T",
            "images": windows,
            "images_per_s": round(1 / hop_s, 3),
            "image_steps": contract.image_steps,
            "bytes_per_image_stored": round(stored / windows),
            "bytes_per_envelope": round(float(np.mean([len(encode(envelope)) for envelope in envelopes]))),
            "entropy_of_pixels": entropy_bytes(images),
            "pixels_by_filter_and_compression": compared(images[:: max(1, len(images) // 16)]),
            "chosen": "none, deflate_rle",
            "pixels_given_the_previous_image": given_the_previous(images),
            "model_id": contract.model_id,
        },
    }


async def _ship(kafka: KafkaSection, envelopes: Sequence[ImageEnvelope]) -> None:
    carrier = KafkaCarrier(
        options=client_options(kafka),
        topic=kafka.topic(IMAGES),
        station=STATION,
        prepare=partial(make_topics, kafka),
    )
    try:
        for envelope in envelopes:
            await carrier.send([Spooled(envelope.number, envelope.hydrophone, encode(envelope))])
    finally:
        await carrier.aclose()


def stored_bytes(brokers: Path, topic: str) -> int:
    """Size of a topic's segments on a broker's disk."""
    return sum(path.stat().st_size for path in brokers.glob(f"node-*/data/{topic}-*/*.log"))
