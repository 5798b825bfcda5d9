"""Captures in a process of its own: ALSA reads its configuration once, when it is first used.

Called with one JSON job; prints one JSON report. The audio goes to files beside it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seacanary.audio import Arrival, AudioBlock
from seacanary.errors import SourceError
from seacanary.sources.alsa import Alsa, AlsaSection
from seacanary.sources.capture import Clock, read_clocks
from seacanary.sources.devices import list_devices
from seacanary.sources.soundcard import Soundcard, SoundcardSection

STALLED_S = 2.0  # as a supervisor would find; on an unplugged device PortAudio just goes quiet


def open_source(section: dict[str, Any], clock: Clock = read_clocks) -> Soundcard | Alsa:
    if section["kind"] == "alsa":
        return Alsa(AlsaSection.model_validate(section), clock=clock)
    return Soundcard(SoundcardSection.model_validate(section), clock=clock)


def stalling_clock(at_call: int, stall_s: float) -> Clock:
    """A clock that holds the capture thread up once: what a busy machine does to it."""
    calls = iter(range(1_000_000))

    def clock() -> Arrival:
        now = read_clocks()
        if next(calls) == at_call:
            time.sleep(stall_s)
        return now

    return clock


def unplug(file: Path) -> None:
    if file.exists():
        file.rename(file.with_suffix(".gone"))


def plug_in(file: Path) -> None:
    file.with_suffix(".gone").rename(file)


class Recorder:
    """Keeps what a source yields."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.blocks = folder, list[dict[str, Any]]()

    def take(self, block: AudioBlock) -> None:
        with (self._folder / f"{block.hydrophone}.f32").open("ab") as audio:
            audio.write(block.samples.tobytes())
        arrival = block.arrival or Arrival(0, 0)
        self.blocks.append(
            {
                "hydrophone": block.hydrophone,
                "first": block.first_sample,
                "size": block.samples.size,
                "epoch": block.epoch.timestamp(),
                "arrived": arrival.monotonic_s,
                "read_only": not block.samples.flags.writeable,
            }
        )


async def record(source: Soundcard | Alsa, job: dict[str, Any], on_block: Callable[[AudioBlock], None]) -> str | None:
    """Feed blocks to on_block until `until_frame`; returns the error that came instead, if one did."""
    blocks = source.blocks()
    try:
        while True:
            async with asyncio.timeout(STALLED_S):
                block = await anext(blocks)
            on_block(block)
            if block.first_sample == 0 and job.get("station_stall_s"):
                time.sleep(job["station_stall_s"])  # noqa: ASYNC251  the loop itself is what stalls
            if block.end_sample >= job["until_frame"]:
                return None
    except SourceError as exc:
        return f"{type(exc).__name__}: {exc}"
    except TimeoutError:
        return "stalled"
    finally:
        await source.aclose()
        await source.aclose()


async def capture(job: dict[str, Any]) -> dict[str, Any]:
    recorder = Recorder(Path(job["folder"]))
    clock = stalling_clock(job["stall_at_block"], 1.0) if "stall_at_block" in job else read_clocks
    started = time.time()
    source = open_source(job["section"], clock)
    error = await record(source, job, recorder.take)
    return {"blocks": recorder.blocks, "error": error, "overflows": source.overflows, "started": started}


async def vanish(job: dict[str, Any]) -> dict[str, Any]:
    """Unplug every device in mid-capture, look for ours in vain, plug ours alone in again."""
    errors, files = [], [Path(file) for file in job["files"]]

    def unplug_all(block: AudioBlock) -> None:
        if block.first_sample > 0:
            for file in files:
                unplug(file)

    errors.append(await record(open_source(job["section"]), job, unplug_all))
    errors.append(await record(open_source(job["section"]), job, unplug_all))
    plug_in(files[0])
    recorder = Recorder(Path(job["folder"]))
    errors.append(await record(open_source(job["section"]), job, recorder.take))
    return {"errors": errors, "blocks": recorder.blocks}


async def late(job: dict[str, Any]) -> dict[str, Any]:
    """Plug a device in while another one is being captured."""
    hidden = Path(job["files"][0])
    unplug(hidden)
    steady = asyncio.create_task(record(open_source(job["other"]), job | {"until_frame": 10**9}, lambda _: None))
    await asyncio.sleep(0.5)
    errors = [await record(open_source(job["section"]), job, lambda _: None)]
    undisturbed = not steady.done()
    plug_in(hidden)
    recorder = Recorder(Path(job["folder"]))
    errors.append(await record(open_source(job["section"]), job, recorder.take))
    return {"errors": errors, "undisturbed": undisturbed, "steady": await steady, "blocks": recorder.blocks}


async def refusals(job: dict[str, Any]) -> dict[str, Any]:
    """What each of several sections is answered."""
    return {"errors": [await record(open_source(section), job, lambda _: None) for section in job["sections"]]}


async def devices(_: dict[str, Any]) -> dict[str, Any]:
    return list_devices().model_dump()


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    scenario = {"capture": capture, "vanish": vanish, "late": late, "refusals": refusals, "devices": devices}[
        job["scenario"]
    ]
    sys.stdout.write(json.dumps(asyncio.run(scenario(job))))
