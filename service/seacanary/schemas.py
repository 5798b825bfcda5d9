"""JSON Schemas of what people write and programs read: configuration, events, model contract."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from seacanary.config import StationConfig
from seacanary.contract import ModelContract
from seacanary.events import json_schema

# Schemas are JSON trees, which have no closer type.
SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "config": StationConfig.model_json_schema,
    "events": json_schema,
    "contract": ModelContract.model_json_schema,
}


def schema_text(name: str) -> str:
    """One schema as JSON, ending in a newline."""
    return json.dumps(SCHEMAS[name](), indent=2) + "\n"
