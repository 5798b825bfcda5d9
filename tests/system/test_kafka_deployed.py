"""deploy/kafka: the brokers of kafka.sh, and the one that compose.yaml starts, with Kafka as Maven has it."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafka_server import LONGEST_START_S, READY, SCRIPT, why_not
from redis_server import free_port
from seacanary.cluster.section import KafkaLogin, KafkaSection
from seacanary.cluster.topics import ClusterUnreachable, make_topics

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "seacanary" / "kafka"
PASSWORD = "k4fkaS3cret"


@pytest.fixture(scope="module", autouse=True)
def _kafka_can_be_had() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


class Script:
    """kafka.sh with a folder and ports of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._environment = {
            **os.environ,
            "KAFKA_FOLDER": str(folder),
            "KAFKA_PORTS": f"{self.port} {free_port()}",
        }

    def __call__(self, *words: str, refused: int = 0) -> str:
        """Run it; what it said. It must end with the code given."""
        done = subprocess.run(
            [SCRIPT, *words], env=self._environment, capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == refused, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path / "kafka")
    yield script
    script("wipe")


async def test_up_down_up_keeps_what_wipe_deletes(script: Script, tmp_path: Path) -> None:
    assert "no cluster" in script("status", refused=3)
    assert f"broker 1: 127.0.0.1:{script.port}, process" in script("up")
    section = KafkaSection(bootstrap_servers=(f"127.0.0.1:{script.port}",), partitions=2)
    await make_topics(section)
    first = script("status")
    assert script("up") == first, "what runs is left alone"
    assert "another cluster" in script("up", "--secure", refused=2)
    script("down")
    assert "broker 1: down" in script("status", refused=3)
    script("up")
    assert await make_topics(section) == ()
    pid = int((script.folder / "node-1" / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    (script.folder / "not ours").touch()
    script("wipe")
    assert [path.name for path in script.folder.iterdir()] == ["not ours"]
    with pytest.raises(ClusterUnreachable):
        await make_topics(section)


@pytest.mark.parametrize(
    "words", [[], ["start"], ["up", "--brokers", "2"], ["up", "--brokers"], ["down", "1"], ["run"], ["status", "all"]]
)
def test_what_it_does_not_know_it_refuses(script: Script, words: list[str]) -> None:
    script(*words, refused=2)
    assert not script.folder.exists()


def test_secrets_are_its_users_alone(tmp_path: Path) -> None:
    script = Script(tmp_path / "kafka")
    script("prepare", "--secure")
    password = (script.folder / "secrets" / "password").read_text().strip()
    holding = [path for path in script.folder.rglob("*") if path.is_file() and password in path.read_text("latin-1")]
    assert [path.name for path in holding] == ["password"], "Kafka itself keeps salted hashes"
    assert {path.stat().st_mode & 0o077 for path in script.folder.rglob("*")} == {0}


class Container:
    """start.sh as the kafka service runs it, on free ports instead of the container's own."""

    def __init__(self, folder: Path) -> None:
        (libs,) = (path for path in CACHE.iterdir() if path.is_dir())
        text = (SCRIPT.parent / "start.sh").read_text()
        ports = {port: str(free_port()) for port in ("9092", "9093", "9094", "9095")}
        self.outside = ports["9094"]
        folder.mkdir(exist_ok=True)
        (folder / "start.sh").write_text(re.sub("909[2-5]", lambda match: ports[match[0]], text))
        shutil.copy(SCRIPT.parent / "log4j2.properties", folder)
        self._folder = folder
        self._environment = {
            **os.environ,
            "KAFKA_LIBS": str(libs),
            "KAFKA_BIND": "127.0.0.1",
            "KAFKA_ADVERTISED": f"127.0.0.1:{self.outside}",
            "KAFKA_HEAP": "-Xms64m -Xmx320m",
        }

    def start(self, password: str) -> subprocess.Popen[bytes]:
        (self._folder / "data").mkdir(exist_ok=True)
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                ["/bin/sh", self._folder / "start.sh", self._folder / "data"],
                env={**self._environment, "KAFKA_PASSWORD": password},
                stdout=log,
                stderr=log,
            )

    def said(self) -> str:
        return (self._folder / "log").read_text()

    def wait_for(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LONGEST_START_S
        while READY not in self.said():
            assert process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.2)

    def section(self, password: str) -> KafkaSection:
        login = KafkaLogin.model_validate({"username": "seacanary", "password": password})
        return KafkaSection(bootstrap_servers=(f"127.0.0.1:{self.outside}",), login=login, partitions=2)


def test_the_broker_of_compose_knows_its_user_and_keeps_its_records(tmp_path: Path) -> None:
    container = Container(tmp_path / "container")
    for _ in range(2):  # the second time on the folder that the first has left
        process = container.start(PASSWORD)
        try:
            container.wait_for(process)
            assert asyncio.run(make_topics(container.section(PASSWORD))) == ()
            with pytest.raises(ClusterUnreachable):
                asyncio.run(make_topics(container.section("wr0ng")))
            shown = [Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ")]
            assert PASSWORD not in "".join(shown), "unset before the broker's program takes over"
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.parametrize(("password", "why"), [("", "is empty"), ("a b", "letters and digits only")])
def test_the_broker_of_compose_wants_a_password(tmp_path: Path, password: str, why: str) -> None:
    container = Container(tmp_path / "container")
    assert container.start(password).wait(10) == 2
    assert why in container.said()
