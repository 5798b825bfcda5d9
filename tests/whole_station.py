"""A whole station in a process of its own, and what it left behind, for tests."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from seacanary.events import EVENT, Event
from seacanary.journal import Journal

STREAM = "{seacanary}:events"
# Of sources: a test machine has other things to do too.
PATIENT: Mapping[str, float] = {"stall_s": 60, "opening_s": 60}


@contextmanager
def whole_station(folder: Path, tree: Mapping[str, object]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `seacanary run` on a configuration; it is told to stop on exit, and must end well.

    Args:
        folder: for its configuration and its log.
        tree: the configuration; the journal is put into the folder.
    """
    path, log = folder / "station.json", folder / "station.log"
    path.write_text(json.dumps({**tree, "journal": {"path": str(folder / "journal.db")}}))  # JSON is YAML
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "seacanary.cli", "run", str(path), "--json"], stdout=output, stderr=output
        )
        try:
            yield process
            process.terminate()
            assert process.wait(60) == 0
        except AssertionError as failure:
            failure.add_note(log.read_text(errors="replace")[-3000:])
            raise
        finally:
            process.kill()
            process.wait()


def journalled(folder: Path) -> list[Event]:
    """All events in a station's journal, in order."""

    async def read() -> list[Event]:
        async with await Journal.open_to_read(folder / "journal.db") as journal:
            return [entry.event async for entry in journal.entries()]

    return asyncio.run(read())


def streamed(url: str) -> list[Event]:
    """All events in a Redis stream, in order."""
    with Redis.from_url(url, decode_responses=True) as redis:
        entries: Any = redis.xrange(STREAM)
        return [EVENT.validate_python(json.loads(fields["event"])["data"]) for _, fields in entries]


def sampled(port: int, name: str, **labels: str) -> float:
    """Sum of a metric's samples with these labels, as the station exports them now."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
