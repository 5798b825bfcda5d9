"""A real redis-server on a free loopback port, for tests."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """Started on entry, killed on exit; append-only file on, so that a kill loses nothing it acknowledged."""

    def __init__(self, folder: Path, *options: str, password: str | None = None) -> None:
        """With a password it speaks TLS alone, and asks for it; clients trust `certificate`."""
        self.port = free_port()
        self.certificate, self._key = folder / "redis.crt", folder / "redis.key"
        self.url = f"rediss://:{password}@127.0.0.1:{self.port}/0" if password else f"redis://127.0.0.1:{self.port}/0"
        self._folder, self._options, self._password = folder, options, password
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        listen = self._secured(self._password) if self._password else ["--port", str(self.port)]
        command = ["redis-server", *listen, "--bind", "127.0.0.1", "--dir", str(self._folder)]
        always = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        self._process = subprocess.Popen([*command, *always, *self._options], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError("redis-server did not come up")

    def _secured(self, password: str) -> list[str]:
        if not self.certificate.exists():
            make = f"""openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1
                -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout {self._key} -out {self.certificate}"""
            subprocess.run(make.split(), check=True, capture_output=True)
        files = ["--tls-cert-file", str(self.certificate), "--tls-key-file", str(self._key), "--tls-auth-clients", "no"]
        return ["--port", "0", "--tls-port", str(self.port), *files, "--requirepass", password]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
