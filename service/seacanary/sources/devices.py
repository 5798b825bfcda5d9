"""What PortAudio and ALSA can capture from on this machine, for `seacanary devices`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from seacanary.errors import SourceError
from seacanary.sources.alsa import alsaaudio, describe_rates
from seacanary.sources.portaudio_devices import input_devices, usable_rates_hz

# Plugins that every ALSA lists whatever is plugged in: converters and sound servers, not hydrophones.
_ALSA_PLUGINS = frozenset(
    {"null", "lavrate", "samplerate", "speexrate", "jack", "oss", "pulse", "pipewire", "speex", "upmix", "vdownmix"}
)


class Device(BaseModel):
    """One device, as a section of a configuration would name it."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["soundcard", "alsa"]
    device: str
    channels: str
    rates_hz: str


class DeviceList(BaseModel):
    """The devices there are, and why a whole kind of them could not be asked."""

    model_config = ConfigDict(frozen=True)

    devices: tuple[Device, ...]
    problems: tuple[str, ...]


def list_devices() -> DeviceList:
    """Ask PortAudio and ALSA; opens every device briefly, so busy ones show no rates."""
    devices: list[Device] = []
    problems: list[str] = []
    for listed in (_soundcards, _alsa_devices):
        try:
            devices += listed()
        except SourceError as exc:
            problems.append(str(exc))
    return DeviceList(devices=tuple(devices), problems=tuple(problems))


def _soundcards() -> list[Device]:
    return [
        Device(
            kind="soundcard",
            device=device.name,
            channels=f"up to {device.channels}",
            rates_hz=", ".join(map(str, usable_rates_hz(device))),
        )
        for device in input_devices()
    ]


def _alsa_devices() -> list[Device]:
    library = alsaaudio()
    names = [name for name in library.pcms(library.PCM_CAPTURE) if name not in _ALSA_PLUGINS]
    return [_alsa_device(name) for name in names]


def _alsa_device(name: str) -> Device:
    library = alsaaudio()
    try:
        pcm = library.PCM(type=library.PCM_CAPTURE, mode=library.PCM_NONBLOCK, device=name)
    except library.ALSAAudioError as exc:
        return Device(kind="alsa", device=name, channels="", rates_hz=f"cannot be opened now: {exc}")
    try:
        return _described(name, pcm)
    finally:
        pcm.close()


def _described(name: str, pcm: Any) -> Device:
    return Device(
        kind="alsa", device=name, channels=", ".join(map(str, pcm.getchannels())), rates_hz=describe_rates(pcm)
    )
