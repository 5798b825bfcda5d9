"""Looks at the station from outside, once a second: its ledger by /metrics, its process by /proc."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.request import urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.soaking.records import LEDGER, Counts, Life, Struck, Vitals
from benchmarks.soaking.supervising import Supervisor

EVERY_S = 1.0
HELD_UP_S = 1.0  # later than this, the machine has held the soak itself up
SETTLED = tuple(what for what in LEDGER if what != "pending")
FAILURES = ("seacanary_inference_failures_total", "seacanary_publisher_deadletters_total")


def ledgers(text: str) -> tuple[dict[str, dict[str, int]], dict[str, float]]:
    """Each hydrophone's account in a page of metrics, and the sums of what must stay at zero."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    failures = dict.fromkeys(FAILURES, 0.0)
    names = {f"seacanary_samples_{what}_total": what for what in SETTLED} | {"seacanary_samples_pending": "pending"}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in names:
                found[sample.labels["hydrophone"]][names[sample.name]] = int(sample.value)
            elif sample.name in failures:
                failures[sample.name] += sample.value
    return {name: counts for name, counts in found.items() if len(counts) == len(LEDGER)}, failures


class Watch:
    """A thread that notes readings in the station's present life.

    Attributes:
        busy: moments at which the machine held the soak itself up.
        torn: readings that fell between two steps of an export and were taken again.
        missed: pages that could not be had.
    """

    def __init__(self, supervisor: Supervisor, *, port: int, now_s: Callable[[], float]) -> None:
        self._supervisor, self._port, self._now_s = supervisor, port, now_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.busy: list[Struck] = []
        self.torn = self.missed = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look while entered."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(10)

    def _run(self) -> None:
        while True:
            began_s = self._now_s()
            if self._over.wait(EVERY_S):
                return
            self._note_lateness(began_s)
            lives = self._supervisor.lives
            if lives and lives[-1].ended_s == 0:
                self._look(lives[-1])

    def _note_lateness(self, began_s: float) -> None:
        if (now_s := self._now_s()) - began_s > EVERY_S + HELD_UP_S:
            self.busy.append(Struck("busy", began_s, now_s, "the machine held the soak itself up"))

    def _look(self, life: Life) -> None:
        pid = self._supervisor.pid
        if pid is None:
            return
        with suppress(psutil.Error):  # it has just ended
            process = psutil.Process(pid)
            rss_mb, threads = process.memory_info().rss / 1e6, process.num_threads()
            life.vitals.append(Vitals(self._now_s(), rss_mb, process.num_fds(), threads))
        for _ in range(3):
            if not self._read(life):
                return
            self.torn += 1

    def _read(self, life: Life) -> bool:
        """Take a reading of all ledgers; whether it was torn and should be taken again."""
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            self.missed += 1
            return False
        at_s = self._now_s()
        pages, failures = ledgers(text)
        read = {name: Counts(at_s, **counts) for name, counts in pages.items()}
        if any(not counts.balanced for counts in read.values()):
            return True
        life.failures = failures
        for name, counts in read.items():
            life.counts.setdefault(name, []).append(counts)
        return False
