"""A worker as a process of its own: worker_child.py CONFIG.json [PLANTED...]

PLANTED: STAGE:COUNT fails, STAGE:COUNT:kill dies, STAGE:COUNT:block stops the whole loop at that call of a stage;
fetch:COUNT:hang stops the reading of records alone;
slow:SECONDS makes every batch so much slower, and says in the worker's folder when it is in the middle of one;
each:SECONDS makes every image judged so much slower.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from seacanary.cluster.acknowledging import HeldEvent
from seacanary.cluster.inferring import Inferring
from seacanary.cluster.ordered_consumer import OrderedConsumer
from seacanary.cluster.tables import HydrophoneTable
from seacanary.cluster.tracking import Tracking
from seacanary.cluster.worker import run_worker
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.image_detection import ImageJudge, PlacedImage
from seacanary.observations import Detection

STAGES: dict[str, tuple[type, str]] = {
    "infer": (Inferring, "conclude"),
    "track": (Tracking, "take"),
    "changelog": (HydrophoneTable, "send_changelog"),  # the events are out, the state is not
    "acknowledge": (HeldEvent, "acknowledge"),  # all is out, but not committed
    "fetch": (OrderedConsumer, "_getmany"),
}


def plant(what: str, folder: Path) -> None:
    """Let a stage fail or die at its COUNTth call, or take its time."""
    stage, count, *fate = what.split(":")
    if stage == "slow":
        slow_down(float(count), folder / "judging")
        return
    if stage == "each":
        slow_down_each(float(count))
        return
    owner, method = STAGES[stage]
    real, calls = getattr(owner, method), iter(range(1, sys.maxsize))

    def failing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) != int(count):
            return real(*args, **kwargs)
        if fate == ["hang"]:
            return asyncio.Event().wait()  # never set
        fail(stage, *fate)

    setattr(owner, method, failing)


def fail(stage: str, fate: str = "raise") -> NoReturn:
    """End here, stop here, or raise."""
    if fate == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "block":
        threading.Event().wait()  # never set; the interpreter goes on
    raise RuntimeError(f"planted in {stage}")


def slow_down(seconds: float, judging: Path) -> None:
    """Let batches take their time, with a file that says b"1" during one."""
    real, told = Inferring.conclude, judging.open("wb", buffering=0)

    def slow(*args: Any, **kwargs: Any) -> Any:
        os.pwrite(told.fileno(), b"1", 0)
        time.sleep(seconds)
        said = real(*args, **kwargs)
        os.pwrite(told.fileno(), b"0", 0)
        return said

    setattr(Inferring, "conclude", slow)  # noqa: B010  # a type checker minds the plain form


def slow_down_each(seconds: float) -> None:
    """Let the model take so long for each image."""
    real = ImageJudge.judge

    def slow(judge: ImageJudge, images: Sequence[PlacedImage]) -> list[Detection]:
        time.sleep(seconds * len(images))
        return real(judge, images)

    setattr(ImageJudge, "judge", slow)  # noqa: B010  # as above


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    config = Path(sys.argv[1])
    for planted in sys.argv[2:]:
        plant(planted, config.parent)
    run_worker(WorkerConfig.model_validate_json(config.read_text(encoding="utf-8")))
