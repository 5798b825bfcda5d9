"""Real PortAudio and real ALSA capture, from a device made of a file (hydro_pcm.c)."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hydro_device import build_plugin, write_alsa_conf

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Bench:
    """A machine with three hydrophones.

    hydro384: 1 channel, 384 kHz, S32_LE (24 bits used); hydro576: 1 channel, 576 kHz, S24_3LE;
    stereo96: 2 channels, 96 kHz, S16_LE.
    """

    folder: Path
    conf: Path

    def file(self, device: str) -> Path:
        return self.folder / f"{device}.raw"

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        child = subprocess.run(
            [sys.executable, str(HERE / "capture_child.py"), json.dumps(job | {"folder": str(self.folder)})],
            env=os.environ | {"ALSA_CONFIG_PATH": str(self.conf)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert child.returncode == 0, child.stderr
        report: dict[str, Any] = json.loads(child.stdout)
        return report

    def heard(self, hydrophone: str) -> NDArray[np.float32]:
        return np.fromfile(self.folder / f"{hydrophone}.f32", np.float32)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_plugin(tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def bench(plugin: Path, tmp_path: Path) -> Bench:
    rng = np.random.default_rng(20)
    (rng.integers(-(2**23), 2**23, 12 * 384_000, dtype=np.int32) << 8).astype("<i4").tofile(tmp_path / "hydro384.raw")
    rng.integers(0, 256, 8 * 576_000 * 3, dtype=np.uint8).tofile(tmp_path / "hydro576.raw")
    rng.integers(-(2**15), 2**15, 4 * 96_000 * 2, dtype=np.int16).astype("<i2").tofile(tmp_path / "stereo96.raw")
    devices = {
        "stereo96": (96_000, 2, "S16_LE"),
        "hydro384": (384_000, 1, "S32_LE"),
        "hydro576": (576_000, 1, "S24_3LE"),
    }
    conf = write_alsa_conf(tmp_path, plugin, devices)
    return Bench(tmp_path, conf)


SOUNDCARD = {"kind": "soundcard", "device": "hydro384", "hydrophones": ["deep"], "sample_rate_hz": 384_000}
ALSA = {"kind": "alsa", "device": "hydro576", "hydrophones": ["deep"], "sample_rate_hz": 576_000, "format": "S24_3LE"}


def int24_of(packed: Path) -> NDArray[np.int32]:
    parts = np.fromfile(packed, np.uint8).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 0] << 8) | (parts[:, 1] << 16) | (parts[:, 2] << 24)) >> 8


@dataclass(frozen=True)
class Case:
    section: dict[str, Any]
    seconds: int
    truth: Callable[[Bench], NDArray[np.int32]]  # what the file holds, as 24-bit integers


CASES = {
    "soundcard": Case(SOUNDCARD, 10, lambda bench: np.fromfile(bench.file("hydro384"), "<i4") >> 8),
    "alsa": Case(ALSA, 5, lambda bench: int24_of(bench.file("hydro576"))),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def integers(heard: NDArray[np.float32], bits: int) -> NDArray[np.int64]:
    return np.rint(heard.astype(np.float64) * 2 ** (bits - 1)).astype(np.int64)


def jumps(blocks: list[dict[str, Any]]) -> list[int]:
    """Lengths of the gaps between blocks, frames."""
    lengths = [after["first"] - before["first"] - before["size"] for before, after in pairwise(blocks)]
    return [length for length in lengths if length]


def where(samples: NDArray[np.int64], truth: NDArray[np.int32]) -> int:
    """The one place in the file where these samples stand."""
    starts = np.flatnonzero(truth[: truth.size - 3] == samples[0])
    places = [int(start) for start in starts if np.array_equal(truth[start : start + 4], samples[:4])]
    assert len(places) == 1
    return places[0]


def test_capture_is_paced_and_bit_exact(bench: Bench, case: Case) -> None:
    rate_hz = case.section["sample_rate_hz"]
    report = bench.run({"scenario": "capture", "section": case.section, "until_frame": case.seconds * rate_hz})
    assert (report["error"], report["overflows"]) == (None, 0)
    blocks = report["blocks"]
    assert blocks[0]["first"] == 0
    assert jumps(blocks) == []
    assert all(block["read_only"] for block in blocks)
    heard = integers(bench.heard("deep"), bits=24)
    np.testing.assert_array_equal(heard, case.truth(bench)[: heard.size])
    ends = [block["first"] + block["size"] for block in blocks]
    assert np.polyfit([block["arrived"] for block in blocks], ends, 1)[0] == pytest.approx(rate_hz, rel=0.01)
    assert 0 < blocks[0]["epoch"] - report["started"] < 5


def test_an_overflow_is_one_gap_of_the_right_length(bench: Bench, case: Case) -> None:
    rate_hz = case.section["sample_rate_hz"]
    job = {"scenario": "capture", "section": case.section, "until_frame": 3 * rate_hz, "stall_at_block": 50}
    report = bench.run(job)
    assert (report["error"], report["overflows"]) == (None, 1)
    blocks, truth = report["blocks"], case.truth(bench)
    (gap,) = jumps(blocks)
    assert 0.3 * rate_hz < gap < 3 * rate_hz
    heard = integers(bench.heard("deep"), bits=24)
    before = next(k for k, block in enumerate(blocks) if block["first"] + block["size"] != blocks[k + 1]["first"]) + 1
    heard_before = sum(block["size"] for block in blocks[:before])
    np.testing.assert_array_equal(heard[:heard_before], truth[:heard_before])
    true_place = where(heard[heard_before:], truth)
    np.testing.assert_array_equal(heard[heard_before:], truth[true_place : true_place + heard.size - heard_before])
    # this device tells its position to the frame, so only scheduling is left of the stated bound
    assert abs(blocks[before]["first"] - true_place) <= 0.02 * rate_hz


def test_what_a_busy_station_does_not_take_is_a_gap_known_to_the_frame(bench: Bench, case: Case) -> None:
    rate_hz = case.section["sample_rate_hz"]
    section = case.section | {"handoff_s": 0.4}
    job = {"scenario": "capture", "section": section, "until_frame": 2 * rate_hz, "station_stall_s": 1.2}
    report = bench.run(job)
    assert (report["error"], report["overflows"]) == (None, 0)
    assert len(jumps(report["blocks"])) >= 1
    heard, truth, position = integers(bench.heard("deep"), bits=24), case.truth(bench), 0
    for block in report["blocks"]:
        samples = heard[position : position + block["size"]]
        np.testing.assert_array_equal(samples, truth[block["first"] : block["first"] + block["size"]])
        position += block["size"]


def test_each_channel_is_a_hydrophone(bench: Bench) -> None:
    section = {"kind": "soundcard", "device": "stereo", "hydrophones": ["left", "right"], "sample_rate_hz": 96_000}
    report = bench.run({"scenario": "capture", "section": section | {"format": "int16"}, "until_frame": 96_000})
    assert report["error"] is None
    truth = np.fromfile(bench.file("stereo96"), "<i2").reshape(-1, 2)
    for channel, name in enumerate(("left", "right")):
        heard = integers(bench.heard(name), bits=16)[:48_000]
        np.testing.assert_array_equal(heard, truth[:48_000, channel])


def test_a_device_that_vanished_is_found_again_under_another_number(bench: Bench) -> None:
    files = [str(bench.file("hydro384")), str(bench.file("stereo96"))]
    job = {"scenario": "vanish", "section": SOUNDCARD, "files": files, "until_frame": 384_000}
    report = bench.run(job)
    unplugged, absent, back = report["errors"]
    # Debian's PortAudio does not say so when its device goes; other versions may
    assert unplugged == "stalled" or unplugged.startswith("SourceLost: 'hydro384, ALSA' stopped delivering")
    assert absent.startswith("SourceLost: no sound card matches 'hydro384'; there is: hydro576, ALSA")
    assert back is None
    heard = integers(bench.heard("deep"), bits=24)
    np.testing.assert_array_equal(heard, CASES["soundcard"].truth(bench)[: heard.size])


def test_an_alsa_device_that_vanished_can_be_opened_again(bench: Bench) -> None:
    job = {"scenario": "vanish", "section": ALSA, "files": [str(bench.file("hydro576"))], "until_frame": 288_000}
    unplugged, absent, back = bench.run(job)["errors"]
    assert unplugged.startswith("SourceLost: ALSA stopped delivering")
    assert absent.startswith("SourceLost: ALSA device 'hydro576' cannot be opened")
    assert back is None


def test_a_device_plugged_in_while_another_is_captured_is_found(bench: Bench) -> None:
    other = {"kind": "soundcard", "device": "stereo96", "hydrophones": ["left", "right"], "sample_rate_hz": 96_000}
    files = [str(bench.file("hydro384"))]
    job = {"scenario": "late", "section": SOUNDCARD, "other": other, "files": files, "until_frame": 192_000}
    report = bench.run(job)
    assert report["errors"][0].startswith("SourceLost: no sound card matches 'hydro384'")
    assert report["undisturbed"]
    assert report["errors"][1] is None
    assert report["steady"].startswith("SourceLost: sound cards were looked for again, to find 'hydro384'")
    heard = integers(bench.heard("deep"), bits=24)
    np.testing.assert_array_equal(heard, CASES["soundcard"].truth(bench)[: heard.size])


def test_the_devices_are_listed_with_what_a_section_needs(bench: Bench) -> None:
    listed = bench.run({"scenario": "devices"})
    assert listed["problems"] == []
    assert {"kind": "soundcard", "device": "hydro384", "channels": "up to 1", "rates_hz": "384000"} in listed["devices"]
    assert {"kind": "alsa", "device": "hydro576", "channels": "1", "rates_hz": "576000"} in listed["devices"]
    assert {"kind": "alsa", "device": "stereo96", "channels": "2", "rates_hz": "96000"} in listed["devices"]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    (SOUNDCARD | {"device": "nosuch"}, r"SourceLost: no sound card matches 'nosuch'; there is: .*hydro384, ALSA"),
    (
        SOUNDCARD | {"device": "hydro"},
        r"SourceUnusable: 'hydro' matches several sound cards: hydro384, ALSA; hydro576",
    ),
    (SOUNDCARD | {"sample_rate_hz": 192_000}, r"SourceUnusable: 'hydro384, ALSA' cannot .* rates in Hz: 384000"),
    (SOUNDCARD | {"hydrophones": ["a", "b"]}, r"SourceUnusable: .* 2 channel\(s\).* it has 1 channel"),
    (ALSA | {"device": "nosuch"}, r"SourceLost: ALSA device 'nosuch' cannot be opened: .*; there is: .*hydro576"),
    (ALSA | {"sample_rate_hz": 384_000}, r"SourceUnusable: .* asked for 384000 Hz.* offers rates 576000"),
    (ALSA | {"hydrophones": ["a", "b"]}, r"SourceUnusable: .* asked for .* 2 channel\(s\).*channels \[1\]"),
    (ALSA | {"format": "S16_LE"}, r"SourceUnusable: .*formats S24_3LE"),
]


def test_a_device_that_cannot_do_it_says_what_there_is(bench: Bench) -> None:
    job = {"scenario": "refusals", "sections": [section for section, _ in REFUSALS], "until_frame": 1}
    for error, (section, refusal) in zip(bench.run(job)["errors"], REFUSALS, strict=True):
        assert re.match(refusal, error), (section, error)
