"""Faults of the program and its file, planted in a station that has none: each is found, its remedy named."""

import os
import shutil
import socket
from dataclasses import replace
from importlib import metadata

import onnxruntime as ort
import pytest

from fakes import tiny_contract, write_tiny_model
from faulty_station import FaultyStation, wrong
from planted_faults import Faults, here, jsonl, run_of, subject_of
from seacanary.doctor.configuration import configuration
from seacanary.doctor.findings import Finding
from seacanary.doctor.model import fits
from seacanary.doctor.running import running
from seacanary.doctor.subject import Subject
from seacanary.doctor.versions import versions
from seacanary.journal_store import JournalStore
from webhook_receiver import SECRET

FAULTS = Faults()
fault = FAULTS.fault


@fault("broken", seen=r"supervison: unknown field.*did you mean supervision", remedy="seacanary schema")
def misspelt_field(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(supervison={"stall_s": 3})


@fault("broken", seen="environment variable REDIS_PASSWORD is not set", remedy="EnvironmentFile=")
def variable_not_set(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[{"kind": "redis_streams", "url": "redis://:${REDIS_PASSWORD}@127.0.0.1"}])


@fault("warning", seen=r"others may read .*station.yaml, which holds a secret \(mode 644\)", remedy="chmod o-rwx")
def secret_for_all_to_read(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    hook = {"kind": "webhook", "name": "hook", "url": "https://example.org/hook", "secret": SECRET}
    subject = subject_of(station, publishers=[hook])
    station.file.chmod(0o644)
    return list(configuration(subject))


@fault("warning", seen=r"others may read .*url, which holds a secret \(mode 604\)", remedy="chmod o-rwx")
def secret_file_for_others_to_read(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    file = station.folder / "url"
    file.write_text("json://127.0.0.1/")
    file.chmod(0o604)
    return station.found(publishers=[{"kind": "notify", "url_file": str(file)}])


@fault("broken", seen="orca", remedy="use the names that the message lists")
def species_the_model_does_not_know(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    subject = subject_of(station, presence={"species": {"orca": {}}})
    return list(fits(subject.config, tiny_contract()))


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


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_its_remedy_named(
    name: str, station: FaultyStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS.check(name, station, monkeypatch)


def test_a_station_without_a_fault_has_none(station: FaultyStation) -> None:
    assert wrong(station.found(publishers=[jsonl(station)])) == []
