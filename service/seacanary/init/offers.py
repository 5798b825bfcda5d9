"""Offers: devices of this machine that a station could listen to, and sections that name them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from yaml import YAMLError, safe_load

from seacanary.config import SourceSection
from seacanary.sources.devices import Device
from seacanary.sources.portaudio_devices import COMMON_RATES_HZ

# The bundled model's own rate: with more, nothing more is heard.
WANTED_HZ = 384_000
# Enough of a simulated sea that the first event comes within a minute.
SCENE = {"seed": 1, "whistle": {"bouts_per_min": 8, "snr_db": [14, 26]}}
OTHERS = ("tcp", "udp", "files", "simulated")
SOURCE: TypeAdapter[SourceSection] = TypeAdapter(SourceSection)


@dataclass(frozen=True, slots=True)
class Offer:
    """A device.

    Attributes:
        kind: of its section.
        device: its name there.
        channels: most it has.
        rates_hz: it can capture at; empty: that is not known.
    """

    kind: str
    device: str
    channels: int
    rates_hz: tuple[int, ...]

    @property
    def best_rate_hz(self) -> int:
        """The one that serves best: what the model wants, else the highest below it, else the lowest above."""
        below = [rate for rate in self.rates_hz if rate <= WANTED_HZ]
        return max(below) if below else min(self.rates_hz, default=WANTED_HZ)


def offer_of(device: Device) -> Offer:
    """What `seacanary devices` says, in numbers. A range of rates offers the common ones within it."""
    rates = tuple(map(int, re.findall(r"\d+", device.rates_hz)))
    if " to " in device.rates_hz and len(rates) == 2:
        rates = tuple(rate for rate in COMMON_RATES_HZ if rates[0] <= rate <= rates[1])
    channels = [int(count) for count in re.findall(r"\d+", device.channels)]
    return Offer(device.kind, device.device, max(channels, default=1), rates)


def section_of(offer: Offer, *, rate_hz: int, hydrophones: Sequence[str]) -> dict[str, object]:
    """The section that opens a device."""
    names = list(hydrophones)
    return {"kind": offer.kind, "device": offer.device, "hydrophones": names, "sample_rate_hz": rate_hz}


def read_source(said: str) -> dict[str, object]:
    """A source as a configuration names it, {kind: soundcard, device: UltraMic, ...}; or the word simulated.

    Raises:
        ValueError: it is none; says why.
    """
    try:
        tree = safe_load(said)
    except YAMLError:
        raise ValueError(f"got {said!r}; a source is written as in the configuration: {{kind: simulated}}") from None
    section = {"kind": "simulated", "scene": SCENE} if tree == "simulated" else tree
    if not isinstance(section, dict):
        raise ValueError(f"got {said!r}; a source is written as in the configuration: {{kind: files, path: sounds}}")
    check_source(section)
    return dict(section)


def check_source(section: object) -> SourceSection:
    """The section, if it can be one.

    Raises:
        ValueError: each mistake in it, in one line.
    """
    try:
        return SOURCE.validate_python(section)
    except ValidationError as exc:
        raise ValueError("; ".join(_fault(error["loc"], error["msg"]) for error in exc.errors())) from None


def read_names(said: str) -> list[str]:
    """Names, separated by commas.

    Raises:
        ValueError: there is none, or one is there twice.
    """
    names = [name.strip() for name in said.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"got {said!r}; a name for each channel, none twice, such as north, south")
    return names


def read_rate(said: str) -> int:
    """Samples per second; "384 kHz" is understood.

    Raises:
        ValueError: it is no rate.
    """
    match = re.fullmatch(r"([\d.,_]+)\s*(k?)(hz)?", said.strip().lower())
    try:
        rate_hz = float(match[1].replace(",", "").replace("_", "")) * (1000 if match[2] else 1) if match else 0.0
    except ValueError:
        rate_hz = 0.0
    if rate_hz < 1:
        raise ValueError(f"got {said!r}; samples per second, such as 384000 or 384 kHz")
    return round(rate_hz)


def _fault(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in place[1:])
    return f"{where}: {message}" if where else message
