"""`make bench-cluster`: what workers bring through, what Faust costs, bytes on the wire, takeover.

Measures against one real broker on this machine, prints a table, writes benchmarks/cluster.json. M is replaced
by a stand-in that sleeps as long as a GPU is assumed to take (cluster_stand_in.py): no GPU has been measured.
"""

import os

# Before numpy: its own threads would make every figure depend on chance.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cluster_bytes import measure_bytes
from benchmarks.cluster_load import measure_fleet, measure_throughput
from benchmarks.cluster_overhead import measure_overhead
from benchmarks.cluster_processes import PARTITIONS, Bench
from benchmarks.cluster_records import Records
from benchmarks.cluster_stand_in import ASSUMED_IMAGES_PER_S
from benchmarks.cluster_takeover import measure_takeover
from benchmarks.delivery import machine, machine_load, today
from kafka_server import KafkaServer, why_not
from seacanary.contract import ModelContract

RESULTS = Path(__file__).parent / "cluster.json"
RERUN = "make bench-cluster, about 10 minutes; what the machine does besides makes every figure but the bytes worse"
WORKERS = (1, 2, 4)
OFFERED_PER_S = (50.0, 100.0, 200.0, 400.0)
FLEETS = (200, 150, 100, 75, 50, 25)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run measures.

    Attributes:
        server: the broker.
        folder: of all that it and the processes hold.
        records: file of the Records.
        contract: of the bundled model.
        short: whether sizes are those of a trial.
    """

    server: KafkaServer
    folder: Path
    records: Path
    contract: ModelContract
    short: bool

    def bench(self, prefix: str) -> Bench:
        """Topics of their own."""
        return Bench(self.server, self.folder, prefix=prefix, records=self.records)


async def bytes_part(place: Place) -> dict[str, object]:
    """Bytes on the wire."""
    kafka = place.server.section(topic_prefix="bytes.", partitions=PARTITIONS)
    return await measure_bytes(kafka, place.folder / "kafka", windows=12 if place.short else 60)


async def overhead_part(place: Place) -> dict[str, object]:
    """What Faust costs."""
    with place.bench("overhead") as bench:
        return await measure_overhead(bench, pairs=1 if place.short else 5, images=1500 if place.short else 6000)


async def throughput_part(place: Place) -> dict[str, object]:
    """What workers bring through."""
    return await measure_throughput(
        place.bench,
        place.contract,
        workers=WORKERS,
        offered_per_s=OFFERED_PER_S[:2] if place.short else OFFERED_PER_S,
        seconds=5 if place.short else 12,
        backlog=1000 if place.short else 4000,
    )


async def fleet_part(place: Place) -> dict[str, object]:
    """Whether the chain keeps up with a fleet."""
    return await measure_fleet(
        place.bench, place.contract, hydrophones=FLEETS, workers=2, seconds=6 if place.short else 40
    )


async def takeover_part(place: Place) -> dict[str, object]:
    """How long a takeover takes."""
    return await measure_takeover(place.bench, place.contract, hydrophones=100, states_each=5 if place.short else 40)


PARTS: Mapping[str, Callable[[Place], Awaitable[dict[str, object]]]] = {
    "bytes": bytes_part,
    "overhead": overhead_part,
    "throughput": throughput_part,
    "fleet": fleet_part,
    "takeover": takeover_part,
}


def main() -> None:
    """Measure the parts asked for, each stored as soon as it is there, and print all there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="others are kept as they are")
    parser.add_argument("--short", action="store_true", help="small sizes, to see that it works; figures say little")
    options = parser.parse_args()
    if reason := why_not():
        parser.exit(1, f"no Kafka: {reason}\n")
    with tempfile.TemporaryDirectory(prefix="seacanary-cluster-") as name:
        results = asyncio.run(measure(Path(name), options.parts, short=options.short))
    Console().print(table(results))


async def measure(folder: Path, parts: list[str], *, short: bool) -> dict[str, Any]:
    """Measure parts against one broker; all that cluster.json holds then."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    records = await asyncio.to_thread(Records.of_simulated_sea)
    file = folder / "records.json"
    file.write_text(records.model_dump_json())
    with KafkaServer(folder / "kafka") as server:
        place = Place(server, folder, file, records.contract, short)
        for part in parts:
            with Console().status(f"measuring: {part}"):
                results |= await PARTS[part](place)
            results |= {f"{part}_machine_load": machine_load(), "machine": machine(), "date": today(), "rerun": RERUN}
            results[f"{part}_short"] = short
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
            Console().print(f"measured: {part}")
    return results


def table(results: Mapping[str, Any]) -> Table:
    """The figures for people, as far as they have been measured."""
    shown = Table(title=f"{results['machine']}, {results['date']}")
    for heading in ("figure", "measured", "target"):
        shown.add_column(heading)
    for row in _rows(results):
        shown.add_row(*map(str, row))
    return shown


def _rows(results: Mapping[str, Any]) -> list[tuple[object, object, object]]:
    rows: list[tuple[object, object, object]] = []
    if "bytes" in results:
        per_s, target = results["bytes_per_hydrophone_second"], results["bytes"]["target"]
        rows.append(("bytes per hydrophone-second", f"{per_s} ({per_s / 1024:.1f} KiB)", f"<= {target}"))
    if "overhead" in results:
        of = results["overhead"]
        rows.append(("Faust over a bare aiokafka loop, time per record", results["faust_overhead"], "<= 0.25"))
        rows.append(("  the same in processor time", of["processor_time_overhead"], ""))
    for number in WORKERS:
        key = f"messages_per_s_{number}_worker{'s' if number > 1 else ''}"
        if key in results:
            rows.append((f"images per s through infer, track, deliver: {number} worker(s)", results[key], ""))
    rows += [_offered(row) for row in results.get("offered_loads", ())]
    if "fleet" in results:
        rows.append((f"fleet of {FLEETS[0]}: kept up with", results["fleet_hydrophones_kept_up"], FLEETS[0]))
        rows += [_offered(row) for row in results["fleet"]["tried"]]
    if "takeover" in results:
        of = results["takeover"]
        rows.append((f"takeover of {of['hydrophones']} hydrophones, s", results["takeover_s"], f"< {of['target_s']:g}"))
    return [*rows, ("in M's place", f"stand-in, {ASSUMED_IMAGES_PER_S:g} images/s assumed", "")]


def _offered(row: Mapping[str, Any]) -> tuple[object, object, object]:
    what = f"  {row['workers']} worker(s), {row['hydrophones']} hydrophones, {row['offered_per_s']:g}/s offered"
    said = f"{row['concluded_per_s']:g}/s, p99 {row['detection']['p99_s']} s, event p99 {row['event']['p99_s']} s"
    return what, said + ("" if row["kept_up"] else ": not kept up"), ""


if __name__ == "__main__":
    main()
