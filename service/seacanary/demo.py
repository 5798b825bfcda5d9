"""The demo: a station with nothing but what ships with the package."""

import socket
from contextlib import closing
from importlib import resources
from pathlib import Path

from seacanary.config import StationConfig, parse_config

RATE_HZ = 384_000
METRICS_PORT, WEB_PORT = 9108, 8320


def demo_config(folder: Path, *, seed: int) -> StationConfig:
    """An embedded station of two hydrophones.

    `simulated-sea` is simulation throughout. `real-ambient` replays a real
    recording (Orcasound, MIT; see assets/CREDITS.md), looped, with simulated calls
    mixed in; the recording ends at 24 kHz, so above that only simulated noise is heard.

    Args:
        folder: where journal and events are kept.
        seed: of the simulated calls.
    """
    background = Path(str(resources.files("seacanary"))) / "assets" / "orcasound_ambient.flac"
    calls = {
        "whistle": {"bouts_per_min": 8, "snr_db": [14, 26]},
        "beluga_click": {"bouts_per_min": 5, "snr_db": [20, 35]},
        "porpoise_click": {"bouts_per_min": 8, "snr_db": [20, 35]},
    }
    source = {"kind": "simulated", "sample_rate_hz": RATE_HZ, "pace": "realtime"}
    tree: dict[str, object] = {
        "station": {"name": "demo"},
        "sources": [
            {**source, "hydrophones": ["simulated-sea"], "scene": {"seed": seed, **calls}},
            {
                **source,
                "hydrophones": ["real-ambient"],
                "scene": {"seed": seed + 1, **calls},
                "background": str(background),
            },
        ],
        "presence": {"rule": {"hold_s": 8}},
        "journal": {"path": str(folder / "journal.db")},
        "publishers": [{"kind": "jsonl", "path": str(folder / "events.jsonl")}],
        "alerts": {"rules": [{"name": "belugas", "species": ["beluga"]}]},
        # Short clips: a demo's last ones should be there before its folder goes.
        "evidence": {"path": str(folder / "evidence"), "longest_clip_s": 12},
        "selftest": {"interval_s": 10},
        "web": {"port": _free_or_any(WEB_PORT), "public_url": None},
        "metrics": {"port": _free_or_any(METRICS_PORT)},
    }
    return parse_config(tree, where="demo")


def _free_or_any(port: int) -> int:
    """The port if it is free, else 0: a demo should start beside a real station."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return port if _binds(probe, port) else 0


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
