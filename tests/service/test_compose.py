"""deploy/compose.yaml, as far as it can be judged without a container engine."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import seacanary
from seacanary.config import read_config

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
PASSWORDS = {"REDIS_PASSWORD": "r3dis", "GRAFANA_ADMIN_PASSWORD": "gr4fana"}
KAFKA_PASSWORD = "k4fka"  # needed only if Kafka is asked for
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolated(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file as compose reads it: ${NAME:-default}, ${NAME:?message}, $$ for a dollar sign."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if environment.get(name):
            return environment[name]
        if operator == "?":
            raise KeyError(f"{name}: {word}")
        assert operator == "-", f"{match[0]} is neither required nor has a default"
        return str(word)

    tree = yaml.safe_load(VARIABLE.sub(value, TEXT).replace("$$", "$"))
    assert isinstance(tree, dict)
    return tree


COMPOSE = interpolated({**PASSWORDS, "KAFKA_PASSWORD": KAFKA_PASSWORD})
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


def test_it_is_valid_by_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_starts_what_a_station_needs() -> None:
    assert SERVICES.keys() == {"redis", "prometheus", "alertmanager", "grafana", "seacanary", "kafka"}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"kafka"}


def test_kafka_is_of_the_version_that_is_tested() -> None:
    pom = (DEPLOY / "kafka" / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.*)</kafka.version>", pom)
    assert version is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version[1]}"


@each_service
def test_every_image_is_pinned_to_a_release(name: str) -> None:
    assert re.fullmatch(r"[a-z]+(/[a-z]+)?:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_our_own_image_is_of_this_version() -> None:
    assert SERVICES["seacanary"]["image"] == f"seacanary:{seacanary.__version__}"


@each_service
def test_every_port_is_published_on_loopback_unless_opened(name: str) -> None:
    opened = interpolated({**PASSWORDS, "SEACANARY_BIND": "0.0.0.0"})["services"][name]
    for closed_port, opened_port in zip(SERVICES[name].get("ports", []), opened.get("ports", []), strict=True):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", closed_port)
        assert opened_port.startswith("0.0.0.0:")
    assert SERVICES[name].get("network_mode") is None


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("value", [None, ""])
def test_without_a_password_it_is_refused(name: str, value: str | None) -> None:
    environment = {k: v for k, v in PASSWORDS.items() if k != name} | ({} if value is None else {name: value})
    with pytest.raises(KeyError, match=name):
        interpolated(environment)


def test_no_password_stands_in_the_file_or_its_example() -> None:
    example = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert example == dict.fromkeys(PASSWORDS, "")
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET(?!S)", key) or "://:" in value:
                assert any(password in value for password in (*PASSWORDS.values(), KAFKA_PASSWORD)), key


def test_the_example_names_every_variable_with_its_default() -> None:
    optional = {name: default for name, operator, default in VARIABLE.findall(TEXT) if operator == "-"}
    documented = re.findall(r"^# ([A-Z_]+)=(\S*)", (DEPLOY / ".env.example").read_text(), re.MULTILINE)
    assert dict(documented) == optional


@each_service
def test_every_service_is_watched_restarted_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert service["restart"] == "unless-stopped"
    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()


@each_service
def test_every_service_has_as_few_rights_as_can_be(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    assert all("noexec" in mount for mount in service.get("tmpfs", []))
    if name != "seacanary":  # whose Dockerfile names its user
        assert service["user"].partition(":")[0] not in ("0", "root")


@each_service
def test_what_is_mounted_exists_and_only_volumes_can_be_written(name: str) -> None:
    for mount in SERVICES[name]["volumes"]:
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert rest.endswith(":ro"), mount
        else:
            assert source in COMPOSE["volumes"]


def test_every_volume_is_used() -> None:
    used = {mount.partition(":")[0] for service in SERVICES.values() for mount in service["volumes"]}
    assert COMPOSE["volumes"].keys() <= used


def test_the_station_it_starts_is_valid_and_named_as_prometheus_calls_it() -> None:
    config = read_config(DEPLOY / "seacanary" / "station.yaml", SERVICES["seacanary"]["environment"])
    (target,) = yaml.safe_load((DEPLOY / "prometheus" / "targets-compose" / "stations.yml").read_text())
    assert target["labels"]["station"] == config.station.name
    assert target["targets"] == [f"seacanary:{config.metrics.port}"]
    assert SERVICES["seacanary"]["expose"] == [str(config.metrics.port)]
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text()
    assert f"SEACANARY_METRICS_PORT={config.metrics.port}" in dockerfile  # what its health check asks
    assert SERVICES["seacanary"]["healthcheck"]["test"][-1] in dockerfile


def test_targets_are_services_of_this_file() -> None:
    for path in (DEPLOY / "prometheus" / "targets-compose").iterdir():
        for group in yaml.safe_load(path.read_text()):
            for target in group["targets"]:
                assert target.partition(":")[0] in {*SERVICES, "127.0.0.1"}


def test_grafana_lets_nobody_in_unasked_and_gets_all_that_its_provisioning_asks_for() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    for path in (DEPLOY / "grafana" / "provisioning").rglob("*.yaml"):
        text = "\n".join(line.partition("#")[0] for line in path.read_text().splitlines())
        assert yaml.safe_load(text)["apiVersion"] == 1
        assert set(re.findall(r"\$(\w+)", text)) <= environment.keys()


def test_grafana_finds_dashboards_where_its_provisioning_looks() -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/seacanary.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] == "$SEACANARY_DASHBOARDS"
    folder = SERVICES["grafana"]["environment"]["SEACANARY_DASHBOARDS"]
    (source,) = [m.partition(":")[0] for m in SERVICES["grafana"]["volumes"] if m.endswith(f":{folder}:ro")]
    assert list((DEPLOY / source).glob("*.json"))


def test_the_image_is_built_from_a_target_that_exists() -> None:
    build = SERVICES["seacanary"]["build"]
    dockerfile = ((DEPLOY / build["context"]).resolve() / build.get("dockerfile", "Dockerfile")).read_text()
    assert f" AS {build['target']}\n" in dockerfile
