"""Alertmanager as deploy/ sets it up: valid, routed by severity, held back where a station is deaf, and heard."""

import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from monitoring_servers import DEPLOY, alertmanager, fetch, prometheus, until, webhook_receiver
from seacanary.metrics import Metrics, MetricsSection

NEEDED = ("amtool", "prometheus-alertmanager", "prometheus")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"not all of {', '.join(NEEDED)} are installed"),
]

CONFIG = DEPLOY / "alertmanager" / "alertmanager.yml"
START = DEPLOY / "alertmanager" / "start.sh"
HEALTH = {"kind": "health", "station": "pier-7"}


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_valid() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=Watchdog severity=none kind=watchdog", "watchdog"),
        ("alertname=BelugaPresent severity=info kind=presence station=s species=beluga", "presence"),
        ("alertname=StationDeaf severity=critical kind=health station=s", "critical"),
        ("alertname=CoverageLow severity=warning kind=health station=s", "warning"),
        ("alertname=SomebodyElses", "warning"),
    ],
)
def test_alerts_go_to_the_receiver_of_their_kind_and_severity(labels: str, receiver: str) -> None:
    amtool("config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *labels.split())


def test_a_beluga_reaches_the_webhook(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.presence_state.labels("north", "beluga", "present").set(1)
    port = metrics.serve(MetricsSection(port=0))
    with (
        webhook_receiver() as receiver,
        alertmanager(tmp_path, receiver, token="told-in-a-file") as manager,
        prometheus(tmp_path, {"pier-7": port}, manager.removeprefix("http://")),
    ):
        until(lambda: bool(receiver.alerts("BelugaPresent")), "the beluga is told of", within_s=40)
        until(lambda: bool(receiver.alerts("Watchdog")), "the watchdog barks", within_s=30)
    metrics.close()
    (message,) = receiver.alerts("BelugaPresent")
    assert (message["receiver"], message["status"]) == ("presence", "firing")
    (alert,) = message["alerts"]
    assert alert["labels"] == {
        "alertname": "BelugaPresent", "kind": "presence", "severity": "info", "species": "beluga", "station": "pier-7"
    }  # fmt: skip
    assert alert["annotations"]["description"].startswith("Heard on 1 hydrophone: north.")
    assert set(receiver.tokens) == {"Bearer told-in-a-file"}


def test_the_end_of_a_presence_alert_is_not_told_as_if_the_whale_had_left() -> None:
    receivers = {receiver["name"]: receiver for receiver in yaml.safe_load(CONFIG.read_text())["receivers"]}
    assert [hook["send_resolved"] for hook in receivers["presence"]["webhook_configs"]] == [False]


@pytest.mark.parametrize(
    ("source", "held_back", "told"),
    [
        (
            {"alertname": "StationDeaf", "severity": "critical", **HEALTH},
            [
                {"alertname": "CoverageLow", "severity": "critical", **HEALTH},
                {"alertname": "BelugaPresent", "severity": "info", "kind": "presence", "station": "pier-7"},
                {"alertname": "StreamStalled", "severity": "warning", **HEALTH},
            ],
            [
                {"alertname": "CoverageLow", "severity": "critical", "kind": "health", "station": "buoy-2"},
                {"alertname": "DiskLow", "severity": "warning", **HEALTH},
                {"alertname": "Watchdog", "severity": "none", "kind": "watchdog"},
            ],
        ),
        (
            {"alertname": "PrometheusTargetMissing", "severity": "critical", **HEALTH},
            [
                {"alertname": "DiskLow", "severity": "warning", **HEALTH},
                {"alertname": "StationDeaf", "severity": "critical", **HEALTH},
            ],
            [{"alertname": "StationDeaf", "severity": "critical", "kind": "health", "station": "buoy-2"}],
        ),
        (
            {"alertname": "PrometheusTargetMissing", "severity": "critical", "kind": "health"},
            [],
            [
                {"alertname": "Watchdog", "severity": "none", "kind": "watchdog"},
                {"alertname": "StationDeaf", "severity": "critical", **HEALTH},
            ],
        ),
        (
            {"alertname": "CoverageLow", "severity": "critical", **HEALTH},
            [{"alertname": "CoverageLow", "severity": "warning", **HEALTH}],
            [{"alertname": "DiskLow", "severity": "warning", **HEALTH}],
        ),
    ],
    ids=["deaf", "missing", "none scraped", "critical over warning"],
)
def test_what_follows_from_a_fault_is_held_back_at_its_station_only(
    tmp_path: Path, source: dict[str, str], held_back: list[dict[str, str]], told: list[dict[str, str]]
) -> None:
    with webhook_receiver() as receiver, alertmanager(tmp_path, receiver, token="t") as manager:
        now = datetime.now(UTC).isoformat()
        fetch(
            f"{manager}/api/v2/alerts", [{"labels": labels, "startsAt": now} for labels in (source, *held_back, *told)]
        )

        def inhibited() -> list[dict[str, str]] | None:
            alerts = fetch(f"{manager}/api/v2/alerts")
            complete = len(alerts) == 1 + len(held_back) + len(told)
            return sorted_labels(a["labels"] for a in alerts if a["status"]["inhibitedBy"]) if complete else None

        until(lambda: inhibited() == sorted_labels(held_back), f"held back: {held_back}", within_s=20)


def sorted_labels(alerts: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(alerts, key=lambda labels: sorted(labels.items()))


def test_without_its_secrets_it_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [START, tmp_path / "state"],
        env={"PATH": "/usr/bin:/bin", "ALERTMANAGER_SECRETS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode == 2
    assert "webhook_url is missing or empty" in done.stderr


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "webhook_url").write_text("ftp://example.org")
    (tmp_path / "webhook_token").write_text("t")
    done = subprocess.run(
        [START, tmp_path / "state"],
        env={"PATH": "/usr/bin:/bin", "ALERTMANAGER_SECRETS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode == 2
    assert "http:// or https://" in done.stderr
    assert "example.org" not in done.stderr
