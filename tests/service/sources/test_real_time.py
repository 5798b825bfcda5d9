"""Capture goes first where a limit grants it, in a process of its own: limits cannot be raised again."""

import json
import os
import subprocess
import sys

import pytest

CHILD = """
import json, os, resource, sys, threading
from seacanary.sources.real_time import ask_for_real_time

granted = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_RTPRIO, (granted, granted))
seen = []

def capture():
    seen.append(ask_for_real_time())
    seen.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
    seen.append(os.sched_getparam(0).sched_priority)

thread = threading.Thread(target=capture)
thread.start()
thread.join()
print(json.dumps([*seen, os.sched_getscheduler(0)]))
"""


def asked(granted: int) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(granted)], capture_output=True, text=True, timeout=60, check=False
    )
    if "not allowed to raise" in done.stderr:
        pytest.skip("this user may not raise the limit")
    assert done.returncode == 0, done.stderr
    answer: list[int] = json.loads(done.stdout)
    return answer


def test_without_a_grant_nothing_changes_even_for_root() -> None:
    assert asked(0) == [False, os.SCHED_OTHER, 0, os.SCHED_OTHER]


@pytest.mark.parametrize(("granted", "priority"), [(20, 10), (3, 3)])
def test_the_capturing_thread_alone_goes_first_within_the_grant(granted: int, priority: int) -> None:
    answer = asked(granted)
    if not answer[0]:
        pytest.skip("this machine gives nobody real time")
    assert answer == [True, os.SCHED_RR, priority, os.SCHED_OTHER]
