"""What the station listens to, and who sends it: four sources of different kinds, all with simulated belugas."""

import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from seacanary.simulation import Scene, Soundscape
from seacanary.simulation.scene import CallBouts

LOOP_S = 40
STEP_S = 0.02
TCP_RATE_HZ, RTP_RATE_HZ, FILE_RATE_HZ, SIMULATED_RATE_HZ = 96_000, 48_000, 96_000, 384_000
FILE_S = 8
FILES_IN_A_ROW, PAUSE_S = 4, 7  # a recorder's duty cycle: whole seconds, as its file names tell no less
CALLS = CallBouts(bouts_per_min=3, calls_per_bout=(3, 6), snr_db=(18, 28))
RTP_PAYLOAD_TYPE = 96


def scene(seed: int) -> Scene:
    """Belugas now and then, so that there is something to tell."""
    return Scene(seed=seed, whistle=CALLS, beluga_click=CALLS, porpoise_click=CALLS)


def sound(seed: int, rate_hz: int) -> NDArray[np.int16]:
    """LOOP_S of a scene, int16 [samples]."""
    samples = Soundscape(scene(seed), sample_rate_hz=rate_hz).render(LOOP_S * rate_hz).samples
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


class _Sender(ABC):
    """A thread that makes a looped sound arrive somewhere.

    Attributes:
        present: clear: nothing arrives.
    """

    def __init__(self) -> None:
        self._over, self.present = threading.Event(), threading.Event()
        self.present.set()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send while entered."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(10)

    @abstractmethod
    def _run(self) -> None:
        """Send until it is over."""


class _Paced(_Sender):
    """Sends STEP_S of sound each STEP_S.

    Attributes:
        sent: samples that went out.
        withheld: samples that a fault kept from going out.
    """

    def __init__(self, pcm: NDArray[np.int16], rate_hz: int) -> None:
        super().__init__()
        self._twice = np.concatenate((pcm, pcm[: round(STEP_S * rate_hz)]))
        self._length, self._step = pcm.size, round(STEP_S * rate_hz)
        self._position = self.sent = self.withheld = 0

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._over.is_set():
            due_s += STEP_S
            self._over.wait(max(0.0, due_s - time.monotonic()))
            first = self._position % self._length
            if self._send(self._twice[first : first + self._step]):
                self.sent += self._step
            else:
                self.withheld += self._step
            self._position += self._step

    @abstractmethod
    def _send(self, samples: NDArray[np.int16]) -> bool:
        """Whether somebody took them."""


class TcpHydrophone(_Paced):
    """Serves s16le PCM to one caller at a time; what no caller takes in time is gone, as with a real one.

    Attributes:
        stalled: set: connected, but nothing comes.
        present: clear: gone from the network, callers are refused.
    """

    PATIENCE_S = 20.0

    def __init__(self, pcm: NDArray[np.int16], *, port: int) -> None:
        super().__init__(pcm, TCP_RATE_HZ)
        self._port = port
        self.stalled = threading.Event()
        self._server: socket.socket | None = None
        self._caller: socket.socket | None = None

    def _send(self, samples: NDArray[np.int16]) -> bool:
        self._come_or_go()
        if self.stalled.is_set() or not self._has_caller() or self._caller is None:
            return False
        try:
            self._caller.sendall(samples.astype("<i2").tobytes())
        except OSError:
            self._hang_up()
            return False
        return True

    def _come_or_go(self) -> None:
        if self.present.is_set() and self._server is None:
            self._server = socket.create_server(("127.0.0.1", self._port))
            self._server.setblocking(False)
        elif not self.present.is_set() and self._server is not None:
            self._server.close()
            self._server = None
            self._hang_up()

    def _has_caller(self) -> bool:
        with suppress(BlockingIOError, AttributeError):
            caller, _ = self._server.accept()  # type: ignore[union-attr]  # gone: AttributeError
            self._hang_up()  # who calls anew has given the old line up
            caller.settimeout(self.PATIENCE_S)
            self._caller = caller
        return self._caller is not None

    def _hang_up(self) -> None:
        if self._caller is not None:
            self._caller.close()
            self._caller = None


class RtpHydrophone(_Paced):
    """Sends L16 in RTP; its count of samples goes on whatever the network does.

    Attributes:
        present: clear: nothing arrives.
    """

    def __init__(self, pcm: NDArray[np.int16], *, port: int) -> None:
        super().__init__(pcm, RTP_RATE_HZ)
        self._to = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sequence = 0

    def _send(self, samples: NDArray[np.int16]) -> bool:
        head = struct.pack("!BBHII", 0x80, RTP_PAYLOAD_TYPE, self._sequence & 0xFFFF, self._position & 0xFFFFFFFF, 1)
        self._sequence += 1
        if not self.present.is_set():
            return False
        with suppress(OSError):  # nobody listens at the moment
            self._socket.sendto(head + samples.astype(">i2").tobytes(), self._to)
        return True


class Recorder(_Sender):
    """Leaves recordings in a folder, FILES_IN_A_ROW without a break, then PAUSE_S of rest.

    Attributes:
        files: path and first sample's time (s since 1970) of each complete file.
        present: clear: it is switched off; it begins anew once it is on.
    """

    def __init__(self, pcm: NDArray[np.int16], folder: Path) -> None:
        super().__init__()
        self._pcm, self._folder = pcm, folder
        self.files: list[tuple[str, int]] = []

    def _run(self) -> None:
        row = 0
        while not self._over.is_set():
            if not self.present.wait(0.2):
                row = 0
                continue
            if row == 0:
                start = datetime.fromtimestamp(int(time.time()) + 1, UTC)
                self._over.wait(start.timestamp() - time.time())
            if self._over.wait(max(0.0, start.timestamp() + FILE_S - time.time())):
                return
            if self.present.is_set():
                self._write(start)
                start += timedelta(seconds=FILE_S)
                row = (row + 1) % FILES_IN_A_ROW
            if row == 0:
                self._over.wait(PAUSE_S)

    def _write(self, start: datetime) -> None:
        """One file, under its name only when it is whole."""
        first = (len(self.files) * FILE_S * FILE_RATE_HZ) % (self._pcm.size - FILE_S * FILE_RATE_HZ + 1)
        path = self._folder / f"recorder_{start:%Y%m%dT%H%M%SZ}.wav"
        half = path.with_suffix(".part")
        soundfile.write(half, self._pcm[first : first + FILE_S * FILE_RATE_HZ], FILE_RATE_HZ, format="WAV")
        self.files.append((str(path), round(start.timestamp())))
        half.rename(path)
