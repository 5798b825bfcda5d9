"""Readers of stored click waveforms: a file made by hand, damage, and the real stores."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy import io

from seacanary.errors import SeaCanaryError
from seacanary_models.click_stores import read_click_mat, read_pgdf

pytestmark = pytest.mark.torch
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))


def header() -> bytes:
    body = struct.pack(">i", 7) + b"\x00\x07PAMGUARD"
    return struct.pack(">ii", 8 + len(body) - 4, -1) + body  # its length leaves out four bytes


def click(start_sample: int, steps: list[int], *, loudest: float, delays: int = 0) -> bytes:
    flags = 0x1 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x2000 | (0x100 if delays else 0)
    standard = struct.pack(">qHiqqiff", 0, flags, 1, 99, start_sample, len(steps), 2e3, 1e4)
    if delays:
        standard += struct.pack(f">h{delays}f", delays, *[0.5] * delays)
    standard += struct.pack(">f", 12.0)
    own = struct.pack(">ihihhf", 1, 0, 0, 0, 0, loudest) + bytes(step & 255 for step in steps)
    body = standard + struct.pack(">i", len(own)) + own
    return struct.pack(">ii", len(body) + 8, 1000) + body


def pgdf(path: Path, *objects: bytes) -> Path:
    footer = struct.pack(">ii", 8, -2)
    path.write_bytes(b"".join((header(), *objects, footer)))
    return path


def test_waveforms_keep_their_level_and_place(tmp_path: Path) -> None:
    path = pgdf(tmp_path / "a.pgdf", click(4306, [127, -127, 0], loudest=0.5), click(9000, [1], loudest=1.27))
    first, second = read_pgdf(path)
    np.testing.assert_allclose(first.samples, [0.5, -0.5, 0], atol=1e-7)
    np.testing.assert_allclose(second.samples, [0.01], rtol=1e-6)
    assert (first.start_sample, second.start_sample) == (4306, 9000)
    assert not first.samples.flags.writeable


def test_optional_time_delays_are_stepped_over(tmp_path: Path) -> None:
    (only,) = read_pgdf(pgdf(tmp_path / "a.pgdf", click(5, [127], loudest=0.25, delays=3)))
    assert only.samples.tolist() == [0.25]


def test_a_file_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    path = pgdf(tmp_path / "cut.pgdf", click(5, [1] * 50, loudest=0.25))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SeaCanaryError, match=r"cut\.pgdf"):
        read_pgdf(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tone.pgdf"
    path.write_bytes(b"RIFF" * 20)
    with pytest.raises(SeaCanaryError, match="PAMGuard"):
        read_pgdf(path)


def test_matlab_exports_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clicks.mat"
    clicks = np.array([(7, [0.1, -0.2]), (90, [0.3, 0.0])], dtype=[("startSample", "O"), ("wave", "O")])
    io.savemat(path, {"clicks": clicks})
    read = read_click_mat(path)
    assert [click.start_sample for click in read] == [7, 90]
    np.testing.assert_allclose(read[0].samples, [0.1, -0.2], rtol=1e-6)


def test_a_matlab_file_without_clicks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.mat"
    io.savemat(path, {"x": np.zeros(3)})
    with pytest.raises(SeaCanaryError, match="clicks"):
        read_click_mat(path)


def test_the_real_stores_hold_their_published_counts() -> None:
    if not (AUDIO / "files.csv").exists():
        pytest.skip("no real recordings: set SEACANARY_AUDIO to their folder")
    stored = read_pgdf(AUDIO / "odontocete-clicks_pamguardmatlab_click_v4_test1.pgdf")
    assert len(stored) == 8_381
    loudest = max(float(np.abs(click.samples).max()) for click in stored)
    assert 0.9 < loudest < 1.2  # clipped clicks, a little over full scale after the detector's filter
    assert len(read_click_mat(AUDIO / "rissos-clicks_pamguard_delphinid_20200918.mat")) == 122
