"""A call in a process of its own: its answer, its error, its death and its hanging."""

import os
import time
from functools import partial

import pytest

from seacanary.doctor.apart import Died, apart
from seacanary.errors import SourceLost

PATIENT_S = 60.0


def test_its_answer_comes_back() -> None:
    assert apart(partial(divmod, 7, 2), limit_s=PATIENT_S) == (3, 1)


def test_an_error_of_ours_is_raised_again() -> None:
    with pytest.raises(SourceLost, match="unplugged"):
        apart(partial(_raise, SourceLost("unplugged")), limit_s=PATIENT_S)


def test_a_process_that_is_ended_by_its_driver_is_told_of() -> None:
    with pytest.raises(Died, match="ended the process"):
        apart(os.abort, limit_s=PATIENT_S)


def test_one_that_hangs_is_killed() -> None:
    with pytest.raises(TimeoutError):
        apart(partial(time.sleep, 1000.0), limit_s=0.5)


def _raise(error: Exception) -> None:
    raise error
