"""Every shared recording goes through the analysis: valid output, balanced ledgers, no crash."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

AUDIO = Path(os.environ.get("SEACANARY_AUDIO", Path(__file__).parents[3] / "shared" / "data" / "audio"))
SOUNDS = {".wav", ".mp3"}
FINDINGS = {"detection", "started", "updated", "ended"}


@pytest.mark.skipif(
    not AUDIO.is_dir(), reason="the shared recordings are not here; SEACANARY_AUDIO may name their folder"
)
def test_every_shared_recording_is_analysed_with_a_balanced_ledger() -> None:
    files = sorted(path for path in AUDIO.iterdir() if path.suffix.lower() in SOUNDS)
    assert files
    command = [sys.executable, "-m", "seacanary.cli", "analyze", "--windows", "-q", *map(str, files)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    objects = [json.loads(line) for line in answer.stdout.splitlines()]
    summary = objects[-1]
    assert summary["type"] == "summary"
    assert summary["balanced"]
    assert [file["file"] for file in summary["files"]] == [str(path) for path in files]
    for file in summary["files"]:
        for ledger in file["ledger"].values():
            assert ledger["elapsed"] == round(file["duration_s"] * file["sample_rate_hz"])
            assert ledger["analysed"] == ledger["captured"]
    for found in (o for o in objects if o["type"] in FINDINGS):
        assert found["species"] in ("beluga", "porpoise")
        assert 0 <= found["onset_s"] <= (found["offset_s"] or found["onset_s"])
        assert found["call_types"]
    low_rate = [o for o in objects if o["type"] == "window" and o["file"].endswith(".mp3")]
    assert low_rate
    assert all("porpoise_click" in o["unobserved"] for o in low_rate)
