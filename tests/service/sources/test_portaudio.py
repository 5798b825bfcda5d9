import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from seacanary.errors import SourceLost, SourceUnusable
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
        self.initialised = True
        self.failing = ""  # the call that fails, as a driver does that is just going away
        self.may_initialise = threading.Event()
        self.may_initialise.set()

    def _check(self, call: str) -> None:
        if self.failing == call:
            raise self.PortAudioError(f"Error in {call}", -9999)

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        self._check("query_devices")
        return [
            {"name": "hydro", "hostapi": 0, "max_input_channels": 1},
            {"name": "out", "hostapi": 0, "max_input_channels": 0},
        ]

    def check_input_settings(self, *, samplerate: int, **_: object) -> None:
        if samplerate != 96_000:
            raise self.PortAudioError("Invalid sample rate", -9997)

    def _terminate(self) -> None:
        if not self.initialised:
            raise self.PortAudioError("PortAudio not initialized", -10_000)
        self._check("_terminate")
        self.initialised = False
        self.log.append("terminate")

    def _initialize(self) -> None:
        self.may_initialise.wait(10)
        self._check("_initialize")
        self.initialised = True
        self.log.append("initialize")

    def RawInputStream(  # noqa: N802  sounddevice's name
        self, *, callback: Callable[..., None], finished_callback: Callable[[], None], **given: Any
    ) -> Any:
        self.log.append(f"open {given['device']}")
        if given["samplerate"] != 96_000:
            raise self.PortAudioError("Invalid sample rate", -9997)

        def start() -> None:
            self._check("start")
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


def wanted(reasons: list[str], *, device: str = "hydro", rate_hz: int = 96_000, latency_s: float = 5.0) -> Wanted:
    return Wanted(
        device=device,
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


def test_a_process_that_may_make_no_memory_executable_is_told_what_forbids_it(
    library: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise MemoryError("Cannot allocate write+execute memory for ffi.callback().")

    monkeypatch.setattr(library, "RawInputStream", refused)
    with pytest.raises(SourceUnusable, match=r"'hydro, ALSA'.*MemoryDenyWriteExecute=.*kind: alsa"):
        PortAudio().open(wanted([]))


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


@pytest.mark.parametrize("call", ["_terminate", "_initialize", "query_devices", "start"])
def test_a_portaudio_that_fails_for_a_while_loses_the_source_and_then_works_again(
    library: FakeSoundDevice, call: str
) -> None:
    one = PortAudio()
    library.failing = call
    for _ in range(2):
        with pytest.raises(SourceLost, match=f"Error in {call}"):
            one.open(wanted([]))
    library.failing = ""
    one.close(one.open(wanted([])))
    assert library.log[-4:] == ["initialize", "open 0", "stop", "close"]


def test_a_stream_that_cannot_be_started_lets_go_of_its_device(library: FakeSoundDevice) -> None:
    library.failing = "start"
    with pytest.raises(SourceLost):
        PortAudio().open(wanted([]))
    assert library.log[-2:] == ["open 0", "close"]


def test_a_search_for_devices_that_hangs_loses_the_source_and_spares_the_others(
    library: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "LOOK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(portaudio, "_LIST_INPUTS", "import time; time.sleep(60)")
    reasons: list[str] = []
    one = PortAudio()
    opened = one.open(wanted(reasons))
    with pytest.raises(SourceLost, match="asked for 'other', the sound drivers did not answer"):
        one.open(wanted([], device="other"))
    assert reasons == []
    one.close(opened)


def test_a_portaudio_that_hangs_in_opening_does_not_hang_the_next_one(
    library: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "BUSY_TIMEOUT_S", 0.05)
    one = PortAudio()
    library.may_initialise.clear()
    hanging = threading.Thread(target=lambda: one.close(one.open(wanted([]))))
    hanging.start()
    while library.initialised:
        time.sleep(0.001)
    with pytest.raises(SourceLost, match="'hydro' has to wait: PortAudio is still busy with another sound card"):
        one.open(wanted([]))
    library.may_initialise.set()
    hanging.join(5)
    one.close(one.open(wanted([])))
