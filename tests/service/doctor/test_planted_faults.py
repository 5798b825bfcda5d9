"""Faults planted one by one in a station that has none: the doctor finds each, and names the remedy.

Those that need a real server, device or disk are in tests/system/test_doctor.py.
"""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime as ort
import pytest

from event_samples import event
from fakes import tiny_contract, write_tiny_model
from faulty_station import FaultyStation, pcm_sender, wrong
from redis_server import free_port
from seacanary.cluster.fleet_store import FleetStore
from seacanary.cluster.section import WorkerSection
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import read_config
from seacanary.doctor.capacity import headroom, memory
from seacanary.doctor.configuration import configuration
from seacanary.doctor.coverage import coverage
from seacanary.doctor.deliveries import deliveries
from seacanary.doctor.disks import Disk, judged
from seacanary.doctor.findings import Finding, Severity
from seacanary.doctor.journal import journals
from seacanary.doctor.listening import Attempt
from seacanary.doctor.measuring import Measured
from seacanary.doctor.model import fits
from seacanary.doctor.permissions import permissions
from seacanary.doctor.running import running
from seacanary.doctor.sources import judged as judged_source
from seacanary.doctor.subject import Running, Subject
from seacanary.doctor.timekeeping import timekeeping
from seacanary.doctor.versions import versions
from seacanary.evidence.retention import EvidenceRetention
from seacanary.health import digest_of
from seacanary.journal_store import JournalStore
from seacanary.ntp import NtpState
from seacanary.sources.alsa import AlsaSection
from webhook_receiver import SECRET, Receiver

ALSA = {"kind": "alsa", "device": "hw:CARD=U", "hydrophones": ["deep"], "sample_rate_hz": 384_000}
GIB = 2**30


class Expected(NamedTuple):
    """How a fault must show."""

    severity: Severity
    seen: str
    remedy: str


Plant = Callable[[FaultyStation, pytest.MonkeyPatch], list[Finding]]
FAULTS: dict[str, tuple[Plant, Expected]] = {}


def fault(severity: Severity, *, seen: str, remedy: str) -> Callable[[Plant], Plant]:
    """Put a fault into the table; what it returns is what the doctor found."""

    def put(plant: Plant) -> Plant:
        FAULTS[plant.__name__] = (plant, Expected(severity, seen, remedy))
        return plant

    return put


def subject_of(station: FaultyStation, **sections: Any) -> Subject:
    path = station.write(**sections)
    return Subject(path, read_config(path))


def run_of(subject: Subject, **health: Any) -> Running:
    """A running station that says this of itself."""
    assert subject.config is not None
    well = {
        "ready": True, "running_s": 4000.0, "versions": {"seacanary": metadata.version("seacanary")},
        "config": digest_of(subject.config),
    }  # fmt: skip
    return Running(holds=True, health={**well, **health})


def here(monkeypatch: pytest.MonkeyPatch, *, listen_s: float = 2.0) -> None:
    """Load models and hear sources in this process, and not for long: what is apart is tested in test_apart.py."""
    for module in ("model", "sources"):
        monkeypatch.setattr(f"seacanary.doctor.{module}.apart", lambda call, limit_s: call())
    monkeypatch.setattr("seacanary.doctor.listening.LISTEN_S", listen_s)


def with_events(station: FaultyStation, *, entry_s: float, dead: bool = False) -> Path:
    """A journal of two events, of which the second was refused or waits."""
    with JournalStore.open(station.journal) as store:
        entries = store.append([event(1), event(2)], states={}, done=(), now=lambda: entry_s)
        store.move_cursor("jsonl", 1)
        if dead:
            store.dead_letter("jsonl", entries[1], "404 Not Found")
    return station.journal


