"""Wrong values are refused before anything is installed, with a message that names the value."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from helm_chart import render
from helm_values import MISTAKES


@pytest.mark.parametrize(("name", "values"), MISTAKES.items(), ids=MISTAKES)
def test_a_wrong_value_is_named(name: str, values: Mapping[str, Any]) -> None:
    done = render(values)
    assert done.returncode != 0
    assert name in _as_written(done.stderr), done.stderr


def test_all_that_is_wrong_is_said_at_once() -> None:
    done = render({"role": "worker", "autoscaling": {"enabled": True, "maxReplicas": 40}, "redis": {"host": "r"}})
    assert "3 of the values cannot be used" in done.stderr
    for name in ("kafka.bootstrapServers", "redis.host", "autoscaling.maxReplicas"):
        assert name in done.stderr


def test_a_secret_that_is_refused_is_not_shown() -> None:
    done = render(MISTAKES["config.publishers[0].secret"])
    assert "whsec_abc" not in done.stderr


def _as_written(message: str) -> str:
    """helm names '/persistence/state/sizeGiB' what values.yaml calls persistence.state.sizeGiB."""
    return re.sub(r"'/([\w/]+)'", lambda found: found[1].replace("/", "."), message)
