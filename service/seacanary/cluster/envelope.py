"""Envelopes: what travels over Kafka between stations and workers; envelope_codec makes bytes of them."""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime

from seacanary.contract import ModelContract
from seacanary.events import EndReason
from seacanary.observations import Detection, Unobserved


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


def contract_sha256(contract: ModelContract) -> str:
    """Hex SHA-256 of a contract's JSON: T at the edge and M at a worker belong together if theirs agree."""
    return hashlib.sha256(contract.model_dump_json(exclude_none=True).encode()).hexdigest()


def key_of(station: str, hydrophone: str) -> bytes:
    """Key of a hydrophone's records: they share a partition, in order."""
    return f"{station}/{hydrophone}".encode()
