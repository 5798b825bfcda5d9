"""A rule is told to be without effect only where the rate of each of its hydrophones is known."""

from dataclasses import replace
from typing import Any

import pytest

from fakes import tiny_contract
from faulty_station import FaultyStation
from planted_faults import ALSA, run_of, subject_of
from seacanary.doctor.coverage import coverage
from seacanary.doctor.subject import Subject

# A rate that carries the tiny model's whistles, and not its porpoises.
DEAF_HZ, HEARING_HZ = 4000, 8000
CARD = {**ALSA, "sample_rate_hz": DEAF_HZ}
STREAM = {"kind": "url", "url": "rtsp://10.0.0.1/far", "hydrophones": ["far"]}


def subject_with(station: FaultyStation, *sources: dict[str, Any], **rule: Any) -> Subject:
    rules = {"rules": [{"name": "porpoises", "species": ["porpoise"], **rule}]}
    return replace(subject_of(station, sources=list(sources), alerts=rules), contract=tiny_contract())


def broken_rules(subject: Subject) -> list[str]:
    return [finding.name for finding in coverage(subject) if finding.severity == "broken"]


def test_nothing_is_said_while_the_rate_of_a_stream_is_not_known(station: FaultyStation) -> None:
    assert broken_rules(subject_with(station, CARD, STREAM)) == []


def test_nothing_is_said_of_recordings_that_are_not_there_yet(station: FaultyStation) -> None:
    inbox = station.folder / "inbox"
    inbox.mkdir()
    source = {"kind": "files", "path": str(inbox), "name": "logger", "watch": True}
    assert broken_rules(subject_with(station, CARD, source)) == []


def test_a_rule_that_names_its_hydrophones_is_judged_by_those(station: FaultyStation) -> None:
    assert broken_rules(subject_with(station, CARD, STREAM, hydrophones=["deep"])) == ["alert rule porpoises"]
    assert broken_rules(subject_with(station, CARD, STREAM, hydrophones=["far"])) == []


@pytest.mark.parametrize(("rate_hz", "expected"), [(DEAF_HZ, ["alert rule porpoises"]), (HEARING_HZ, [])])
def test_a_running_station_knows_the_rate_of_its_streams(
    station: FaultyStation, rate_hz: int, expected: list[str]
) -> None:
    subject = subject_with(station, CARD, STREAM)
    running = run_of(subject, streams={"far": {"sample_rate_hz": rate_hz}})
    assert broken_rules(replace(subject, running=running)) == expected


def test_channels_of_recordings_are_known_by_the_first_file(station: FaultyStation) -> None:
    station.write()
    recordings = {"kind": "files", "path": str(station.folder / "recordings"), "hydrophones": ["left", "right"]}
    assert broken_rules(subject_with(station, CARD, recordings, hydrophones=["deep", "right"])) == []
