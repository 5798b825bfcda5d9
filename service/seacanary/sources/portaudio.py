"""PortAudio itself: opening and closing inputs of the one library a process has."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources.portaudio_devices import (
    InputDevice,
    choose,
    input_devices,
    matching,
    sounddevice,
    usable_rates_hz,
)
from seacanary.sources.real_time import ask_for_real_time

STOP_TIMEOUT_S = 5.0  # a healthy stream stops within one host period
LOOK_TIMEOUT_S = 20.0  # a new process lists the devices within 1 s, on a small board under load in some
BUSY_TIMEOUT_S = 5.0  # opening or closing another device takes some 0.1 s, unless its driver hangs

# paInvalidChannelCount, paInvalidSampleRate, paSampleFormatNotSupported: what the device will never do
_NEVER = frozenset({-9998, -9997, -9994})
_NOT_INITIALISED = -10_000  # paNotInitialized
_LIST_INPUTS = (
    "import json; from seacanary.sources.portaudio_devices import input_devices; "
    "print(json.dumps([device.label for device in input_devices()]))"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to capture, and who is to be called.

    Attributes:
        device: name, part of a name or regular expression.
        sample_rate_hz: rate.
        channels: number of channels.
        format: PortAudio sample format, as "int24".
        block_frames: frames per callback.
        latency_s: audio the driver is to hold.
        callback: sounddevice's raw input callback, called on PortAudio's thread.
        ended: called once or more with the reason when the stream is over, from any thread.
    """

    device: str
    sample_rate_hz: int
    channels: int
    format: str
    block_frames: int
    latency_s: float
    callback: Callable[[Any, int, Any, Any], None]
    ended: Callable[[str], None]


class Stream(Protocol):
    """The part of sounddevice.RawInputStream used here."""

    def start(self) -> None:
        """Begin calling back."""

    def stop(self) -> None:
        """Stop when the block in hand is done."""

    def abort(self) -> None:
        """Stop at once."""

    def close(self) -> None:
        """Release the device."""


class OpenInput:
    """A running input, to be closed by the PortAudio that opened it."""

    def __init__(self, wanted: Wanted, device: InputDevice) -> None:
        self.wanted = wanted
        self._closing, self._finished = threading.Event(), threading.Event()
        self._asked = False  # for the priority of PortAudio's thread, which only that thread itself can ask for
        self._label, self._module = device.label, sounddevice()
        self._stream: Stream = self._module.RawInputStream(
            device=device.index,
            samplerate=wanted.sample_rate_hz,
            channels=wanted.channels,
            dtype=wanted.format,
            blocksize=wanted.block_frames,
            latency=wanted.latency_s,
            callback=self._take,
            finished_callback=self._finish,
        )
        try:
            self._stream.start()
        except self._module.PortAudioError:
            self._stream.close()
            raise

    def end(self, why: str) -> bool:
        """Say why, stop and release the device; blocks for about one host period.

        PortAudio's ALSA thread never notices that its device is gone: it spins, and to stop
        it properly would wait forever. Aborting cancels the thread wherever it is, which is
        safe there, but not while it waits for Python. So the callback is what ends a healthy
        stream, and only one that calls back no more is aborted. A device that goes in the
        middle of an overrun makes the thread deaf even to that.

        Returns:
            False if PortAudio hangs in it.
        """
        self.wanted.ended(why)
        self._closing.set()
        healthy = self._finished.wait(self.wanted.latency_s + 1)
        stopper = threading.Thread(target=self._stop if healthy else self._abort, daemon=True)
        stopper.start()
        stopper.join(STOP_TIMEOUT_S)
        return not stopper.is_alive()

    def _stop(self) -> None:
        self._stream.stop()
        self._stream.close()

    def _abort(self) -> None:
        self._stream.abort()
        self._stream.close()

    def _take(self, data: Any, frames: int, time_info: Any, flags: Any) -> None:
        if self._closing.is_set():
            raise self._module.CallbackStop
        if not self._asked:
            self._asked = True
            ask_for_real_time()
        self.wanted.callback(data, frames, time_info, flags)

    def _finish(self) -> None:
        self._finished.set()
        self.wanted.ended(f"'{self._label}' stopped delivering")


