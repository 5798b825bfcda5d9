"""From a dashboard's name to its JSON."""

import json
from collections.abc import Callable
from typing import Any

from dashboards.source import cluster, fleet, inference_node, presence, station_health
from dashboards.source.board import Board
from grafana_foundation_sdk.cog.encoder import JSONEncoder

DASHBOARDS: dict[str, Callable[[], Board]] = {
    "presence": presence.board,
    "station-health": station_health.board,
    "inference-node": inference_node.board,
    "fleet": fleet.board,
    "cluster": cluster.board,
}


# The SDK writes these for every variable; Grafana's schema has them for interval variables alone.
OF_INTERVALS = ("auto", "auto_min", "auto_count")


def rendered(name: str) -> str:
    """The JSON of one dashboard, as it is provisioned: sorted keys, one newline at the end.

    Raises:
        KeyError: there is no such dashboard.
    """
    tree = json.loads(json.dumps(DASHBOARDS[name]().build(), cls=JSONEncoder))
    _drop_leftovers(tree)
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _drop_leftovers(tree: dict[str, Any]) -> None:
    """Drop what the SDK writes and Grafana's schema, of this version or a newer one, does not know."""
    for variable in tree["templating"]["list"]:
        for key in OF_INTERVALS:
            variable.pop(key, None)
    for panel in tree["panels"]:
        if panel["type"] == "table":
            del panel["options"]["footer"]  # an empty one; Grafana 12 moved footers to the fields