@fault("broken", seen=r"supervison: unknown field.*did you mean supervision", remedy="seacanary schema")
def misspelt_field(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(supervison={"stall_s": 3})


@fault("broken", seen="environment variable REDIS_PASSWORD is not set", remedy="EnvironmentFile=")
def variable_not_set(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[{"kind": "redis_streams", "url": "redis://:${REDIS_PASSWORD}@127.0.0.1"}])


@fault("warning", seen=r"holds secrets and others may read it \(mode 644\)", remedy="chmod 600")
def secret_for_all_to_read(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    hook = {"kind": "webhook", "name": "hook", "url": "https://example.org/hook", "secret": SECRET}
    subject = subject_of(station, publishers=[hook])
    station.file.chmod(0o644)
    return list(configuration(subject))


@fault("warning", seen=r"others may read .*url \(mode 640\)", remedy="chmod 600")
def secret_file_for_others_to_read(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    file = station.folder / "url"
    file.write_text("json://127.0.0.1/")
    file.chmod(0o640)
    return station.found(publishers=[{"kind": "notify", "url_file": str(file)}])


@fault("broken", seen=r"no sound card matches 'UltraMic'|PortAudio cannot be loaded", remedy="seacanary devices")
def device_not_there(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    card = {"kind": "soundcard", "device": "UltraMic", "hydrophones": ["deep"], "sample_rate_hz": 384_000}
    return station.found(sources=[card])


@fault("broken", seen=r"may not use .*pcmC0D0c", remedy="usermod -aG audio")
def no_right_to_the_device(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    (station.folder / "pcmC0D0c").touch()
    return list(permissions(subject_of(station, sources=[ALSA]), devices=station.folder, usable=lambda _: False))


@fault("broken", seen="Device or resource busy", remedy="stop that program")
def device_of_another_program(_: FaultyStation, __: pytest.MonkeyPatch) -> list[Finding]:
    busy = Attempt({}, "ALSA device 'hw:1' cannot be opened: Device or resource busy [hw:1]", "lost")
    return list(judged_source("source 0-alsa", AlsaSection.model_validate(ALSA), busy))


@fault(
    "broken", seen=r"configured for 48,000 Hz and really delivers 4[34],\d{3} samples/s", remedy="set sample_rate_hz"
)
def rate_that_is_not_the_devices(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    here(monkeypatch)
    with pcm_sender(44_100) as port:
        return station.found(sources=[tcp(port)])


@fault("warning", seen="h1 delivers zeros alone", remedy="preamplifier's power")
def muted_input(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    here(monkeypatch, listen_s=0.5)
    with pcm_sender(48_000, level=0) as port:
        return station.found(sources=[tcp(port)])


@fault("broken", seen=r"tcp 127.0.0.1:\d+: Connect call failed", remedy="whether the sender runs")
def sender_that_is_away(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    here(monkeypatch)
    return station.found(sources=[tcp(free_port())])


@fault("broken", seen="is not there", remedy="mount its disk or make the folder")
def recordings_that_are_gone(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(sources=[{"kind": "files", "path": str(station.folder / "nowhere")}])


@fault("warning", seen=r"4,000 Hz carries whistle; porpoise_click \(porpoise\) needs 6,000 Hz", remedy="sample_rate_hz")
def rate_too_low_for_a_call_type(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    subject = subject_of(station, sources=[{**ALSA, "sample_rate_hz": 4000}])
    return list(coverage(replace(subject, contract=tiny_contract())))


@fault("broken", seen="about porpoise_click, which none of its hydrophones can carry", remedy="higher sample rate")
def alert_rule_that_can_never_fire(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    rules = {"rules": [{"name": "porpoises", "species": ["porpoise"]}]}
    subject = subject_of(station, sources=[{**ALSA, "sample_rate_hz": 4000}], alerts=rules)
    return list(coverage(replace(subject, contract=tiny_contract())))


@fault("broken", seen="orca", remedy="use the names that the message lists")
def species_the_model_does_not_know(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    subject = subject_of(station, presence={"species": {"orca": {}}})
    return list(fits(subject.config, tiny_contract()))


@fault("warning", seen="nobody keeps it", remedy="chrony")
def clock_that_nobody_keeps(_: FaultyStation, __: pytest.MonkeyPatch) -> list[Finding]:
    return list(timekeeping(Subject(), ntp=lambda: NtpState(False, 16.0, 16.0)))


@fault("broken", seen="1970-01-01", remedy="timedatectl set-time")
def clock_that_was_never_set(_: FaultyStation, __: pytest.MonkeyPatch) -> list[Finding]:
    return list(timekeeping(Subject(), ntp=lambda: NtpState(True, 0.0, 0.0), now_s=lambda: 60.0))


@fault("broken", seen="carries 9.0 hydrophones in real time, the configuration has 12", remedy="fewer hydrophones")
def more_hydrophones_than_the_cpu_carries(_: FaultyStation, __: pytest.MonkeyPatch) -> list[Finding]:
    return [headroom(9.0, 12, running=False)]


@fault("broken", seen="300 MiB of 1,024 MiB are available; a run of the model took 400 MiB", remedy="higher limit")
def memory_that_does_not_suffice(_: FaultyStation, __: pytest.MonkeyPatch) -> list[Finding]:
    return list(memory(Measured(9.0, 400 * 2**20), running=False, look=lambda: (2**30, 300 * 2**20)))


@fault("broken", seen=r"0.50 of 100.00 GiB are free", remedy="retention.max_bytes")
def disk_on_which_evidence_has_stopped(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    disk = Disk(free_bytes=GIB // 2, disk_bytes=100 * GIB, free_files=1000)
    return [judged({"evidence": station.folder}, disk, EvidenceRetention(), 0.0)]


@fault("warning", seen="it fills by 5.00 GiB an hour, which lasts 10 hours", remedy="max_age_days")
def disk_that_is_full_tonight(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    disk = Disk(free_bytes=52 * GIB, disk_bytes=500 * GIB, free_files=None)
    return [judged({"evidence": station.folder}, disk, EvidenceRetention(), 5.0 * GIB)]


@fault("broken", seen="is a file", remedy="move that file away")
def file_in_the_place_of_a_folder(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    (station.folder / "clips").touch()
    return station.found(evidence={"path": str(station.folder / "clips" / "today")})


@fault("broken", seen="model.onnx: ONNX Runtime cannot load it", remedy="exported files there again")
def model_that_is_cut_off(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    here(monkeypatch)
    model = write_tiny_model(station.folder / "model")
    os.truncate(model / "model.onnx", 300)
    return station.found(heavy=True, skip=["capacity"], model={"path": str(model)})


@fault("broken", seen="carry different contracts", remedy="exported files there again")
def parts_of_two_models(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    here(monkeypatch)
    model = write_tiny_model(station.folder / "model")
    other = write_tiny_model(station.folder / "other", tiny_contract(model_id="tiny-2"))
    shutil.copy(other / "model.onnx", model)
    return station.found(heavy=True, skip=["capacity"], model={"path": str(model)})


@fault("warning", seen="asks for cuda first; it really runs on CPUExecutionProvider", remedy="seacanary\\[gpu\\]")
def gpu_that_is_not_there(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    here(monkeypatch)
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this machine may have a GPU")
    model = write_tiny_model(station.folder / "model")
    return station.found(heavy=True, skip=["capacity"], model={"path": str(model), "providers": ["cuda", "cpu"]})


@fault("broken", seen="Connection refused", remedy="redis-cli ping")
def redis_that_is_away(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[{"kind": "redis_streams", "url": f"redis://127.0.0.1:{free_port()}"}])


@fault("broken", seen="ClusterUnreachable|KafkaConnectionError|Unable to bootstrap", remedy="bootstrap_servers")
def kafka_that_is_away(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    pytest.importorskip("aiokafka")
    brokers = {"bootstrap_servers": [f"127.0.0.1:{free_port()}"]}
    return station.found(publishers=[{"kind": "kafka", "kafka": brokers}])


@fault("broken", seen="Connection refused", remedy="whether the receiver runs")
def webhook_that_nobody_answers(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[hook(f"http://127.0.0.1:{free_port()}/")])


@fault("broken", seen="certificate is refused: self-signed certificate", remedy="ca_file")
def certificate_that_nobody_signed(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with Receiver(tls=certificate(station.folder)) as receiver:
        return station.found(publishers=[hook(receiver.url)])


@fault("broken", seen="cannot be resolved", remedy="correct the host")
def name_that_there_is_not(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[hook("https://nowhere.invalid/")])


@fault("broken", seen="loopback", remedy="allow_private_networks")
def webhook_into_its_own_network(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    return station.found(publishers=[{**hook("https://example.org/"), "allow_private_networks": False}])


@fault("broken", seen="a test message was not taken", remedy="tokens, addresses and rights")
def channel_that_takes_nothing(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(send=True, publishers=[{"kind": "notify", "url": f"json://127.0.0.1:{free_port()}"}])


@fault("broken", seen="is damaged", remedy=".recover")
def journal_with_a_hole(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    path = with_events(station, entry_s=time.time())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    return station.found()


@fault("broken", seen=r"is of version 999, this seacanary knows up to \d+", remedy="newer version again")
def journal_of_a_newer_version(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with sqlite3.connect(with_events(station, entry_s=time.time())) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    return station.found()


@fault("broken", seen="SQLite file of another program", remedy="another path")
def journal_that_is_none(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    station.journal.parent.mkdir()
    with sqlite3.connect(station.journal) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    return station.found()


@fault("broken", seen=r"hours.db is of version 999, this seacanary knows up to \d+", remedy="newer version again")
def hours_of_a_newer_version(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    section = WorkerSection(data=station.folder)
    FleetStore.open(section.hours).close()
    with sqlite3.connect(section.hours) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    return list(journals(Subject(config=WorkerConfig(worker=section))))


@fault("broken", seen=r"1 events wait, the oldest for 3 days.*timed out", remedy="go out by themselves")
def publisher_that_lags(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with_events(station, entry_s=time.time() - 3 * 86_400)
    subject = subject_of(station, publishers=[jsonl(station)])
    return list(deliveries(replace(subject, running=run_of(subject, publishers={"jsonl": {"trouble": "timed out"}}))))


@fault("warning", seen="1 events were refused for good", remedy="webhooks deadletters list")
def dead_letters(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with_events(station, entry_s=time.time(), dead=True)
    return station.found(publishers=[jsonl(station)])


@fault("broken", seen="cannot be listened on: Address already in use", remedy="set another metrics.port")
def port_of_another_program(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setattr("seacanary.doctor.running.ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as other:
        return station.found(metrics={"port": other.getsockname()[1]})


@fault("broken", seen="source 0-alsa is lost: unplugged", remedy="see the finding of that source")
def running_and_deaf(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    subject = subject_of(station)
    deaf = run_of(subject, ready=False, unready=["source 0-alsa is lost: unplugged"])
    return list(running(replace(subject, running=deaf)))


@fault("unknown", seen="does not answer at /health", remedy="restart it")
def running_and_hanging(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with JournalStore.open(station.journal):
        return station.found()


@fault("warning", seen="version 0.0.1 is running", remedy="restart it")
def upgraded_and_not_restarted(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    subject = subject_of(station)
    return list(running(replace(subject, running=run_of(subject, versions={"seacanary": "0.0.1"}))))


@fault("warning", seen="another configuration than the file has now", remedy="seacanary check")
def changed_and_not_restarted(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    subject = subject_of(station)
    return list(running(replace(subject, running=run_of(subject, config="0123456789abcdef"))))


@fault("warning", seen="5.0% of its audio was shed", remedy="seacanary bench")
def running_and_too_slow(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    samples = {"elapsed": 1000, "shed": 50, "lost": 0}
    subject = subject_of(station)
    slow = run_of(subject, streams={"deep": {"samples": samples, "gaps": 0, "drift_ppm": 1.0}})
    return list(running(replace(subject, running=slow)))


@fault("broken", seen="redis 1.0 is installed, >=6 is needed", remedy="pip install --upgrade")
def library_of_long_ago(_: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.0" if name == "redis" else real(name))
    return list(versions(Subject()))


def tcp(port: int) -> dict[str, Any]:
    return {"kind": "tcp", "port": port, "hydrophones": ["h1"], "sample_rate_hz": 48_000}


def hook(url: str) -> dict[str, Any]:
    return {"kind": "webhook", "name": "hook", "url": url, "secret": SECRET, "allow_private_networks": True}


def jsonl(station: FaultyStation) -> dict[str, Any]:
    return {"kind": "jsonl", "path": str(station.folder / "events.jsonl")}


def certificate(folder: Path) -> Path:
    """Key and self-signed certificate for this machine, in one file."""
    file = folder / "tls.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*command, "-keyout", file, "-out", folder / "cert.pem"], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (folder / "cert.pem").read_bytes())
    return file


@pytest.fixture
def station(tmp_path: Path) -> Iterator[FaultyStation]:
    before = os.umask(0o077)
    yield FaultyStation(tmp_path)
    os.umask(before)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_its_remedy_named(
    name: str, station: FaultyStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, expected = FAULTS[name]
    findings = [finding for finding in plant(station, monkeypatch) if finding.severity != "ok"]
    hits = [finding for finding in findings if re.search(expected.seen, finding.seen)]
    assert hits, f"not found among: {findings}"
    assert hits[0].severity == expected.severity
    assert re.search(expected.remedy, hits[0].remedy)
    assert hits[0].means
    assert SECRET not in str(findings)


def test_a_station_without_a_fault_has_none(station: FaultyStation) -> None:
    assert wrong(station.found(publishers=[jsonl(station)])) == []


def test_events_that_wait_while_nothing_runs_are_no_fault(station: FaultyStation) -> None:
    with_events(station, entry_s=datetime.now(UTC).timestamp() - 60)
    assert wrong(station.found(publishers=[jsonl(station)])) == []
