import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from seacanary.errors import SourceUnusable
from seacanary.sources import portaudio
from seacanary.sources.portaudio import PortAudio, Wanted

GIVEN_UP_AT_ONCE_S = -0.95  # a deaf stream is waited for a second longer than its latency


class FakeSoundDevice(SimpleNamespace):
    """A sounddevice module with one input; its streams hang in abort() when told to."""

    class PortAudioError(Exception):
        pass

    class CallbackStop(Exception):
        pass

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.deaf = False
        self.released = threading.Event()

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {"name": "hydro", "hostapi": 0, "max_input_channels": 1},
            {"name": "out", "hostapi": 0, "max_input_channels": 0},
        ]

    def check_input_settings(self, *, samplerate: int, **_: object) -> None:
        if samplerate != 96_000:
            raise self.PortAudioError("Invalid sample rate", -9997)

    def _terminate(self) -> None:
        self.log.append("terminate")

    def _initialize(self) -> None:
        self.log.append("initialize")

    def RawInputStream(  # noqa: N802  sounddevice's name
        self, *, callback: Callable[..., None], finished_callback: Callable[[], None], **given: Any
    ) -> Any:
        self.log.append(f"open {given['device']}")
        if given["samplerate"] != 96_000:
            raise self.PortAudioError("Invalid sample rate", -9997)

        def start() -> None:
            if not self.deaf:
                threading.Thread(target=call_back, daemon=True).start()

        def call_back() -> None:
            try:
                while True:
                    callback(b"", 0, None, None)
                    time.sleep(0.001)
            except self.CallbackStop:
                finished_callback()

        def log(what: str) -> Callable[[], None]:
            return lambda: self.log.append(what)

        def abort() -> None:
            self.log.append("abort")
            self.released.wait(10)

        return SimpleNamespace(start=start, stop=log("stop"), abort=abort, close=log("close"))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    fake = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(portaudio, "STOP_TIMEOUT_S", 0.05)
    return fake


def wanted(reasons: list[str], *, rate_hz: int = 96_000, latency_s: float = 5.0) -> Wanted:
    return Wanted(
        device="hydro",
        sample_rate_hz=rate_hz,
        channels=1,
        format="int16",
        block_frames=10,
        latency_s=latency_s,
        callback=lambda *_: None,
        ended=reasons.append,
    )


def test_the_device_list_is_taken_anew_at_every_open_unless_a_stream_is_open(library: FakeSoundDevice) -> None:
    one = PortAudio()
    opened = one.open(wanted([]))
    other = one.open(wanted([]))
    assert library.log == ["terminate", "initialize", "open 0", "open 0"]
    one.close(opened)
    one.close(other)
    one.close(one.open(wanted([])))
    assert library.log[-5:] == ["terminate", "initialize", "open 0", "stop", "close"]


def test_a_stream_that_calls_back_is_stopped_properly_and_once(library: FakeSoundDevice) -> None:
    reasons: list[str] = []
    one = PortAudio()
    opened = one.open(wanted(reasons))
    one.close(opened)
    one.close(opened)
    assert library.log[-2:] == ["stop", "close"]
    assert reasons == ["closed", "'hydro, ALSA' stopped delivering"]


def test_a_stream_that_calls_back_no_more_is_aborted(library: FakeSoundDevice) -> None:
    library.deaf = True
    library.released.set()
    one = PortAudio()
    one.close(one.open(wanted([], latency_s=GIVEN_UP_AT_ONCE_S)))
    assert library.log[-2:] == ["abort", "close"]


def test_a_portaudio_that_hangs_is_not_waited_for_and_not_used_again(library: FakeSoundDevice) -> None:
    library.deaf = True
    one = PortAudio()
    one.close(one.open(wanted([], latency_s=GIVEN_UP_AT_ONCE_S)))
    with pytest.raises(SourceUnusable, match="PortAudio hangs since 'hydro' went away; only starting"):
        one.open(wanted([]))
    library.released.set()


def test_what_the_device_cannot_do_is_refused_with_what_it_can(library: FakeSoundDevice) -> None:
    with pytest.raises(
        SourceUnusable, match=r"cannot capture 1 channel\(s\) of int16 at 192000 Hz.*rates in Hz: 96000"
    ):
        PortAudio().open(wanted([], rate_hz=192_000))
