"""A station to plant faults in."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faulty_station import FaultyStation


@pytest.fixture
def station(tmp_path: Path) -> Iterator[FaultyStation]:
    before = os.umask(0o077)
    yield FaultyStation(tmp_path)
    os.umask(before)
