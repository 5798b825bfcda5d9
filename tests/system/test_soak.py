"""The soak, three minutes of it: a whole station under every kind of fault, and all of it accounted for."""

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
HOURS = 0.06


@pytest.mark.timeout(HOURS * 3600 + 300)
@pytest.mark.skipif(not (which("redis-server") and which("prometheus")), reason="needs redis-server and prometheus")
def test_a_short_storm_leaves_nothing_unaccounted_for(tmp_path: Path) -> None:
    page, results = tmp_path / "soak.md", tmp_path / "soak.json"
    command = [sys.executable, "-m", "benchmarks.soak", "--hours", str(HOURS), "--seed", "7"]
    command += ["--out", str(page), "--results", str(results), "--keep", str(tmp_path / "kept")]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-2000:]
    figures = json.loads(results.read_text())
    assert figures["passed"]
    assert figures["gaps"]["unexplained"] == 0
    assert {"kill", "freeze", "tcp_gone", "rtp_gone", "redis_down", "receiver_500"} <= set(figures["faults"])
    delivery = figures["verdicts"]["delivery"]
    assert delivery["journal"] == delivery["stream"] == delivery["receipts_taken"] > 0
    assert "**Passed**" in page.read_text()
