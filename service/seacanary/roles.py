"""Roles: what a process of Sea Canary can be, and the configuration of each."""

from collections.abc import Mapping
from pathlib import Path

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, StationConfig, parse_config, read_tree
from seacanary.config_checks import ProcessRole, role_of

CONFIGURATIONS: Mapping[ProcessRole, type[Configuration]] = {
    "station": StationConfig,
    "edge": EdgeConfig,
    "worker": WorkerConfig,
}


def read_any(path: Path, role: ProcessRole | None = None) -> Configuration:
    """Read the configuration of any role.

    Args:
        path: of the YAML file.
        role: whose it must be; None: found out by the sections it has.

    Raises:
        ConfigError: as read_config.
    """
    tree = read_tree(path)
    return parse_config(tree, where=str(path), model=CONFIGURATIONS[role or role_of(tree)])
