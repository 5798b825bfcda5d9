"""The doctor and real parts: a Redis, a receiver, a full disk, ALSA devices, a station that runs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from faulty_station import FaultyStation, wrong
from hydro_device import build_plugin, write_alsa_conf
from redis_server import RedisServer, free_port
from seacanary.doctor.findings import Finding
from webhook_receiver import OTHER_SECRET, SECRET, Received, Receiver, Reply

pytestmark = pytest.mark.system

COMMAND = [sys.executable, "-m", "seacanary.cli"]
DISK_BYTES = 8 << 20
CARD = {"kind": "soundcard", "device": "hydro384", "hydrophones": ["deep"], "sample_rate_hz": 384_000}


@pytest.fixture
def station(tmp_path: Path) -> FaultyStation:
    return FaultyStation(tmp_path)


def of(findings: list[Finding], severity: str) -> Finding:
    """The one finding of that severity; the clock of a test machine is its own affair."""
    (finding,) = [finding for finding in wrong(findings) if finding.severity == severity]
    return finding


def redis_publisher(server: RedisServer, **more: object) -> dict[str, Any]:
    return {"publishers": [{"kind": "redis_streams", "url": server.url, **more}]}


def test_a_redis_that_is_well_is_said_to_be(station: FaultyStation, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        findings = station.found(**redis_publisher(server))
    assert wrong(findings) == []
    assert any("0 entries, eviction noeviction" in finding.seen for finding in findings)


def test_a_redis_that_asks_for_another_password(station: FaultyStation, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", "--requirepass", "right") as server:
        url = server.url.replace("redis://", "redis://:wrong-one@")
        finding = of(station.found(publishers=[{"kind": "redis_streams", "url": url}]), "broken")
    assert "does not let this user in" in finding.means
    assert "correct user and password" in finding.remedy
    assert "wrong-one" not in str(finding)


def test_a_redis_user_with_the_rights_of_a_publisher_alone_is_well(station: FaultyStation, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    with RedisServer(tmp_path / "redis") as server:
        rights = ["on", ">s3cret", "~*", "+@stream", "+@transaction", "+hset"]
        command = ["redis-cli", "-u", server.url, "ACL", "SETUSER", "canary", *rights]
        subprocess.run(command, check=True, capture_output=True)
        url = server.url.replace("redis://", "redis://canary@")
        publisher = {"kind": "redis_streams", "url": url, "password_file": str(file)}
        findings = station.found(publishers=[publisher])
    assert not [finding for finding in wrong(findings) if "redis" in finding.name]
    assert any("may not ask Redis for more" in finding.seen for finding in findings)


def test_a_redis_in_which_another_program_has_our_key(station: FaultyStation, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        subprocess.run(["redis-cli", "-u", server.url, "RPUSH", "whales", "x"], check=True, capture_output=True)
        finding = of(station.found(**redis_publisher(server, stream="whales")), "broken")
    assert "the key whales of redis://127.0.0.1" in finding.seen
    assert "name another one under `stream`" in finding.remedy


def test_a_redis_that_may_throw_the_stream_away(station: FaultyStation, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        finding = of(station.found(**redis_publisher(server)), "warning")
    assert "allkeys-lru" in finding.seen
    assert "maxmemory-policy noeviction" in finding.remedy


def test_a_redis_that_is_a_replica(station: FaultyStation, tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "primary") as primary,
        RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(primary.port)) as replica,
    ):
        finding = of(station.found(**redis_publisher(replica)), "broken")
    assert "is a replica" in finding.seen
    assert "name the primary" in finding.remedy


def signed(request: Received) -> Reply:
    try:
        request.verified(OTHER_SECRET)
    except Exception:  # noqa: BLE001  # whatever is wrong with the signature
        return Reply(401, body=b"signature does not match")
    return Reply()


def test_a_receiver_that_knows_another_secret(station: FaultyStation) -> None:
    hook = {"kind": "webhook", "name": "hook", "secret": SECRET, "allow_private_networks": True}
    with Receiver(signed) as receiver:
        publishers = [{**hook, "url": receiver.url}]
        quiet = station.found(publishers=publishers)
        assert not receiver.received
        finding = of(station.found(send=True, publishers=publishers), "broken")
    assert not [f for f in wrong(quiet) if f.name == "webhook hook"]
    assert "401" in finding.seen
    assert "compare secret and path" in finding.remedy


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("a tmpfs can be mounted by root only, and not in every container")
    try:
        with (folder / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, DISK_BYTES)
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full(station: FaultyStation, tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk") as disk:
        findings = wrong(station.found(journal={"path": str(disk / "journal.db")}))
    seen = {finding.name: finding for finding in findings}
    assert "No space left on device" in seen["folder of journal"].seen
    assert "make room" in seen["disk of journal"].remedy


@pytest.fixture
def hydrophones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALSA device hydro384: full-scale noise at 384 kHz."""
    noise = np.random.default_rng(20).integers(-(2**23), 2**23, 8 * 384_000, dtype=np.int32) << 8
    noise.astype("<i4").tofile(tmp_path / "hydro384.raw")
    conf = write_alsa_conf(tmp_path, build_plugin(tmp_path), {"hydro384": (384_000, 1, "S32_LE")})
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(conf))


