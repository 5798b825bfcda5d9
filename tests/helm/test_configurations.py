"""The configuration that a pod reads is one that the service accepts, with the secrets that the pod has."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from helm_chart import ROLES, config_of, objects, pod_of
from helm_values import COMBINATIONS
from redis_server import free_port
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, StationConfig, read_config

EVERY = {**ROLES, **COMBINATIONS}
CONFIGURATIONS: Mapping[str, type[Configuration]] = {
    "station": StationConfig,
    "edge": EdgeConfig,
    "worker": WorkerConfig,
    "delivery": WorkerConfig,
}
SECRETS = "/run/secrets/seacanary"
# What stands in the Secrets that pods name.
VARIABLES = {
    "KAFKA_USERNAME": "canary",
    "REDIS_PASSWORD": "p4ss",
    "REDIS_URL": "rediss://:p4ss@redis.example.org:6380/1",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq=",
}


@pytest.mark.parametrize("values", EVERY.values(), ids=EVERY)
def test_the_service_accepts_it(values: Mapping[str, Any], tmp_path: Path, authority: Path) -> None:
    trees = objects(values)
    [container] = pod_of(trees)["spec"]["containers"]
    given = {variable["name"] for variable in container["env"]} | (
        {"WEBHOOK_SECRET"} if "envFrom" in container else set()
    )
    text = _with_secrets(config_of(trees), pod_of(trees), tmp_path, authority)
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    environment = {name: value for name, value in VARIABLES.items() if name in given}
    config = read_config(file, environment, model=CONFIGURATIONS[values["role"]])
    assert _ports(config) <= {port["containerPort"] for port in container["ports"]}


@pytest.mark.parametrize("role", ROLES)
def test_check_says_that_it_is_good(role: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(config_of(objects(ROLES[role])), encoding="utf-8")
    kind = {"delivery": "worker"}.get(role, role)
    command = [Path(sys.executable).with_name("seacanary"), "check", file, "--role", kind]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("role", "stages"), [("worker", ("infer", "track")), ("delivery", ("deliver", "fleet"))])
def test_workers_and_delivery_share_the_stages(role: str, stages: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(config_of(objects(ROLES[role])), encoding="utf-8")
    assert read_config(file, model=WorkerConfig).worker.roles == stages


def test_a_station_answers_its_probes_and_is_ready(tmp_path: Path) -> None:
    values = {
        "role": "station",
        "listenOn": "127.0.0.1",
        "metrics": {"port": free_port()},
        "web": {"port": free_port()},
    }
    trees = objects(values)
    [container] = pod_of(trees)["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    file = tmp_path / "config.yaml"
    file.write_text(config_of(trees).replace("/var/lib/seacanary", str(tmp_path)), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("seacanary")), container["args"][0], str(file), "--seconds", "90"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as station:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert _answers(f"http://127.0.0.1:{ports[asked['port']]}{asked['path']}"), probe
        station.send_signal(signal.SIGTERM)
        assert station.wait(timeout=100) == 0


def _answers(url: str) -> bool:
    """Whether it says 200 within a minute."""
    for _ in range(600):
        with suppress(URLError, ConnectionError), urlopen(url, timeout=5):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that stands for any."""
    folder = tmp_path_factory.mktemp("authority")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "ca.pem"


def _with_secrets(text: str, pod: Mapping[str, Any], folder: Path, authority: Path) -> str:
    """The mounted files of Secrets, laid into a folder in place of the container's."""
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for mount in pod["spec"]["containers"][0]["volumeMounts"]:
        if not mount["mountPath"].startswith(SECRETS):
            continue
        place = folder / mount["mountPath"].removeprefix(SECRETS + "/")
        place.mkdir(parents=True)
        for item in volumes[mount["name"]]["secret"]["items"]:
            (place / item["path"]).write_bytes(authority.read_bytes())
    named = set(re.findall(rf"{SECRETS}/(\S+)", text))
    assert {str(path.relative_to(folder)) for path in folder.glob("*/*")} == named
    return text.replace(SECRETS, str(folder))


def _ports(config: Configuration) -> set[int]:
    """All that the process will listen on and others are to reach."""
    match config:
        case StationConfig():
            return {config.metrics.port} | ({config.web.port} if config.web else set())
        case WorkerConfig():
            return {config.metrics.port} | ({config.worker.port} if "fleet" in config.worker.roles else set())
    raise AssertionError(type(config))
