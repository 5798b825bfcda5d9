"""The station's configuration: what an operator would write, with short waits so that a soak sees many."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soaking.hydrophones import (
    FILE_RATE_HZ,
    RTP_RATE_HZ,
    SIMULATED_RATE_HZ,
    TCP_RATE_HZ,
    scene,
)

STATION = "soak"
STREAM = "{seacanary}:events"
RATES_HZ: Mapping[str, int] = {
    "simulated": SIMULATED_RATE_HZ,
    "tcp": TCP_RATE_HZ,
    "rtp": RTP_RATE_HZ,
    "recorder": FILE_RATE_HZ,
}
LIVE = ("simulated", "tcp", "rtp")
STALL_S = 3.0
LONGEST_REOPENING_S = 5.0
HOLD_S = 8.0
LONGEST_DELIVERY_WAIT_S = 4.0
RULE_MESSAGES = 1000


@dataclass(frozen=True, slots=True)
class Places:
    """Ports and folders of one soak."""

    folder: Path
    journal: Path
    evidence: Path
    recordings: Path
    tcp_port: int
    rtp_port: int
    metrics_port: int
    redis_url: str
    receiver_url: str
    receiver_secret: str


def tree(places: Places, *, seed: int, cooldown_s: float = 0.0) -> dict[str, Any]:
    """A configuration that runs; JSON is YAML."""
    return {
        "station": {"name": STATION},
        "sources": _sources(places, seed),
        "supervision": {"stall_s": STALL_S, "first_wait_s": 0.3, "longest_wait_s": LONGEST_REOPENING_S},
        "presence": {"rule": {"k": 2, "n": 4, "hold_s": HOLD_S, "update_s": 20}},
        "journal": {"path": str(places.journal)},
        "publishers": [
            {"kind": "redis_streams", "url": places.redis_url, "maxlen": None},
            {
                "kind": "webhook",
                "url": places.receiver_url,
                "secret": places.receiver_secret,
                "allow_private_networks": True,
                "events": ["presence", "alerts", "reviews", "conditions"],
                "delivery": {"timeout_s": 6, "longest_wait_s": LONGEST_DELIVERY_WAIT_S},
            },
        ],
        "delivery": {"longest_wait_s": LONGEST_DELIVERY_WAIT_S, "recheck_s": 5},
        "alerts": {"rules": [_rule(cooldown_s)]},
        "evidence": {
            "path": str(places.evidence),
            "pre_roll_s": 1,
            "post_roll_s": 1,
            "longest_clip_s": 15,
            "spool": {"keep_s": 17, "min_free_bytes": 4 << 20},
        },
        "retention": {"min_free_bytes": 32 << 20, "min_headroom_hours": 0, "interval_s": 2},
        "metrics": {"port": places.metrics_port},
    }


def spoilt(good: Mapping[str, Any], draw: float) -> str:
    """A configuration file as people spoil them; draw chooses how."""
    wrongs = (
        "station: {name: soak\nsources: [",
        {**good, "alerts": {"rules": [{"name": "soak", "cooldown_s": -1}]}},
        {**good, "sauces": []},
        {**good, "publishers": [{"kind": "webhook", "url": "ftp://example.org", "secret": "whsec_no"}]},
    )
    wrong = wrongs[int(draw * len(wrongs))]
    return wrong if isinstance(wrong, str) else _json(wrong)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1)


def _rule(cooldown_s: float) -> dict[str, Any]:
    limit = {"messages": RULE_MESSAGES, "per_s": 3600}
    return {"name": "soak", "cooldown_s": cooldown_s, "rate_limit": limit, "include_persistent_sources": True}


def _sources(places: Places, seed: int) -> list[dict[str, Any]]:
    return [
        {
            "kind": "simulated",
            "hydrophones": ["simulated"],
            "sample_rate_hz": SIMULATED_RATE_HZ,
            "pace": "realtime",
            "scene": scene(seed).model_dump(mode="json", include={"seed", "whistle", "beluga_click", "porpoise_click"}),
        },
        {"kind": "tcp", "port": places.tcp_port, "hydrophones": ["tcp"], "sample_rate_hz": TCP_RATE_HZ},
        {
            "kind": "rtp",
            "port": places.rtp_port,
            "hydrophones": ["rtp"],
            "sample_rate_hz": RTP_RATE_HZ,
            "encoding": "L16",
        },
        {"kind": "files", "name": "recorder", "path": str(places.recordings), "watch": True, "settle_s": 1},
    ]
