"""Real Apache Kafka on free loopback ports, for tests: one or three brokers, killed and paused one by one."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from redis_server import free_port
from seacanary.cluster.section import KafkaLogin, KafkaSection, KafkaTls

SCRIPT = Path(__file__).parents[1] / "deploy" / "kafka" / "kafka.sh"
READY = "Kafka Server started"
LONGEST_START_S = 120


def why_not() -> str | None:
    """Why no Kafka can be started here; None: it can. Fetches Kafka, once for all tests.

    For pytest.skip in a fixture: at import it would make every collection wait.
    """
    for program, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven"), ("openssl", "openssl")):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: {package})"
    fetched = subprocess.run([SCRIPT, "fetch"], capture_output=True, text=True, check=False, timeout=280)
    return None if fetched.returncode == 0 else f"Kafka cannot be fetched: {fetched.stderr[-300:]}"


@dataclass(frozen=True)
class LongLine:
    """Another way to the one broker, for those at the far end of a line.

    Attributes:
        listens: HOST:PORT that the broker listens on.
        known_as: HOST:PORT by which the far end reaches it.
    """

    listens: str
    known_as: str


class KafkaServer:
    """Started on entry, killed on exit; what it acknowledged survives kill() and start(), its folder is the caller's.

    Attributes:
        bootstrap: HOST:PORT of each broker; a broker's number is its place there, from 1.
    """

    def __init__(self, folder: Path, *, brokers: int = 1, secure: bool = False, line: LongLine | None = None) -> None:
        self._folder, self._brokers, self._secure, self._line = folder, brokers, secure, line
        ports = [free_port() for _ in range(2 * brokers)]
        self.bootstrap = tuple(f"127.0.0.1:{port}" for port in ports[:brokers])
        self._environment = {**os.environ, "KAFKA_FOLDER": str(folder), "KAFKA_PORTS": " ".join(map(str, ports))}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def section(self, **changes: object) -> KafkaSection:
        """The configuration that reaches these brokers, with changes."""
        fields: dict[str, object] = {"bootstrap_servers": self.bootstrap}
        if self._secure:
            secrets = self._folder / "secrets"
            fields["login"] = KafkaLogin(username="seacanary", password_file=secrets / "password")
            fields["tls"] = KafkaTls(ca_file=secrets / "ca.pem")
        return KafkaSection.model_validate({**fields, **changes})

    def start(self, *numbers: int) -> None:
        """Start brokers, all if none is named, and return when they are ready."""
        chosen = numbers or range(1, self._brokers + 1)
        for number in chosen:
            self._spawn(number)
        for number in chosen:
            self._await(number)

    def stop(self, *numbers: int) -> None:
        """As an operator would: the broker hands over what it leads and closes its files."""
        self._signal(signal.SIGTERM, numbers)
        self._reap(numbers)

    def kill(self, *numbers: int) -> None:
        """Kill brokers in the middle of what they do."""
        self._signal(signal.SIGKILL, numbers)
        self._reap(numbers)

    def pause(self, *numbers: int) -> None:
        """Freeze brokers: their connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP, numbers)

    def resume(self, *numbers: int) -> None:
        """Let frozen brokers go on."""
        self._signal(signal.SIGCONT, numbers)

    def log(self, number: int = 1) -> str:
        """What a broker has said since its latest start."""
        return self._log_file(number).read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        options = ["--brokers", str(self._brokers), *(["--secure"] if self._secure else [])]
        subprocess.run([SCRIPT, "prepare", *options], env=self._environment, check=True, timeout=300)
        if self._line is not None:
            self._listen_on(self._line)
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _listen_on(self, line: LongLine) -> None:
        properties = self._folder / "node-1" / "server.properties"
        text = properties.read_text(encoding="utf-8")
        text = re.sub(r"^(listeners=.*)$", rf"\1,FAR://{line.listens}", text, flags=re.MULTILINE)
        text = re.sub(r"^(listener.security.protocol.map=.*)$", r"\1,FAR:PLAINTEXT", text, flags=re.MULTILINE)
        text += f"advertised.listeners=CLIENT://{self.bootstrap[0]},FAR://{line.known_as}\n"
        properties.write_text(text, encoding="utf-8")

    def _log_file(self, number: int) -> Path:
        return self._folder / f"node-{number}" / "broker.log"

    def _spawn(self, number: int) -> None:
        assert number not in self._processes, f"broker {number} runs"
        with self._log_file(number).open("wb") as log:
            self._processes[number] = subprocess.Popen(
                [SCRIPT, "run", str(number)], env=self._environment, stdout=log, stderr=log
            )

    def _await(self, number: int) -> None:
        deadline = time.monotonic() + LONGEST_START_S
        while READY not in self.log(number):
            assert self._processes[number].poll() is None, f"broker {number} ended: {self.log(number)[-2000:]}"
            assert time.monotonic() < deadline, f"broker {number} is not ready: {self.log(number)[-2000:]}"
            time.sleep(0.1)

    def _signal(self, which: signal.Signals, numbers: tuple[int, ...]) -> None:
        for number in numbers or tuple(self._processes):
            self._processes[number].send_signal(which)

    def _reap(self, numbers: tuple[int, ...]) -> None:
        for number in numbers or tuple(self._processes):
            process = self._processes.pop(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()
