"""The probes over real HTTP: codes, reasons, and an answer while others hang."""

import json
import socket
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from seacanary.errors import ConfigError
from seacanary.health import Health
from seacanary.metrics import Metrics, MetricsSection

WELL = Health((), (), {"role": "station"})
UNREADY = Health((), ("source 0-alsa is lost",), {"role": "station"})
FAILING = Health(("the journal could not be written for 90 s",), ("it is starting",), {})


class Served:
    """Metrics with a health that tests set."""

    def __init__(self) -> None:
        self.health = WELL
        self.metrics = Metrics()
        self.port = self.metrics.serve(MetricsSection(port=0), health=lambda: self.health)

    def get(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        request = Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.metrics.close()


@pytest.mark.parametrize(
    ("health", "alive", "ready", "reasons"),
    [
        (WELL, 200, 200, []),
        (UNREADY, 200, 503, ["source 0-alsa is lost"]),
        (FAILING, 503, 503, ["the journal could not be written for 90 s", "it is starting"]),
    ],
)
def test_probes_answer_with_a_code_and_reasons(
    served: Served, health: Health, alive: int, ready: int, reasons: list[str]
) -> None:
    served.health = health
    assert served.get("/healthz")[0] == alive
    code, body = served.get("/readyz")
    assert code == ready
    assert json.loads(body) == {"ok": not reasons, "reasons": reasons}


def test_details_are_200_whatever_they_say(served: Served) -> None:
    served.health = FAILING
    code, body = served.get("/health")
    assert code == 200
    assert json.loads(body)["alive"] is False


def test_metrics_are_served_beside_them(served: Served) -> None:
    code, body = served.get("/metrics")
    assert code == 200
    assert "seacanary_windows_analysed_total" in body


def test_other_paths_and_methods_are_refused(served: Served) -> None:
    assert served.get("/favicon.ico")[0] == 404
    assert served.get("/healthz", method="POST")[0] == 405
    assert served.get("/healthz", method="HEAD") == (200, "")


def test_a_client_that_says_nothing_holds_up_nobody(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port)):
        assert served.get("/healthz")[0] == 200


def test_without_a_health_there_are_no_probes() -> None:
    metrics = Metrics()
    port = metrics.serve(MetricsSection(port=0))
    with pytest.raises(HTTPError) as refusal:
        urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
    assert refusal.value.code == 404
    refusal.value.close()
    metrics.close()


def test_a_port_that_is_taken_is_named(served: Served) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{served.port}: Address already in use"):
        Metrics().serve(MetricsSection(port=served.port))
