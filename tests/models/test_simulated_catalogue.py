"""Simulated recordings: stored with the simulator's truth, and named as simulated."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from seacanary.simulation.sounds import Rendered, SimulatedCall
from seacanary_models.annotated_windows import annotated_windows
from seacanary_models.catalogue import Catalogue, describe, load_catalogue, make_catalogue, write_catalogue
from seacanary_models.simulated_catalogue import store_simulated

pytestmark = pytest.mark.torch
RATE_HZ = 96_000


def stored(folder: Path) -> Catalogue:
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32)
    calls = (
        SimulatedCall("whistle", "beluga", -4800, 9600, (2e3, 9e3), 12.0),  # began before the stretch
        SimulatedCall("beluga_click", "beluga", 96_000, 105_600, (30e3, 47e3), 20.0),
        SimulatedCall("whistle", "beluga", 180_000, 300_000, (3e3, 6e3), 6.0),  # goes on after it
        SimulatedCall("whistle", "beluga", 192_000, 200_000, (3e3, 6e3), 6.0),  # lies after it
    )
    rendered = Rendered(samples, {}, calls, ())
    return store_simulated(rendered, folder=folder, recipe="demo", seed=7, sample_rate_hz=RATE_HZ, site="sea 7")


def test_every_call_is_annotated_exactly_and_cut_to_the_stretch(tmp_path: Path) -> None:
    catalogue = stored(tmp_path)
    (entry,) = catalogue.entries
    assert (entry.simulated, entry.recipe, entry.seed, entry.site) == (True, "demo", 7, "sea 7")
    times = [(a.call_type, a.start_s, a.end_s) for a in catalogue.annotations]
    assert times == [("whistle", 0.0, 0.1), ("beluga_click", 1.0, 1.1), ("whistle", 1.875, 2.0)]
    assert {a.annotator for a in catalogue.annotations} == {"simulator"}
    assert catalogue.annotations[0].notes == "simulated, SNR 12.0 dB"


def test_the_same_stretch_gives_the_same_bytes(tmp_path: Path) -> None:
    assert stored(tmp_path / "a").digest == stored(tmp_path / "b").digest


def test_simulated_windows_doubt_only_the_call_their_edge_cuts(tmp_path: Path) -> None:
    catalogue = stored(tmp_path)
    windows = list(annotated_windows(catalogue, catalogue.entries[0], folder=tmp_path))
    assert [window.targets.tolist() for window in windows] == [[1, 0, 0], [0, 1, 0], [1, 1, 0]]
    assert [window.weights.tolist() for window in windows] == [[1, 0, 1], [1, 1, 1], [1, 1, 1]]


def test_simulated_and_real_share_one_catalogue(tmp_path: Path) -> None:
    real = tmp_path / "bay" / "day.wav"
    real.parent.mkdir()
    soundfile.write(real, np.zeros(8000), 8000)
    entry = describe(real, folder=tmp_path, licence="MIT")
    both = stored(tmp_path).joined(make_catalogue([entry])).joined(stored(tmp_path))
    assert [e.simulated for e in both.entries] == [True, False]
    assert len(both.annotations) == 3
    write_catalogue(both, tmp_path / "c.csv")
    assert load_catalogue(tmp_path / "c.csv") == both
