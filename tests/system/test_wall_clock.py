"""The clock that other tests step for one process: what waits until a time on the wall waits by it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pytest

from wall_clock import WallClock

pytestmark = [pytest.mark.system, pytest.mark.skipif(not which("gcc"), reason="needs gcc")]

# Waits for a condition that nobody fulfils, until so many seconds later on the wall; says how long that took.
WAITING = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
class Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]
condition, mutex = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
print(time.time(), flush=True)
until_s, began_s = time.time() + float(sys.argv[1]), time.monotonic()
deadline = Timespec(int(until_s), int(until_s % 1 * 1e9))
libc.pthread_mutex_lock(mutex)
libc.pthread_cond_timedwait(condition, mutex, ctypes.byref(deadline))
print(time.monotonic() - began_s)
"""


def waiting(clock: WallClock, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WAITING, str(seconds)]
    return subprocess.Popen(command, env={**os.environ, **clock.environment}, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("offset_s", [-3600, 0, 3600])
def test_a_wait_is_as_long_as_it_says_however_wrong_the_clock(offset_s: int, tmp_path: Path) -> None:
    with waiting(WallClock(tmp_path, offset_s=offset_s), 0.5) as process:
        now_s, took_s = (float(line) for line in process.communicate()[0].split())
    assert now_s == pytest.approx(time.time() + offset_s, abs=60)
    assert took_s >= 0.5


def test_a_step_forwards_ends_the_wait_for_a_time_that_has_come(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    with waiting(clock, 1800) as process:
        assert process.stdout is not None
        process.stdout.readline()
        clock.step(3600)
        assert float(process.communicate(timeout=60)[0]) < 60
