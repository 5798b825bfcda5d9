"""Records of many hydrophones: real images of a simulated sea, deflated once and sent under many names."""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.cluster_stand_in import CALL_MARK
from seacanary.audio import Window
from seacanary.cluster.envelope import ImageEnvelope, contract_sha256, key_of
from seacanary.cluster.envelope_codec import encode
from seacanary.contract import ModelContract
from seacanary.detection import DetectorSection
from seacanary.image_detection import Transformer
from seacanary.simulation import Scene, Soundscape

STATION = "bench"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# Of each hydrophone's windows: calls for 6 s, then quiet for 14 s, so that presences begin and end.
BOUT_WINDOWS, CYCLE_WINDOWS = 12, 40
# Deflating is the edge's work: what workers are asked does not depend on how many images there are.
DISTINCT_IMAGES = 16
# As docs of the envelope have it: magic, version, length of the header; CRC-32 at the end.
_PREFIX, _CHECKSUM = struct.Struct("<4sI"), struct.Struct("<I")


def sea_images(transformer: Transformer, count: int, *, seed: int = 4) -> list[ImageEnvelope]:
    """T's images of a simulated sea in which belugas and porpoises call, one hop after the other."""
    contract = transformer.contract
    scape = Soundscape(Scene(seed=seed), sample_rate_hz=contract.sample_rate_hz)
    length = contract.window_samples + (count - 1) * contract.hop_samples
    pcm = scape.render(length).samples.astype(np.float32)
    windows = [
        Window(
            "h0",
            pcm[first : first + contract.window_samples],
            EPOCH + timedelta(seconds=first / contract.sample_rate_hz),
            EPOCH,
            first,
            first + contract.window_samples,
            contract.sample_rate_hz,
        )
        for first in range(0, count * contract.hop_samples, contract.hop_samples)
    ]
    return [
        envelope_of(window, image, contract, number)
        for number, (window, image) in enumerate(zip(windows, transformer.images(windows), strict=True))
    ]


def envelope_of(window: Window, image: np.ndarray[Any, Any], contract: ModelContract, number: int) -> ImageEnvelope:
    """A window's image as an edge wraps it."""
    return ImageEnvelope(
        station=STATION,
        run=EPOCH,
        number=number,
        hydrophone=window.hydrophone,
        contract_sha256=contract_sha256(contract),
        epoch=window.epoch,
        first_sample=window.first_sample,
        end_sample=window.end_sample,
        sample_rate_hz=window.sample_rate_hz,
        start=window.start,
        missing_fraction=0.0,
        clipped_fraction=0.0,
        source_file=None,
        image=image,
    )


class _Deflated(BaseModel):
    """A record taken apart."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    version: bytes
    header: dict[str, Any]
    pixels: bytes

    @classmethod
    def of(cls, envelope: ImageEnvelope) -> Self:
        record = encode(envelope)
        version, header_bytes = _PREFIX.unpack_from(record)
        header_end = _PREFIX.size + header_bytes
        header = json.loads(record[_PREFIX.size : header_end])
        return cls(version=version, header=header, pixels=record[header_end : -_CHECKSUM.size])

    def record(self, **changes: object) -> bytes:
        header = json.dumps(self.header | changes, separators=(",", ":"), ensure_ascii=False).encode()
        unchecked = b"".join((_PREFIX.pack(self.version, len(header)), header, self.pixels))
        return unchecked + _CHECKSUM.pack(zlib.crc32(unchecked))


class Records(BaseModel):
    """The records of any hydrophone and window, in no time: the images repeat, names and places do not.

    Attributes:
        contract: of the model whose T made the images.
        quiet: of windows without a call.
        calling: of windows with one, as far as the stand-in for M sees.
    """

    model_config = ConfigDict(frozen=True)

    contract: ModelContract
    quiet: list[_Deflated]
    calling: list[_Deflated]

    @classmethod
    def of(cls, images: Sequence[ImageEnvelope], contract: ModelContract) -> Self:
        """Make all records of these images."""
        quiet, calling = ([_Deflated.of(marked(image, mark)) for image in images] for mark in (0, CALL_MARK))
        return cls(contract=contract, quiet=quiet, calling=calling)

    @classmethod
    def of_simulated_sea(cls) -> Self:
        """Through the bundled model's T."""
        transformer = Transformer.load(DetectorSection(sessions=1))
        try:
            return cls.of(sea_images(transformer, DISTINCT_IMAGES), transformer.contract)
        finally:
            transformer.close()

    def record(self, hydrophone: int, number: int) -> tuple[bytes, bytes]:
        """Key and value of a hydrophone's window."""
        name, first = f"h{hydrophone}", number * self.contract.hop_samples
        pool = self.calling if is_calling(hydrophone, number) else self.quiet
        start = EPOCH + timedelta(seconds=first / self.contract.sample_rate_hz)
        value = pool[(hydrophone + number) % len(pool)].record(
            hydrophone=name,
            number=number,
            first_sample=first,
            end_sample=first + self.contract.window_samples,
            start=start.isoformat().replace("+00:00", "Z"),
        )
        return key_of(STATION, name), value


def is_calling(hydrophone: int, number: int) -> bool:
    """Whether a window holds calls; hydrophones take turns."""
    return (number + 7 * hydrophone) % CYCLE_WINDOWS < BOUT_WINDOWS


def marked(envelope: ImageEnvelope, mark: int) -> ImageEnvelope:
    """An envelope whose image says to the stand-in for M whether there is a call."""
    image = envelope.image.copy()
    image[0, 0] = mark
    return replace(envelope, image=image)
