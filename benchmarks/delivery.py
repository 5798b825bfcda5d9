"""`make bench-delivery`: how soon an alert arrives, and what a storm comes to; writes benchmarks/delivery.json."""

import argparse
import asyncio
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.delivery_latency import CALLS, HOLD_S, STAGES, Listened, listen, quantiles_s
from benchmarks.delivery_storm import storm
from benchmarks.run import _cpu
from json_channel import JsonChannel
from redis_server import RedisServer

RESULTS = Path(__file__).parent / "delivery.json"
RERUN = "make bench-delivery, about 10 minutes; what the machine does besides makes every figure worse"
TEXTS = {
    "rule": "first positive window's end to that of the window that decides (3 of 6, hop 0.512 s)",
    "audio": "to that window's turn with the model (audio comes in blocks of 0.25 s)",
    "event": "to the event in the journal",
    "alert": "to the alert in the journal",
    "webhook": "to the webhook received, its signature verified",
}


def main() -> None:
    """Measure the parts asked for, each stored as soon as it is there, and print all there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="others are kept as they are")
    parser.add_argument("--minutes", type=float, default=8, help="longest run in real time")
    parser.add_argument("--alerts", type=int, default=120, help="as many are enough")
    parser.add_argument("--hydrophones", type=int, default=4, help="simulated, at 384 kHz")
    parser.add_argument("--rounds", type=int, default=500, help="of the storm, 20 events each")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results.pop("remark", None)  # was said of figures that are now replaced
    for part in options.parts:
        with tempfile.TemporaryDirectory(prefix="seacanary-delivery-") as name, Console().status(f"measuring: {part}"):
            results |= asyncio.run(PARTS[part](Path(name), options))
        results |= {f"{part}_machine_load": machine_load(), "machine": machine(), "date": today(), "rerun": RERUN}
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    Console().print(table(results))


async def measure_alerts(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """How soon alerts come."""
    with RedisServer(folder / "redis") as redis:
        listened = await listen(
            folder,
            hydrophones=options.hydrophones,
            redis_url=redis.url,
            minutes=options.minutes,
            alerts=options.alerts,
        )
    return figures(listened, hydrophones=options.hydrophones)


async def measure_storm(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """What a storm comes to."""
    with RedisServer(folder / "redis") as redis, JsonChannel() as channel:
        came_to = await storm(folder, redis_url=redis.url, channel_url=channel.url, rounds=options.rounds)
    return came_to.figures()


PARTS = {"alerts": measure_alerts, "storm": measure_storm}


def machine_load() -> dict[str, object]:
    """How busy the machine was when a part ended, whoever made it so."""
    minute, five_minutes, _ = os.getloadavg()
    pressure = Path("/proc/pressure/cpu")
    waited = pressure.read_text().splitlines()[0] if pressure.exists() else None
    return {
        "load_average_1_min": round(minute, 1),
        "load_average_5_min": round(five_minutes, 1),
        "cpu_pressure": waited,
    }


def machine() -> str:
    """What it was measured on."""
    return f"{_cpu()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def today() -> str:
    """The date, UTC."""
    return datetime.now(UTC).date().isoformat()


def figures(listened: Listened, *, hydrophones: int) -> dict[str, object]:
    """What delivery.json says of the alerts."""
    latency = quantiles_s([line.latency_s for line in listened.timelines])
    return {
        "alert_p50_s": latency["p50_s"],
        "alert_p99_s": latency["p99_s"],
        "alert_max_s": latency["max_s"],
        "alerts": len(listened.timelines),
        "alerts_without_webhook": listened.lost,
        "stages": {s: quantiles_s([line.stages_s[s] for line in listened.timelines]) for s in STAGES},
        "audio": {
            "what": "simulated hydrophones with simulated belugas, 384 kHz, in real time",
            "hydrophones": hydrophones,
            "minutes": round(listened.minutes, 2),
            "calls": CALLS,
            "hold_s": HOLD_S,
            "samples_shed": sum(totals.shed for totals in listened.summary.ledger.values()),
            "started_events": listened.started,
        },
        "model_id": listened.model_id,
    }


def table(results: Mapping[str, Any]) -> Table:
    """The figures for people, as far as they have been measured."""
    shown = Table(title=f"{results['machine']}, {results['date']}")
    for heading in ("figure", "measured", "target"):
        shown.add_column(heading)
    if "alerts" in results:
        shown.add_row(f"alert, p50 of {results['alerts']}, s", str(results["alert_p50_s"]), "< 2")
        shown.add_row("alert, p99, s", str(results["alert_p99_s"]), "< 5")
        for stage, text in TEXTS.items():
            shown.add_row(f"  {text}: p50, p99, s", "{p50_s}, {p99_s}".format(**results["stages"][stage]), "")
    if "storm_events" in results:
        shown.add_row("storm, presence events", str(results["storm_events"]), "10000")
        shown.add_row("storm, messages", str(results["storm_messages"]), "a handful")
        stretch = f"storm, most messages in any {results['storm_limit_per_s']:g} s"
        shown.add_row(stretch, str(results["storm_most_messages_in_stretch"]), f"<= {results['storm_limit_messages']}")
    return shown


if __name__ == "__main__":
    main()