@pytest.mark.usefixtures("hydrophones")
def test_the_true_rate_of_a_real_capture_is_measured_and_clipping_is_told(station: FaultyStation) -> None:
    findings = station.found(sources=[CARD])
    (heard,) = [finding for finding in findings if "samples/s by this clock" in finding.seen]
    rate_hz = int(heard.seen.partition("(")[2].partition(" ")[0].replace(",", ""))
    assert rate_hz == pytest.approx(384_000, rel=0.01)
    assert "reached full scale" in of(findings, "warning").seen


@pytest.mark.usefixtures("hydrophones")
def test_a_rate_that_the_device_does_not_have(station: FaultyStation) -> None:
    finding = of(station.found(sources=[{**CARD, "sample_rate_hz": 96_000}]), "broken")
    assert "96000" in finding.seen.replace(",", "")
    assert "seacanary devices" in finding.remedy


@pytest.mark.usefixtures("hydrophones")
def test_a_device_that_is_called_otherwise(station: FaultyStation) -> None:
    finding = of(station.found(sources=[{**CARD, "device": "UltraMic"}]), "broken")
    assert "UltraMic" in finding.seen
    assert "seacanary devices" in finding.remedy


@pytest.mark.slow
def test_beside_a_station_that_runs_it_asks_the_station(tmp_path: Path) -> None:
    sea = {"kind": "simulated", "hydrophones": ["sea"], "sample_rate_hz": 384_000, "pace": "realtime"}
    tree = {
        "station": {"name": "asked"},
        "sources": [sea],
        "journal": {"path": str(tmp_path / "journal.db")},
        "metrics": {"port": free_port()},
    }
    config = tmp_path / "station.yaml"
    config.write_text(yaml.safe_dump(tree))
    station = subprocess.Popen([*COMMAND, "run", str(config), "--json"], stdout=subprocess.DEVNULL)
    try:
        told = _told_while_running(config, station)
    finally:
        station.send_signal(signal.SIGINT)
        station.wait(60)
    seen = {finding["name"]: finding["seen"] for finding in told["findings"]}
    assert "and doing its work" in seen["station"]
    assert "in use by the running process, as it should be, and delivering" in seen["source 0-simulated"]
    assert "while it runs with 1 hydrophones" in seen["CPU"]
    assert told["exit_code"] in (0, 1)


def _told_while_running(config: Path, station: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the doctor says, once the station has begun its work."""
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s and station.poll() is None:
        light = subprocess.run(
            [*COMMAND, "doctor", str(config), "--json", "--skip", "model", "--skip", "capacity"],
            capture_output=True, check=False, timeout=100,
        )  # fmt: skip
        if b"and doing its work" in light.stdout:
            break
    whole = subprocess.run([*COMMAND, "doctor", str(config), "--json"], capture_output=True, check=False, timeout=200)
    told: dict[str, Any] = json.loads(whole.stdout)
    assert whole.returncode == told["exit_code"]
    return told
