"""The servers of deploy/compose.yaml, as Debian ships them, started with its files and its very commands."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis import exceptions as redis_exceptions

from monitoring_servers import DEPLOY, alertmanager, prometheus, until, webhook_receiver
from redis_server import free_port

pytestmark = pytest.mark.system

PASSWORD = "s3cret"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None,
    reason="prometheus or prometheus-alertmanager is not installed",
)


def health(name: str, *changes: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a service's own health check, its addresses changed."""
    kind, *words = SERVICES[name]["healthcheck"]["test"]
    for old, new in changes:
        assert any(old in word for word in words), old
        words = [word.replace(old, new) for word in words]
    command = words if kind == "CMD" else ["sh", "-c", words[0].replace("$$", "$")]
    environment = {**os.environ, "REDIS_PASSWORD": PASSWORD}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=15)


@contextmanager
def redis(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Redis]]:
    """compose.yaml's own command; port, folder and address are this test's."""
    port = free_port()
    shell, flag, script = SERVICES["redis"]["command"]
    script = script.replace("$$", "$").replace("/etc/redis.conf", str(DEPLOY / "redis" / "redis.conf"))
    script = script.replace("redis-server -", f"redis-server - --port {port} --dir {folder} --bind 127.0.0.1")
    with (folder / "redis.log").open("ab") as log:
        server = subprocess.Popen(
            [shell, flag, script], env={**os.environ, "REDIS_PASSWORD": PASSWORD}, stdout=log, stderr=log
        )
    client = Redis(port=port, password=PASSWORD)
    try:
        until(lambda: answers(client), "Redis", within_s=10)
        yield server, client
    finally:
        client.close()
        server.kill()
        server.wait()


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except redis_exceptions.ConnectionError:
        return False


def port_of(client: Redis) -> int:
    return int(client.connection_pool.connection_kwargs["port"])


@needs_redis
def test_redis_wants_the_password_and_evicts_nothing(tmp_path: Path) -> None:
    with redis(tmp_path) as (server, client):
        with Redis(port=port_of(client)) as stranger, pytest.raises(redis_exceptions.AuthenticationError):
            stranger.ping()
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        command_line = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert PASSWORD.encode() not in command_line
        assert health("redis", ("redis-cli", f"redis-cli -p {port_of(client)}")).returncode == 0
    assert health("redis", ("redis-cli", f"redis-cli -p {port_of(client)}")).returncode != 0


@needs_redis
def test_redis_killed_keeps_what_it_was_given(tmp_path: Path) -> None:
    with redis(tmp_path) as (server, client):
        client.xadd("{seacanary}:events", {"event": "1"}, id="5-1")
        server.kill()
    with redis(tmp_path) as (_, client):
        assert client.xrange("{seacanary}:events") == [(b"5-1", {b"event": b"1"})]


@needs_prometheus
def test_health_checks_tell_a_server_that_answers_from_one_that_does_not(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with (
        webhook_receiver() as receiver,
        alertmanager(tmp_path, receiver, token="t") as manager,
        prometheus(tmp_path, {}) as watcher,
    ):
        assert health("alertmanager", ("http://127.0.0.1:9093", manager)).returncode == 0
        assert health("prometheus", ("http://127.0.0.1:9090", watcher)).returncode == 0
    assert health("alertmanager", ("http://127.0.0.1:9093", nowhere)).returncode != 0
    assert health("prometheus", ("http://127.0.0.1:9090", nowhere)).returncode != 0


@needs_prometheus
def test_prometheus_takes_the_options_of_the_container(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "etc", ignore=shutil.ignore_patterns("targets"))
    shutil.copytree(DEPLOY / "prometheus" / "targets-compose", tmp_path / "etc" / "targets")
    port = free_port()
    changes = {
        "/etc/prometheus": str(tmp_path / "etc"),
        "=/prometheus": f"={tmp_path / 'data'}",
        "${PROMETHEUS_RETENTION:-1y}": "1y",
        "0.0.0.0:9090": f"127.0.0.1:{port}",
    }
    options = SERVICES["prometheus"]["command"]
    for old, new in changes.items():
        assert any(old in option for option in options), old
        options = [option.replace(old, new) for option in options]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(["prometheus", *options], stdout=log, stderr=log)
    try:
        address = ("http://127.0.0.1:9090", f"http://127.0.0.1:{port}")
        until(lambda: health("prometheus", address).returncode == 0, "Prometheus", within_s=20)
    finally:
        server.terminate()
        server.wait(15)
