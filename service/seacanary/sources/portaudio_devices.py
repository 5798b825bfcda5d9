"""The inputs PortAudio offers, and which of them a configured name means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from seacanary.errors import SourceLost, SourceUnusable

COMMON_RATES_HZ = (44_100, 48_000, 96_000, 128_000, 192_000, 250_000, 256_000, 288_000, 352_800, 384_000)


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device PortAudio can capture from.

    Attributes:
        index: its number until PortAudio is initialised again; never configured.
        label: its name and host API, as "UltraMic 384K: USB Audio (hw:1,0), ALSA".
        channels: most channels it captures.
    """

    index: int
    label: str
    channels: int

    @property
    def name(self) -> str:
        """The label without the host API."""
        return self.label.rpartition(", ")[0]


def sounddevice() -> ModuleType:
    """The sounddevice module; its import initialises PortAudio, so not before a sound card is wanted.

    Raises:
        SourceUnusable: the PortAudio library is not installed.
        SourceLost: it cannot be initialised now.
    """
    try:
        import sounddevice as loaded
    except (ImportError, OSError) as exc:
        raise SourceUnusable(f"PortAudio cannot be loaded ({exc}); on Debian: apt install libportaudio2") from exc
    except Exception as exc:  # a PortAudioError, whose class went with the module that was not imported
        raise SourceLost(f"PortAudio cannot be initialised now: {exc}") from exc
    module: ModuleType = loaded
    return module


def input_devices() -> list[InputDevice]:
    """Devices with inputs, as they were when PortAudio was last initialised.

    Raises:
        SourceLost: PortAudio cannot say now.
    """
    portaudio = sounddevice()
    try:
        apis = [api["name"] for api in portaudio.query_hostapis()]
        devices = list(enumerate(portaudio.query_devices()))
    except portaudio.PortAudioError as exc:
        raise SourceLost(f"PortAudio cannot list its devices now: {exc}") from exc
    return [
        InputDevice(index, f"{device['name']}, {apis[device['hostapi']]}", int(device["max_input_channels"]))
        for index, device in devices
        if device["max_input_channels"] > 0
    ]


def usable_rates_hz(device: InputDevice) -> list[int]:
    """Which of the common rates the device says it can capture at; opens it briefly."""
    return [rate_hz for rate_hz in COMMON_RATES_HZ if _can_capture(device, rate_hz)]


def _can_capture(device: InputDevice, rate_hz: int) -> bool:
    portaudio = sounddevice()
    try:
        portaudio.check_input_settings(device=device.index, samplerate=rate_hz, channels=device.channels)
    except portaudio.PortAudioError:
        return False
    return True


def matching(pattern: str, labels: Sequence[str]) -> list[str]:
    """Labels a configured device name means: the exact name, else a part of it, else a regular expression.

    Args:
        pattern: from the configuration; case does not matter.
        labels: as in InputDevice.

    Raises:
        SourceUnusable: nothing contains it and it is no regular expression.
    """
    wanted = pattern.casefold()
    exact = [label for label in labels if wanted in (label.casefold(), label.rpartition(", ")[0].casefold())]
    within = exact or [label for label in labels if wanted in label.casefold()]
    if within:
        return within
    try:
        expression = re.compile(pattern, re.IGNORECASE)
    except re.error as exc:
        raise SourceUnusable(f"device '{pattern}' is in no device's name and is no regular expression: {exc}") from exc
    return [label for label in labels if expression.search(label)]


def choose(pattern: str, devices: Sequence[InputDevice]) -> InputDevice:
    """The one device a configured name means.

    Raises:
        SourceLost: no device fits; it may yet be plugged in.
        SourceUnusable: several fit.
    """
    labels = matching(pattern, [device.label for device in devices])
    if not labels:
        there = "; ".join(device.label for device in devices) or "no input device at all"
        raise SourceLost(f"no sound card matches '{pattern}'; there is: {there}")
    if len(labels) > 1:
        raise SourceUnusable(f"'{pattern}' matches several sound cards: {'; '.join(labels)}; name one of them")
    return next(device for device in devices if device.label == labels[0])
