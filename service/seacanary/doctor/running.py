"""Whether a process runs on the configuration, and what it says of itself."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from seacanary import __version__
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, StationConfig
from seacanary.doctor.findings import Finding, broken, ok, unknown, warning
from seacanary.doctor.processes import process_on
from seacanary.doctor.subject import Running, Subject
from seacanary.health import digest_of

ANSWER_S = 5.0
# Sources are opened, and windows analysed, long before.
STARTING_S = 60.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
SPOOL_FILE = "images.db"
# More of the audio shed than this is no start-up effect.
SHED_SHARE, LOST_SHARE = 1e-3, 1e-3


def look_for(config: Configuration, *, file: Path | None = None) -> Running:
    """Ask the locks and the port of a configuration.

    Args:
        config: what it says.
        file: its YAML file, to find a process that has another journal in mind; None: that is not looked for.
    """
    if not isinstance(config, StationConfig | WorkerConfig):
        return Running()
    holds, doubt = _held(config, file)
    base = _base(config)
    health = _health(base) if base else None
    if health is None or not _is_ours(health, config):
        return Running(holds, doubt=doubt)
    return Running(holds, health, gauges_of(config))


def _held(config: StationConfig | WorkerConfig, file: Path | None) -> tuple[bool, str | None]:
    """Whether a process has the lock, and why that cannot be told."""
    locked = _locked_file(config)
    try:
        if is_held(locked):
            return True, None
    except OSError as exc:
        return False, f"{exc.filename or locked} cannot be asked: {exc.strerror or exc}"
    process = process_on(file) if file else None
    if process is None:
        return False, None
    return (
        False,
        f"process {process} runs on this file, and does not have {locked.absolute()}, which it names from here",
    )


def gauges_of(config: Configuration) -> dict[str, float]:
    """Metrics without labels of the process that runs on a configuration, by name; empty: nobody answers."""
    base = _base(config)
    try:
        families = list(text_string_to_metric_families(_fetched(f"{base}/metrics"))) if base else []
    except ValueError:
        return {}
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def _base(config: Configuration) -> str | None:
    """Where the process answers; None: nowhere that is known."""
    if not isinstance(config, StationConfig | WorkerConfig) or not config.metrics.enabled or not config.metrics.port:
        return None
    host = EVERYWHERE.get(config.metrics.host, config.metrics.host)
    return f"http://{host}:{config.metrics.port}"


def is_held(file: Path) -> bool:
    """Whether a process has the writer's lock of a journal or a spool. Asks for a moment, and takes nothing away.

    Raises:
        OSError: there is a lock, and this user may not ask it.
    """
    try:
        with file.with_name(file.name + ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def _locked_file(config: StationConfig | WorkerConfig) -> Path:
    match config:
        case EdgeConfig():
            return config.edge.spool / SPOOL_FILE
        case StationConfig():
            return config.journal.path
        case WorkerConfig():
            return config.worker.journal


def _is_ours(health: Mapping[str, Any], config: StationConfig | WorkerConfig) -> bool:
    """Another process of seacanary may have the port."""
    if health.get("role") != config.role:
        return False
    return isinstance(config, WorkerConfig) or health.get("station") == config.station.name


def _health(base: str) -> Mapping[str, Any] | None:
    try:
        health = json.loads(_fetched(f"{base}/health"))
    except ValueError:
        return None
    return health if isinstance(health, dict) else None


def _fetched(url: str) -> str:
    """The page, past any proxy; empty if nobody answers."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=ANSWER_S) as answer:
            return bytes(answer.read()).decode("utf-8", "replace")
    except (URLError, OSError):
        return ""


def running(subject: Subject) -> Iterator[Finding]:
    """What the running process says of itself."""
    config, process = subject.config, subject.running
    if config is None:
        return
    name = str(config.role)
    if process.doubt is not None:
        yield _in_doubt(name, process.doubt)
    elif process.health is None:
        yield _silent(name) if process.holds else ok(name, "not running now: sources and ports are tried")
    if process.health is None:
        return
    yield from _said(name, process.health)
    yield from _streams(process)
    yield from _differences(name, process.health, config)


def _silent(name: str) -> Finding:
    return unknown(
        name,
        "it is running (it holds its journal or spool), and does not answer at /health",
        means="it hangs, or metrics.enabled is false, or another program has its port; nothing more is known of it",
        remedy="see its log; if it says nothing new, restart it. Set metrics.enabled: true so that it can be asked",
    )


def _in_doubt(name: str, doubt: str) -> Finding:
    return unknown(
        name,
        f"it cannot be told whether it is running: {doubt}",
        means="sources and ports are not tried: a running station may have them, and many can be had only once",
        remedy="run the doctor as the user, and from the folder, that the station runs in; or stop the station first",
    )


def _said(name: str, health: Mapping[str, Any]) -> Iterator[Finding]:
    for reason in health.get("failing", ()):
        yield broken(
            name,
            f"running, and failing: {reason}",
            means="nothing that is heard now is kept",
            remedy="see its log and the findings below, then restart it",
        )
    starting = health.get("running_s", 0.0) < STARTING_S
    for reason in health.get("unready", ()):
        tell = warning if starting else broken
        yield tell(
            name,
            f"running, and not doing its work: {reason}",
            means="what is not heard or not analysed now counts as unobserved, never as absence",
            remedy="it tries on by itself; see the finding of that source, disk or server below, and its log",
        )
    if health.get("ready"):
        yield ok(name, f"running for {health.get('running_s', 0) / 3600:.1f} h, and doing its work")
    for condition in health.get("conditions", ()):
        where = f" at {condition['hydrophone']}" if condition.get("hydrophone") else ""
        yield warning(
            name,
            f"condition {condition['condition']}{where} holds since {condition['since']}",
            means="the station has told of it as an event; what it is stands in its detail (seacanary events tail)",
            remedy="docs/operator-guide.md has each condition with its causes",
        )


def _streams(process: Running) -> Iterator[Finding]:
    for hydrophone, stream in process.detail("streams").items():
        samples = stream["samples"]
        elapsed = max(1, samples["elapsed"])
        if samples["shed"] > SHED_SHARE * elapsed:
            yield warning(
                f"hydrophone {hydrophone}",
                f"{samples['shed'] / elapsed:.1%} of its audio was shed since the start",
                means="the model is slower than the audio: windows were dropped, and count as unobserved",
                remedy="fewer hydrophones, a faster machine, or an int8 model (model.path); see `seacanary bench`",
            )
        if samples["lost"] > LOST_SHARE * elapsed:
            yield warning(
                f"hydrophone {hydrophone}",
                f"{samples['lost'] / elapsed:.1%} of its samples were lost in {stream['gaps']} gaps",
                means="they never arrived: overruns of the driver, or a network that loses packets",
                remedy="give capture real-time priority or a longer buffer_s/latency_s; look at cable and network",
            )


def _differences(name: str, health: Mapping[str, Any], config: Configuration) -> Iterator[Finding]:
    version = health.get("versions", {}).get("seacanary")
    if version != __version__:
        yield warning(
            name,
            f"version {version} is running, {__version__} is installed",
            means="it was upgraded and not restarted since",
            remedy="restart it",
        )
    if health.get("config") != digest_of(config):
        yield warning(
            name,
            "it runs with another configuration than the file has now",
            means="the file was changed since it was read, or it was started with another one",
            remedy="`seacanary check` the file, then `seacanary reload` it (an edge or a worker: restart)",
        )
