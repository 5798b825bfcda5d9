"""An edge in a process of its own, so that it can be killed."""

import json
import logging
import sys
from pathlib import Path

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.edge_runner import run_edge

if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    run_edge(EdgeConfig.model_validate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
