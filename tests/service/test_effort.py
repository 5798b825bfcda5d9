"""Effort: what counts as listened, per species, and what of it as presence."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import blocks_of, tiny_contract, write_tiny_model
from seacanary.detection import Detector, DetectorSection
from seacanary.effort import Effort
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceSection

BLOCK_S = 0.1


def heard(metrics: Metrics, what: str, species: str) -> float:
    labels = {"hydrophone": "h1", "species": species}
    value = metrics.registry.get_sample_value(f"seacanary_{what}_seconds_total", labels)
    assert value is not None
    return value


def listen(
    hydrophone: Hydrophone, detector: Detector, effort: Effort, *, level: NDArray[np.float64], rate_hz: int
) -> None:
    """Hear noise of a level per block, conclude at once, export after each block."""
    size = round(BLOCK_S * rate_hz)
    pcm = np.repeat(level.astype(np.float32), size)
    for block in blocks_of(pcm, [size] * level.size, sample_rate_hz=rate_hz):
        for item in detector.detect(hydrophone.hear(block)):
            hydrophone.conclude(item)
        effort.export({hydrophone.name: hydrophone})


@pytest.fixture
def hydrophone() -> Hydrophone:
    presence = PresenceSection.model_validate({"rule": {"hold_s": 0.5}})
    contract = tiny_contract()
    return Hydrophone(
        "h1", station="test", contract=contract, presence=presence, guard=GuardSection(), pad_at_end=False
    )


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return Detector.load(DetectorSection(path=write_tiny_model(tmp_path / "model")))


def test_all_series_stand_at_zero_before_anything_is_heard(hydrophone: Hydrophone) -> None:
    metrics = Metrics()
    Effort(metrics).export({"h1": hydrophone})
    for species in ("beluga", "porpoise"):
        assert heard(metrics, "listened", species) == 0
        assert heard(metrics, "presence", species) == 0
        labels = {"hydrophone": "h1", "species": species, "kind": "started"}
        assert metrics.registry.get_sample_value("seacanary_events_total", labels) == 0


def test_presence_is_the_listened_time_of_the_call_and_its_hold(hydrophone: Hydrophone, detector: Detector) -> None:
    metrics = Metrics()
    level = np.zeros(100)
    level[30:60] = 0.95  # three seconds of ten
    listen(hydrophone, detector, Effort(metrics), level=level, rate_hz=8000)
    assert heard(metrics, "listened", "beluga") == pytest.approx(10, abs=0.3)
    assert heard(metrics, "presence", "beluga") == pytest.approx(3.5, abs=0.4)  # hold_s is 0.5
    assert metrics.registry.get_sample_value("seacanary_sample_rate_hertz", {"hydrophone": "h1"}) == 8000


def test_a_rate_too_low_for_a_species_is_no_effort_for_it(hydrophone: Hydrophone, detector: Detector) -> None:
    metrics = Metrics()
    listen(hydrophone, detector, Effort(metrics), level=np.zeros(50), rate_hz=4000)  # porpoise needs 6 kHz
    assert heard(metrics, "listened", "beluga") > 4
    assert heard(metrics, "listened", "porpoise") == 0