class PortAudio:
    """Opens and closes inputs of the one PortAudio library a process has.

    PortAudio takes its list of devices when it is initialised, and only then: a device
    plugged in later, or again at another address, is not seen until it is initialised
    anew, and that ends every stream of the process. So it is done freely while no stream
    is open; while one is, only when another process has seen the wanted device where
    this one has not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[OpenInput] = []
        self._hanging = ""

    def open(self, wanted: Wanted) -> OpenInput:
        """Find the device by name and start capturing; blocks for some 0.1 s.

        Raises:
            SourceLost: the device is not there, or cannot be opened now.
            SourceUnusable: its name is ambiguous, it cannot do what is wanted, or this process may not be called back.
        """
        with self._exclusively(wanted.device):
            if self._hanging:
                raise SourceUnusable(self._hanging)
            if not self._open:
                _initialise_again()
            try:
                return self._start(wanted)
            except SourceLost:
                if not self._open or not _has_moved(wanted.device):
                    raise
            for other in list(self._open):
                self._end(other, f"sound cards were looked for again, to find '{wanted.device}'")
            _initialise_again()
            return self._start(wanted)

    def close(self, opened: OpenInput) -> None:
        """Stop capturing and release the device; safe to call twice."""
        with self._lock:
            if opened in self._open:
                self._end(opened, "closed")

    @contextmanager
    def _exclusively(self, device: str) -> Iterator[None]:
        """Hold the lock, unless somebody hangs in it: then every new try would leave one more thread waiting.

        Raises:
            SourceLost: it is not to be had in time.
        """
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise SourceLost(f"'{device}' has to wait: PortAudio is still busy with another sound card")
        try:
            yield
        finally:
            self._lock.release()

    def _start(self, wanted: Wanted) -> OpenInput:
        device = choose(wanted.device, input_devices())
        try:
            opened = OpenInput(wanted, device)
        except sounddevice().PortAudioError as exc:
            raise _refusal(exc, device, wanted) from exc
        except MemoryError as exc:  # cffi's, for want of memory that may be written and executed
            raise SourceUnusable(
                f"'{device.label}' cannot call back, as this process may not make memory executable ({exc}): take "
                "MemoryDenyWriteExecute= out of the service's unit, or use kind: alsa"
            ) from exc
        self._open.append(opened)
        return opened

    def _end(self, opened: OpenInput, why: str) -> None:
        self._open.remove(opened)
        if not opened.end(why):
            device = opened.wanted.device
            self._hanging = f"PortAudio hangs since '{device}' went away; only starting the program anew helps"


# The one global of the project: PortAudio itself is one per process.
PORTAUDIO = PortAudio()


def _initialise_again() -> None:
    """Make PortAudio look for devices anew; ends every stream of the process.

    sounddevice has no public call for it; its own documentation names these two.

    Raises:
        SourceLost: a driver refuses, as when its device is just going away.
    """
    module = sounddevice()
    try:
        _terminate(module)
        module._initialize()
    except module.PortAudioError as exc:
        raise SourceLost(f"PortAudio cannot look for sound cards now: {exc}") from exc


def _terminate(module: ModuleType) -> None:
    """Terminate PortAudio, unless the last initialisation failed."""
    try:
        module._terminate()
    except module.PortAudioError as exc:
        if exc.args[1:2] != (_NOT_INITIALISED,):
            raise


def _has_moved(pattern: str) -> bool:
    """Whether a new process sees the device, and not where this process believes it to be.

    Raises:
        SourceLost: the new process hangs, in a driver.
    """
    labels = _labels_elsewhere(pattern)
    now = matching(pattern, labels)
    return bool(now) and now != matching(pattern, [device.label for device in input_devices()])


def _labels_elsewhere(pattern: str) -> list[str]:
    """Labels of the inputs a new process sees; none if it fails."""
    looking = subprocess.Popen([sys.executable, "-c", _LIST_INPUTS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        listed, _ = looking.communicate(timeout=LOOK_TIMEOUT_S)
    except subprocess.TimeoutExpired as exc:
        _abandon(looking)
        raise SourceLost(
            f"asked for '{pattern}', the sound drivers did not answer within {LOOK_TIMEOUT_S:g} s"
        ) from exc
    return [str(label) for label in json.loads(listed)] if looking.returncode == 0 else []


def _abandon(process: "subprocess.Popen[bytes]") -> None:
    """Kill, and do not wait for long: what hangs in a driver dies when the driver lets it."""
    process.kill()
    if process.stdout is not None:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)


def _refusal(exc: Exception, device: InputDevice, wanted: Wanted) -> SourceLost | SourceUnusable:
    if len(exc.args) > 1 and exc.args[1] in _NEVER:
        rates = ", ".join(map(str, usable_rates_hz(device))) or "none of the common ones"
        return SourceUnusable(
            f"'{device.label}' cannot capture {wanted.channels} channel(s) of {wanted.format} at "
            f"{wanted.sample_rate_hz} Hz ({exc.args[0]}); it has {device.channels} channel(s), rates in Hz: {rates}"
        )
    return SourceLost(f"'{device.label}' cannot be opened now: {exc.args[0] if exc.args else exc}")
