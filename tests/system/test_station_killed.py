"""A station is killed at random instants; nothing is lost, nothing is told twice."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import redis
import soundfile
import yaml

from fakes import EPOCH, write_tiny_model
from redis_server import RedisServer

pytestmark = pytest.mark.system

RATE_HZ = 8000
FILE_S = 30
FILES = 60
STREAM = "{seacanary}:events"


def record_folder(folder: Path, *, seed: int) -> None:
    """Half an hour of files that follow one another, with a pause after every tenth, and bouts across seams."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(FILES):
        pcm = rng.normal(0, 0.01, FILE_S * RATE_HZ)
        for onset_s in rng.uniform(0, FILE_S, 4):
            pcm[round(onset_s * RATE_HZ) : round((onset_s + 0.6) * RATE_HZ)] = 0.9
        start = EPOCH + timedelta(seconds=number * FILE_S + 120 * (number // 10))
        soundfile.write(folder / f"{start:%Y%m%d_%H%M%S}.wav", pcm, RATE_HZ, subtype="PCM_16")


def config(folder: Path, *, recordings: Path, model: Path, publishers: list[dict[str, object]]) -> Path:
    folder.mkdir(exist_ok=True)
    tree = {
        "station": {"name": "killed"},
        "model": {"path": str(model)},
        "sources": [{"kind": "files", "path": str(recordings), "name": "h1", "pace": "fast"}],
        "presence": {"rule": {"hold_s": 2.0, "update_s": 5.0}},
        "journal": {"path": str(folder / "journal.db")},
        "publishers": publishers,
        "metrics": {"enabled": False},
    }
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "seacanary.cli", "run", str(path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def journalled(path: Path) -> list[dict[str, object]]:
    answer = subprocess.run(
        [sys.executable, "-m", "seacanary.cli", "events", "tail", str(path), "-n", "100000", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in answer.stdout.splitlines()]


def done_files(path: Path) -> int:
    """Files the journal knows as heard to their end."""
    with closing(sqlite3.connect(f"file:{path.with_name('journal.db')}?mode=ro", uri=True)) as journal:
        (count,) = journal.execute("SELECT count(*) FROM done_files").fetchone()
        return int(count)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("times", [15, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_leave_the_stream_equal_to_the_journal_and_to_an_undisturbed_run(tmp_path: Path, times: int) -> None:
    model = write_tiny_model(tmp_path / "model")
    recordings = tmp_path / "recordings"
    record_folder(recordings, seed=5)
    undisturbed = config(tmp_path / "undisturbed", recordings=recordings, model=model, publishers=[])
    with start(undisturbed) as process:
        process.communicate()
    assert process.returncode == 0
    chance = random.Random(11)
    kills = mid_run = resumed = 0
    with RedisServer(tmp_path / "redis") as server:
        publisher = {"kind": "redis_streams", "url": server.url}
        killed = config(tmp_path / "killed", recordings=recordings, model=model, publishers=[publisher])
        while kills < times:
            with start(killed) as process:
                assert process.stdout is not None
                process.stdout.readline()  # it is at work, or over, from here on
                time.sleep(chance.uniform(0.0, 1.5))
                mid_run += process.poll() is None
                process.send_signal(signal.SIGKILL)
                process.communicate()
            kills += 1
            resumed += 0 < done_files(killed) < FILES
        with start(killed) as process:
            _, errors = process.communicate()
        assert process.returncode == 0, errors
        told = journalled(killed)
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            entries = client.xrange(STREAM)
    streamed = [json.loads(fields["event"])["id"] for _, fields in entries]
    assert streamed == [event["id"] for event in told]
    assert len(set(streamed)) == len(streamed)
    assert mid_run >= 5  # it gets on between kills, and may be through before the last of them
    assert resumed >= 3
    expected = journalled(undisturbed)
    assert len(expected) > 100
    assert told == expected


@pytest.mark.timeout(180)
def test_a_station_whose_output_nobody_reads_goes_on_listening(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    recordings = tmp_path / "recordings"
    record_folder(recordings, seed=6)
    path = config(tmp_path / "unread", recordings=recordings, model=model, publishers=[])
    with start(path) as process:
        assert process.wait(150) == 0  # more than a pipe holds was told, and stdout was never read
        assert process.stdout is not None
        unread = process.stdout.read()
    assert len(journalled(path)) * 500 > 65_536
    assert len(unread) >= 65_536 - 5000
