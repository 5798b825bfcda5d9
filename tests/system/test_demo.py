"""The demo as a newcomer runs it: both species within 45 seconds, a clean end, a balanced ledger."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

DEMO = [sys.executable, "-m", "seacanary.cli", "demo", "--json"]


@pytest.mark.timeout(120)
def test_the_demo_hears_both_species_keeps_their_clips_and_ends_by_itself(tmp_path: Path) -> None:
    command = [*DEMO, "--seconds", "45", "--folder", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    objects = [json.loads(line) for line in answer.stdout.splitlines()]
    started = {(o["hydrophone"], o["species"]) for o in objects if o["type"] == "started"}
    assert {species for _, species in started} == {"beluga", "porpoise"}
    assert {hydrophone for hydrophone, _ in started} == {"simulated-sea", "real-ambient"}
    summary = objects[-1]
    assert summary["type"] == "summary"
    assert summary["balanced"]
    for ledger in summary["ledger"].values():
        assert ledger["captured"] > 40 * 384_000
        assert ledger["lost"] == 0
    clips = {path.stem for path in tmp_path.glob("evidence/*/*/*.flac") if not path.stem.endswith("_x10")}
    events = [json.loads(line)["data"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert clips == {Path(event["evidence"]).name for event in events if event["kind"] in ("started", "ended")}


@pytest.mark.timeout(60)
def test_ctrl_c_stops_the_demo_cleanly_with_a_ledger() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(8)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    summary = json.loads(out.splitlines()[-1])
    assert summary["type"] == "summary"
    assert summary["balanced"]
