"""A /metrics where every metric has series and every counter counts: what no demo shows in a minute, for tests."""

import threading
from itertools import product
from types import TracebackType
from typing import Self

from prometheus_client import Counter, Gauge, Histogram, Info

from seacanary.metrics import Metrics, MetricsSection

TICK_S = 0.5

# A hydrophone whose audio arrives and is not analysed.
DEAF = "deaf"

# Values of each label; a label that is not here makes the test fail, and so be thought of.
VALUES: dict[str, tuple[str, ...]] = {
    "hydrophone": ("north", DEAF),
    "species": ("beluga", "porpoise"),
    "call_type": ("whistle",),
    "state": (
        "absent", "candidate", "present", "fading", "running", "lost", "recording", "closed", "half_open", "open",
    ),
    "kind": ("started", "ended"),
    "source": ("0-soundcard",),
    "reason": ("lost",),
    "stage": ("intake", "inference", "presence", "journal", "infer", "track"),
    "publisher": ("webhook",),
    "outcome": ("delivered", "complete", "verified", "heard"),
    "rule": ("belugas",),
    "notice": ("heard",),
    "cause": ("cooldown", "age"),
    "verdict": ("confirmed",),
    "condition": ("clipping",),
    "band_hz": ("63", "12500"),
    "reference": ("full scale",),
    "snr_db": ("0", "10"),
    "topic": ("seacanary.images",),
    "partition": ("0", "1"),
}  # fmt: skip


class LivelyMetrics:
    """Serves the station's own metrics with made-up values, which grow twice a second."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="lively-metrics")
        self.port = 0

    def __enter__(self) -> Self:
        self._metrics.build.info({"version": "0", "model": "made-up"})
        self.port = self._metrics.serve(MetricsSection(port=0))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._metrics.close()

    def _live(self) -> None:
        silent = self._metrics.samples["analysed"].labels(DEAF)
        series = [one for metric in self._all() for one in _series(metric) if one is not silent]
        while not self._over.wait(TICK_S):
            for one in series:
                _tick(one)

    def _all(self) -> list[Counter | Gauge | Histogram]:
        found: list[Counter | Gauge | Histogram] = []
        for value in vars(self._metrics).values():
            for metric in value.values() if isinstance(value, dict) else (value,):
                if isinstance(metric, Counter | Gauge | Histogram) and not isinstance(metric, Info):
                    found.append(metric)
        return found


def _series(metric: Counter | Gauge | Histogram) -> list[Counter | Gauge | Histogram]:
    names = metric._labelnames  # prometheus_client has no public way to ask
    if not names:
        return [metric]
    return [metric.labels(*values) for values in product(*(VALUES[name] for name in names))]


def _tick(series: Counter | Gauge | Histogram) -> None:
    match series:
        case Counter():
            series.inc()
        case Gauge():
            series.set(1)
        case Histogram():
            series.observe(0.3)
