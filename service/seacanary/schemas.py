"""JSON Schemas of what people write and programs read: configurations, events, model contract."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from seacanary.contract import ModelContract
from seacanary.events import json_schema
from seacanary.roles import CONFIGURATIONS

SchemaName = Literal["config", "edge", "worker", "events", "contract"]

# Schemas are JSON trees, which have no closer type.
SCHEMAS: Mapping[SchemaName, Callable[[], dict[str, Any]]] = {
    "config": CONFIGURATIONS["station"].model_json_schema,
    "edge": CONFIGURATIONS["edge"].model_json_schema,
    "worker": CONFIGURATIONS["worker"].model_json_schema,
    "events": json_schema,
    "contract": ModelContract.model_json_schema,
}


def schema_text(name: SchemaName) -> str:
    """One schema as JSON, ending in a newline."""
    return json.dumps(SCHEMAS[name](), indent=2) + "\n"
