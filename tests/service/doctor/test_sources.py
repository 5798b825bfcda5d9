"""A source that the running station is opening is not taken for one that is gone."""

from dataclasses import replace
from typing import Any

import pytest

from faulty_station import FaultyStation
from planted_faults import ALSA, run_of, subject_of, tcp
from seacanary.doctor.findings import Finding
from seacanary.doctor.sources import source

CARD = {"kind": "soundcard", "device": "UltraMic", "hydrophones": ["deep"], "sample_rate_hz": 384_000}


def beside_a_station(station: FaultyStation, section: dict[str, Any], *, state: str) -> Finding:
    """What is told of its source in that state."""
    subject = subject_of(station, sources=[section])
    told = {f"0-{section['kind']}": {"state": state, "live": True, "reason": None}}
    (finding,) = source(replace(subject, running=run_of(subject, sources=told)), 0)
    return finding


def test_a_sender_that_has_not_called_yet_is_a_warning_as_without_a_station(station: FaultyStation) -> None:
    finding = beside_a_station(station, {**tcp(9000), "mode": "listen"}, state="opening")
    assert finding.severity == "warning"
    assert "no sender has called" in finding.seen
    assert "port 9000" in finding.remedy


@pytest.mark.parametrize("section", [CARD, ALSA, tcp(9000)])
def test_what_is_being_opened_is_neither_unplugged_nor_out_of_reach(
    section: dict[str, Any], station: FaultyStation
) -> None:
    finding = beside_a_station(station, section, state="opening")
    assert finding.severity == "warning"
    assert "is being opened" in finding.seen
    assert not any(word in finding.means for word in ("unplugged", "cannot be reached"))


@pytest.mark.parametrize("state", ["lost", "stalled", "unusable"])
def test_what_is_lost_is_broken_still(state: str, station: FaultyStation) -> None:
    assert beside_a_station(station, CARD, state=state).severity == "broken"
