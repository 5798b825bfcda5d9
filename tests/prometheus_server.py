"""A real Prometheus on a free loopback port, with deploy/'s configuration in quicker steps, for tests."""

import json
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from redis_server import free_port

DEPLOYED = Path(__file__).parents[1] / "deploy" / "prometheus"


class PrometheusServer:
    """Scrapes one station every second and evaluates every rule every second; killed on exit."""

    def __init__(self, folder: Path, *, station: str, metrics_port: int) -> None:
        self.port = free_port()
        self._folder, self._station, self._metrics_port = folder, station, metrics_port
        self._process: subprocess.Popen[bytes] | None = None

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The result of an instant query.

        Raises:
            AssertionError: Prometheus refused it.
        """
        return self._ask("query", query=expr)

    def query_range(self, expr: str, *, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        """The series of a range query.

        Raises:
            AssertionError: Prometheus refused it.
        """
        return self._ask("query_range", query=expr, start=str(start_s), end=str(end_s), step=str(step_s))

    def __enter__(self) -> Self:
        self._configure()
        command = ["prometheus", f"--config.file={self._folder / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={self._folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"]
        self._process = subprocess.Popen([*command, "--log.level=error"])
        for _ in range(200):
            with suppress(URLError), urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=1):
                return self
            time.sleep(0.05)
        raise AssertionError("prometheus did not come up")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _configure(self) -> None:
        rules, targets = self._folder / "rules", self._folder / "targets"
        for folder in (rules, targets):
            folder.mkdir(parents=True)
        tree = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text(encoding="utf-8"))
        tree["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(tree), encoding="utf-8")
        for path in (DEPLOYED / "rules").glob("*.yml"):
            groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
            quick = {"groups": [{**group, "interval": "1s"} for group in groups]}
            (rules / path.name).write_text(yaml.safe_dump(quick, width=1000), encoding="utf-8")
        station = [{"targets": [f"127.0.0.1:{self._metrics_port}"], "labels": {"station": self._station}}]
        (targets / "stations.yml").write_text(yaml.safe_dump(station), encoding="utf-8")
        for name in ("monitoring", "alertmanagers"):
            (targets / f"{name}.yml").write_text("[]\n", encoding="utf-8")

    def _ask(self, what: str, **parameters: str) -> list[dict[str, Any]]:
        body = urlencode(parameters).encode()
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{what}", data=body, timeout=10) as answer:
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except HTTPError as exc:
            raise AssertionError(f"{exc.read().decode()} for {parameters['query']}") from exc
        return result
