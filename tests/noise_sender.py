"""A hydrophone on the network that can hang, for tests of whole processes."""

import socket
import threading
import time

import numpy as np


class NoiseSender:
    """Noise in real time to whoever connects, or, while it hangs, nothing over connections that stay open.

    Attributes:
        sending: clear it to hang, set it to go on.
        port: where it listens.
    """

    def __init__(self, rate_hz: int) -> None:
        """Listen on a free port of loopback, for any number of stations.

        Args:
            rate_hz: 16-bit samples sent in a second.
        """
        self._rate_hz = rate_hz
        self.sending = threading.Event()
        self.sending.set()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        noise = np.random.default_rng(1).normal(0, 1000, self._rate_hz // 10).astype("<i2").tobytes()
        next_s = time.monotonic()
        with connection:
            while not self._over.is_set():
                next_s += 0.1
                time.sleep(max(0.0, next_s - time.monotonic()))
                if not self.sending.is_set():
                    continue
                try:
                    connection.sendall(noise)
                except OSError:
                    return
