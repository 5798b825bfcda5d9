"""Who may read a secret: the station's own group may, as deploy/install.sh and the chart have it."""

import os
from pathlib import Path

import pytest

from faulty_station import FaultyStation
from planted_faults import hook, subject_of
from seacanary.doctor.configuration import configuration, let_in
from seacanary.doctor.findings import Finding
from webhook_receiver import SECRET

ROOT, SOMEBODY = 0, 1234
OURS, FOREIGN = 1000, 54_321


def found_with(station: FaultyStation, mode: int) -> list[Finding]:
    """What is amiss with a configuration that holds a secret, and has that mode."""
    subject = subject_of(station, publishers=[hook("https://example.org/hook")])
    station.file.chmod(mode)
    return [finding for finding in configuration(subject) if finding.severity != "ok"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o440])
def test_a_file_that_the_stations_group_reads_is_well(station: FaultyStation, mode: int) -> None:
    assert found_with(station, mode) == []


def test_a_secret_mounted_for_the_pods_group_is_well(station: FaultyStation) -> None:
    file = station.folder / "url"
    file.write_text("json://127.0.0.1/")
    file.chmod(0o440)
    subject = subject_of(station, publishers=[{"kind": "notify", "url_file": str(file)}])
    assert [finding.severity for finding in configuration(subject)] == ["ok"]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o641])
def test_others_lose_their_rights_and_the_station_keeps_its_own(station: FaultyStation, mode: int) -> None:
    (finding,) = found_with(station, mode)
    assert f"chmod o-rwx {station.file}" in finding.remedy
    assert "600" not in finding.remedy
    assert SECRET not in str(finding)


def test_a_group_that_is_not_the_stations_is_told_of_by_its_name(
    station: FaultyStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seacanary.doctor.configuration.let_in", lambda *_: "g")
    (finding,) = found_with(station, 0o640)
    assert "group " in finding.seen
    assert f"chmod g-rwx {station.file}" in finding.remedy


@pytest.mark.parametrize(
    ("mode", "owner", "group", "expected"),
    [
        (0o600, SOMEBODY, FOREIGN, ""),
        (0o640, SOMEBODY, OURS, ""),
        (0o640, SOMEBODY, FOREIGN, "g"),
        (0o644, SOMEBODY, FOREIGN, "go"),
        (0o644, SOMEBODY, OURS, "o"),
        (0o640, ROOT, FOREIGN, ""),  # root alone can have given it to that group, as deploy/install.sh does
        (0o644, ROOT, FOREIGN, "o"),
    ],
)
def test_whom_a_mode_lets_in(mode: int, owner: int, group: int, expected: str) -> None:
    status = os.stat_result((mode, 0, 0, 1, owner, group, 0, 0, 0, 0))
    assert let_in(status, frozenset({OURS})) == expected


def test_the_group_of_the_stations_folders_is_the_stations(station: FaultyStation, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root gives files to groups that it is not in")
    subject = subject_of(station, publishers=[hook("https://example.org/hook")])
    for path in (tmp_path, station.file):
        os.chown(path, SOMEBODY, FOREIGN)
    station.file.chmod(0o640)
    assert [finding.severity for finding in configuration(subject)] == ["ok"]
