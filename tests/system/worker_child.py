"""A worker as a process of its own: worker_child.py CONFIG.json [STAGE:COUNT], which fails at that call of a stage."""

import logging
import sys
from pathlib import Path
from typing import Any

from seacanary.cluster.inferring import Inferring
from seacanary.cluster.tracking import Tracking
from seacanary.cluster.worker import run_worker
from seacanary.cluster.worker_config import WorkerConfig


def plant(what: str) -> None:
    """Let a stage raise at its COUNTth call."""
    stage, count = what.split(":")
    owner, method = {"infer": (Inferring, "conclude"), "track": (Tracking, "take")}[stage]
    real, calls = getattr(owner, method), iter(range(1, sys.maxsize))

    def failing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == int(count):
            raise RuntimeError(f"planted in {stage}")
        return real(*args, **kwargs)

    setattr(owner, method, failing)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for planted in sys.argv[2:]:
        plant(planted)
    run_worker(WorkerConfig.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8")))
