"""Faults of sources, the machine and its disks, planted in a station that has none: each is found, its remedy named.

Those that need a real device or disk are in tests/system/test_doctor.py.
"""

from dataclasses import replace

import pytest

from fakes import tiny_contract
from faulty_station import FaultyStation, pcm_sender
from planted_faults import ALSA, Faults, here, subject_of, tcp
from redis_server import free_port
from seacanary.doctor.capacity import headroom, memory
from seacanary.doctor.coverage import coverage
from seacanary.doctor.disks import Disk, judged
from seacanary.doctor.findings import Finding
from seacanary.doctor.listening import Attempt
from seacanary.doctor.measuring import Measured
from seacanary.doctor.permissions import permissions
from seacanary.doctor.sources import judged as judged_source
from seacanary.doctor.subject import Subject
from seacanary.doctor.timekeeping import timekeeping
from seacanary.evidence.retention import EvidenceRetention
from seacanary.ntp import NtpState
from seacanary.sources.alsa import AlsaSection

GIB = 2**30
FAULTS = Faults()
fault = FAULTS.fault


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


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_its_remedy_named(
    name: str, station: FaultyStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS.check(name, station, monkeypatch)
