"""`make bench-delivery`: how soon an alert arrives, and what a storm comes to; writes benchmarks/delivery.json."""

import argparse
import asyncio
import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.delivery_latency import CALLS, HOLD_S, STAGES, Listened, listen, quantiles_s
from benchmarks.delivery_storm import storm
from benchmarks.run import _cpu
from json_channel import JsonChannel
from redis_server import RedisServer

RESULTS = Path(__file__).parent / "delivery.json"
RERUN = "make bench-delivery, about 9 minutes; on a machine with nothing else to do it is faster"
TEXTS = {
    "rule": "first positive window's end to that of the window that decides (3 of 6, hop 0.512 s)",
    "event": "to the event in the journal",
    "alert": "to the alert in the journal",
    "webhook": "to the webhook received, its signature verified",
}


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=7, help="longest run in real time")
    parser.add_argument("--alerts", type=int, default=120, help="as many are enough")
    parser.add_argument("--hydrophones", type=int, default=4, help="simulated, at 384 kHz")
    parser.add_argument("--rounds", type=int, default=500, help="of the storm, 20 events each")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="seacanary-delivery-") as name, Console().status("listening, then a storm"):
        results = asyncio.run(_measure(Path(name), options))
    results |= {
        "load_average": {"before": round(load_before, 2), "after": round(os.getloadavg()[0], 2)},
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
        "rerun": RERUN,
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    Console().print(table(results))


async def _measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    with RedisServer(folder / "redis") as redis:
        listened = await listen(
            folder,
            hydrophones=options.hydrophones,
            redis_url=redis.url,
            minutes=options.minutes,
            alerts=options.alerts,
        )
    (folder / "storm").mkdir()
    with RedisServer(folder / "storm" / "redis") as redis, JsonChannel() as channel:
        came_to = await storm(folder / "storm", redis_url=redis.url, channel_url=channel.url, rounds=options.rounds)
    return figures(listened, hydrophones=options.hydrophones) | came_to.figures()


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


def table(results: dict[str, object]) -> Table:
    """The figures for people."""
    shown = Table(title=f"{results['machine']}, {results['date']}")
    for heading in ("figure", "measured", "target"):
        shown.add_column(heading)
    shown.add_row(f"alert, p50 of {results['alerts']}, s", str(results["alert_p50_s"]), "< 2")
    shown.add_row("alert, p99, s", str(results["alert_p99_s"]), "< 5")
    stages = results["stages"]
    assert isinstance(stages, dict)
    for stage, text in TEXTS.items():
        shown.add_row(f"  {text}: p50, p99, s", "{p50_s}, {p99_s}".format(**stages[stage]), "")
    shown.add_row("storm, presence events", str(results["storm_events"]), "10000")
    shown.add_row("storm, messages", str(results["storm_messages"]), "a handful")
    stretch = f"storm, most messages in any {results['storm_limit_per_s']:g} s"
    shown.add_row(stretch, str(results["storm_most_messages_in_stretch"]), f"<= {results['storm_limit_messages']}")
    return shown


if __name__ == "__main__":
    main()
