"""Every query of every panel, asked of a real Prometheus that scraped a real demo station."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboards.source.palette import NOT_LISTENING, PRESENCE, PRESENT

from dashboard_panels import PanelQuery, filled_in, metric_names, queries
from lively_metrics import DEAF, LivelyMetrics
from prometheus_server import PrometheusServer
from redis_server import free_port
from seacanary.demo import demo_config

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's prometheus"),
]

STATION = "demo"
LONGEST_S = 70.0  # the demo is heard within 45 s; starting comes on top
STEP_S = 5
LOOK_BACK_S = 40

EVERYTHING = {"station": ".+", "hydrophone": ".+", "species": ".+"}
SOME = {"station": STATION, "hydrophone": "(simulated-sea|real-ambient)", "species": "(beluga|porpoise)"}
# As Grafana fills them in for a short time range; panels that ask for longer steps get these all the same,
# or there would be nothing to see within a minute.
TIMES = {"__interval": f"{STEP_S}s", "__rate_interval": "8s", "__range": f"{LOOK_BACK_S}s"}

# Why a metric has no series on a demo. What has series must give every panel data.
GPU = dict.fromkeys(
    (f"DCGM_FI_DEV_{name}" for name in ("GPU_UTIL", "FB_USED", "POWER_USAGE", "GPU_TEMP", "XID_ERRORS")),
    "no GPU, no DCGM exporter",
)
SLOW = dict.fromkeys(
    (f"station:seacanary_coverage_burn:ratio{over}" for over in ("5m", "1h", "6h")),
    "hydrophones count as known after five minutes",
)
CLUSTER = dict.fromkeys(
    (
        f"seacanary_{name}"
        for name in (
            "cluster_lag_records", "cluster_lag_seconds", "watchdog_ends_total", "worker_records_total",
            "deadletters_total", "images_spooled_total", "images_shipped_total", "image_bytes_shipped_total",
            "image_spool_shed_images_total", "images_expired_total",
        )
    ),
    "a demo is one station, without a cluster",
)  # fmt: skip
NOT_ON_A_DEMO = {
    **GPU,
    **SLOW,
    **CLUSTER,
    "seacanary_source_restarts_total": "no source breaks",
    "seacanary_windows_shed_total": "inference keeps up",
    "seacanary_windows_abstained_total": "only a model with an abstain band abstains",
    "seacanary_call_type_unobserved_samples_total": "384 kHz carries every call type",
    "seacanary_clock_drift_ratio": "fitted over minutes",
    "seacanary_alerts_held_back_total": "one bout is one alert",
    "seacanary_reviews_total": "nobody reviews",
    "seacanary_circuit_state": "no webhook is configured",
    "seacanary_publisher_requests_total": "no webhook is configured",
    "seacanary_evidence_bytes": "clips are counted at the next look at the disk",
    "seacanary_evidence_deleted_total": "nothing has to make room",
    "seacanary_evidence_copies_total": "no second place is configured",
    "seacanary_evidence_shed_samples_total": "the disk keeps up",
    "seacanary_quality_shed_samples_total": "the machine keeps up",
}


# What the slowest panels wait for, and seen for long enough to have grown.
HEARD_AND_TRIED = (
    "hydrophone_species:seacanary_present:state == 1",
    f"seacanary_selftest_calls_total offset {STEP_S}s",
    f"seacanary_evidence_clips_total offset {STEP_S}s",
)


@contextmanager
def demo_station(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The demo's own configuration, run as a process, metrics on a port we know."""
    tree = demo_config(folder, seed=1).model_dump(mode="json", exclude_unset=True)
    tree["metrics"] = {"port": port}
    path = folder / "demo.json"
    path.write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "seacanary.cli", "run", str(path), "--json"]
    with (folder / "out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Prometheus when the demo has heard something, tried itself and cut a clip."""
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    with (
        demo_station(folder, port) as station,
        PrometheusServer(folder / "prometheus", station=STATION, metrics_port=port) as server,
    ):
        until = time.monotonic() + LONGEST_S
        while not all(map(server.query, HEARD_AND_TRIED)):
            alive = station.poll() is None and time.monotonic() < until
            assert alive, (folder / "out").read_text(encoding="utf-8")[-3000:]
            time.sleep(0.5)
        time.sleep(2 * STEP_S)
        yield server


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Prometheus beside made-up metrics, all of them."""
    folder = tmp_path_factory.mktemp("lively")
    with LivelyMetrics() as metrics, PrometheusServer(folder, station=STATION, metrics_port=metrics.port) as server:
        time.sleep(3 * STEP_S)
        yield server


def values(series: list[dict[str, Any]]) -> list[float]:
    """All values of an answer, of instant or range queries."""
    return [float(value) for one in series for _, value in one.get("values") or [one["value"]]]


def of_panel(title: str) -> list[PanelQuery]:
    found = [query for query in queries() if query.panel == title]
    assert found, title
    return found


def ask(server: PrometheusServer, query: PanelQuery, variables: dict[str, str]) -> list[dict[str, Any]]:
    expr = filled_in(query.expr, variables | TIMES)
    if query.instant:
        return server.query(expr)
    now_s = time.time()
    return server.query_range(expr, start_s=now_s - LOOK_BACK_S, end_s=now_s, step_s=STEP_S)


def without_data(server: PrometheusServer, excused: Iterable[str]) -> list[str]:
    """Queries without an answer, unless a metric they need has no series and is excused for it."""
    silent = []
    for query in queries():
        if ask(server, query, EVERYTHING):
            continue
        names = metric_names(filled_in(query.expr, EVERYTHING | TIMES))
        missing = {name for name in names if not is_served(server, name)}
        if not missing & set(excused):
            silent.append(f"{query}: {query.expr} (no series: {sorted(missing)})")
    return silent


def is_served(server: PrometheusServer, name: str) -> bool:
    # An unlabelled histogram is there from the start; it says something once it has observed.
    return bool(server.query(f"count({name} > 0)" if name.endswith("_bucket") else f"count({name})"))


@pytest.mark.timeout(150)
def test_every_query_has_data_where_the_demo_has_metrics(demo: PrometheusServer) -> None:
    silent = without_data(demo, NOT_ON_A_DEMO)
    assert not silent, "\n".join(silent)


@pytest.mark.timeout(150)
def test_every_query_succeeds_for_chosen_hydrophones_and_species(demo: PrometheusServer) -> None:
    for query in queries():
        ask(demo, query, SOME)


@pytest.mark.timeout(150)
def test_what_a_demo_shows_is_true_of_it(demo: PrometheusServer) -> None:
    (states,) = of_panel("State of each species, hydrophone by hydrophone")
    timeline = ask(demo, states, EVERYTHING)
    species = {(one["metric"]["hydrophone"], one["metric"]["species"]) for one in timeline}
    assert species == {(h, s) for h in ("simulated-sea", "real-ambient") for s in ("beluga", "porpoise")}
    codes = set(values(timeline))
    assert float(PRESENT) in codes
    assert codes <= {float(code) for code in PRESENCE}
    (events,) = of_panel("Events")
    assert sum(values(ask(demo, events, EVERYTHING))) >= 1
    (hours,) = of_panel("When present: time of day by date")
    now = datetime.now(UTC)
    assert set(values(ask(demo, hours, EVERYTHING))) <= {float(now.hour), float((now - timedelta(minutes=2)).hour)}
    (listening,) = of_panel("Listening now")
    assert values(ask(demo, listening, EVERYTHING)) == [1.0]
    (shares,) = of_panel("Share of effort with presence, by site and species")
    assert all(0 <= value <= 1 for value in values(ask(demo, shares, EVERYTHING)))


@pytest.mark.timeout(60)
def test_every_query_has_data_when_every_metric_has_series(lively: PrometheusServer) -> None:
    silent = without_data(lively, {*GPU, *SLOW})
    assert not silent, "\n".join(silent)


@pytest.mark.timeout(60)
def test_a_hydrophone_nobody_listens_to_is_not_absent(lively: PrometheusServer) -> None:
    (states,) = of_panel("State of each species, hydrophone by hydrophone")
    codes: dict[str, set[float]] = {"north": set(), DEAF: set()}
    for one in ask(lively, states, EVERYTHING):
        codes[one["metric"]["hydrophone"]] |= set(values([one])[-2:])
    assert codes == {"north": {PRESENT}, DEAF: {NOT_LISTENING}}
    (effort,) = of_panel("Effort, by site and species")
    assert {one["metric"]["site"] for one in ask(lively, effort, EVERYTHING)} == {f"{STATION} / north"}


@pytest.mark.timeout(60)
def test_bands_come_in_the_order_of_their_frequencies(lively: PrometheusServer) -> None:
    (bands,) = of_panel("Band levels")
    assert [one["metric"]["band"] for one in ask(lively, bands, EVERYTHING)] == ["000063", "012500"]
