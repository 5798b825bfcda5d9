"""The FP3 reader: a file made by hand, and the real log's published counts."""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from seacanary.errors import SeaCanaryError
from seacanary_models.fpod import NBHF, SONAR, UNCLASSED, read_fp3

pytestmark = pytest.mark.torch
AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[2] / "../shared/data/audio"))


def minute() -> list[int]:
    return [254, *[0] * 15]


def click(*, ticks: int, cycles: int, interval: int, amplitude: int) -> list[int]:
    record = [0] * 16
    record[0:3] = ticks >> 16, ticks >> 8 & 255, ticks & 255
    record[3], record[6], record[10] = cycles, interval, amplitude
    return record


def train(*, number: int, species: int, quality: int) -> list[int]:
    record = [249, *[0] * 15]
    record[14], record[15] = species << 2 | quality, number
    return record


def fp3(path: Path, *records: list[int], first_minute: int = 60) -> Path:
    header = bytearray(1024)
    header[39:41] = (802).to_bytes(2, "big")
    header[256:260] = first_minute.to_bytes(4, "big")
    path.write_bytes(bytes(header) + b"".join(map(bytes, records)))
    return path


def test_clicks_carry_minute_time_pitch_and_the_train_announced_before_them(tmp_path: Path) -> None:
    clicks = read_fp3(
        fp3(
            tmp_path / "a.FP3",
            minute(),
            click(ticks=200_000, cycles=9, interval=30, amplitude=1),
            minute(),
            train(number=7, species=NBHF, quality=3),
            click(ticks=1, cycles=12, interval=31, amplitude=80),
            train(number=8, species=SONAR, quality=1),
            click(ticks=70_000, cycles=40, interval=79, amplitude=200),
        )
    )
    assert clicks.first_minute == datetime(1900, 1, 1, 1, tzinfo=UTC)
    assert clicks.minute.tolist() == [0, 1, 1]
    assert clicks.time_us.tolist() == [1_000_000, 5, 350_000]
    assert clicks.frequency_khz.tolist() == [4000 / 31, 125.0, 50.0]
    assert clicks.amplitude.tolist() == [2, 80, 200]
    assert clicks.train.tolist() == [0, 7, 8]
    assert clicks.species.tolist() == [UNCLASSED, NBHF, SONAR]
    assert clicks.quality.tolist() == [0, 3, 1]


def test_days_are_calendar_days_of_utc(tmp_path: Path) -> None:
    records = [minute(), click(ticks=0, cycles=5, interval=30, amplitude=9)] * 2
    clicks = read_fp3(fp3(tmp_path / "a.FP3", *records, first_minute=24 * 60 - 1))
    assert clicks.day().tolist() == [0, 1]


def test_a_file_cut_within_a_record_loses_only_that_record(tmp_path: Path) -> None:
    path = fp3(tmp_path / "a.FP3", minute(), click(ticks=0, cycles=5, interval=30, amplitude=9))
    path.write_bytes(path.read_bytes() + b"\x00" * 7)
    assert len(read_fp3(path)) == 1


@pytest.mark.parametrize("content", [b"", b"RIFF" * 300])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "song.FP3"
    path.write_bytes(content)
    with pytest.raises(SeaCanaryError, match=r"song\.FP3"):
        read_fp3(path)


def test_the_real_log_has_its_published_counts() -> None:
    path = AUDIO / "porpoise-fpod_supermoan_gullars_period1.FP3"
    if not path.exists():
        pytest.skip(f"no {path.name}: set SEACANARY_AUDIO to the folder of the real recordings")
    clicks = read_fp3(path)
    porpoise = clicks.species == NBHF
    assert len(clicks) == 82_637
    assert int(porpoise.sum()) == 51_590
    assert int((clicks.species == SONAR).sum()) == 7_452
    assert len(set(zip(clicks.minute[porpoise], clicks.train[porpoise], strict=True))) == 4_154
    assert float(np.median(clicks.frequency_khz[porpoise])) == pytest.approx(129, abs=0.1)
