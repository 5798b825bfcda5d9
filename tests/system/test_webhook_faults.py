"""A receiver fails in every way it can, while the process that delivers is killed: each event arrives, in order."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from event_samples import event
from seacanary.journal_store import JournalStore
from webhook_receiver import Received, Receiver, Reply, always

pytestmark = [pytest.mark.system, pytest.mark.slow]

TESTS = Path(__file__).parent.parent
EVENTS = 60
GOOD = Reply(204)
QUICK = {"timeout_s": 0.4, "first_wait_s": 0.05, "longest_wait_s": 0.4, "opens_after": 3, "recheck_s": 0.2}
# As an operator would have it, but for the longest wait: the test should not wait another 15 minutes.
PATIENT = {"longest_wait_s": 60.0}


class Child:
    """The process that delivers."""

    def __init__(self, path: Path, url: str, policy: dict[str, float], *, events: int = EVENTS) -> None:
        self._command = [sys.executable, str(TESTS / "system" / "webhook_child.py"), str(path), url, str(events)]
        self._command.append(json.dumps(policy))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self._process = subprocess.Popen(self._command, env=environment, stderr=subprocess.PIPE)

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, "it had nothing left to do: the kill would show nothing"
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def wait(self, timeout_s: float) -> None:
        assert self._process is not None
        _, errors = self._process.communicate(timeout=timeout_s)
        assert self._process.returncode == 0, errors.decode()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def child(path: Path, url: str, policy: dict[str, float]) -> Iterator[Child]:
    process = Child(path, url, policy)
    try:
        yield process
    finally:
        process.end()


def until(met: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < deadline_s, "it did not come to that in time"
        time.sleep(0.01)


def check(receiver: Receiver, path: Path) -> None:
    """Each event was taken, in the journal's order and so in each hydrophone's; repeats are the same, id and all."""
    expected = [str(event(n, hydrophone=("north", "south")[n % 2]).id) for n in range(1, EVENTS + 1)]
    assert list(dict.fromkeys(request.id for request in receiver.taken)) == expected
    bodies = {request.id: request.body for request in receiver.received}
    assert all(request.body == bodies[request.id] for request in receiver.received)
    with JournalStore.open_to_read(path) as store:
        assert store.dead_letters() == []
        assert store.cursor("webhook") == EVENTS


def verify_now(request: Received) -> None:
    """Signatures are looked at as they come, since they are good for five minutes."""
    assert request.verified()["id"] == request.id


FAULTS = {
    "500": Reply(500),
    "503 with Retry-After": Reply(503, {"Retry-After": "1"}),
    "hangs": Reply(after_s=30),
    "answers slowly": Reply(after_s=0.25),
    "answers too slowly": Reply(after_s=0.6),
    "drops the connection": Reply(None),
    "drops it half way through the answer": Reply(200, body=b"ok", cut=True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_event_arrives_in_order_though_the_receiver_fails_and_the_process_is_killed(
    tmp_path: Path, fault: str
) -> None:
    failing = False
    unverified: list[Exception] = []

    def behave(request: Received) -> Reply:
        try:
            verify_now(request)
        except Exception as exc:  # noqa: BLE001  # in a thread of the server: told at the end
            unverified.append(exc)
        return FAULTS[fault] if failing else GOOD

    path = tmp_path / "journal.db"
    with Receiver(behave) as receiver, child(path, receiver.url, QUICK) as process:
        process.start()
        until(lambda: len(receiver.taken) >= 10)
        failing = True
        before = len(receiver.received)
        until(lambda: len(receiver.received) >= before + 2)
        process.kill()
        process.start()
        killed_at = len(receiver.received)
        until(lambda: len(receiver.received) >= killed_at + 2)
        failing = False
        process.wait(30)
        check(receiver, path)
    assert unverified == []


def test_each_event_arrives_in_order_though_nobody_listens_for_a_while_and_the_process_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    receiver = Receiver()
    with child(path, receiver.url, QUICK) as process:
        with receiver:
            process.start()
            until(lambda: len(receiver.taken) >= 10)
        before = len(receiver.received)
        time.sleep(1)
        process.kill()
        process.start()
        time.sleep(2)
        assert len(receiver.received) == before
        with receiver:
            process.wait(30)
    check(receiver, path)


def test_a_process_killed_again_and_again_repeats_only_what_it_could_not_note(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    kills = 4
    with Receiver(always(Reply(204, after_s=0.05))) as receiver, child(path, receiver.url, QUICK) as process:
        for kill in range(1, kills + 1):
            process.start()
            until(lambda kill=kill: len(receiver.received) >= kill * 8)  # type: ignore[misc]
            process.kill()
        process.start()
        process.wait(30)
        check(receiver, path)
    assert len(receiver.received) <= EVENTS + kills


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_receiver_that_is_down_for_ten_minutes_gets_everything(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    receiver = Receiver()
    with child(path, receiver.url, PATIENT) as process:
        with receiver:
            process.start()
            until(lambda: len(receiver.taken) >= 10)
        before = len(receiver.received)
        time.sleep(300)
        process.kill()
        process.start()
        time.sleep(300)
        assert len(receiver.received) == before
        with receiver:
            began_s = time.monotonic()
            process.wait(120)
            assert receiver.taken[-1].at_s - began_s < 2 * PATIENT["longest_wait_s"]
    check(receiver, path)
