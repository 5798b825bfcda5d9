"""A role in the foreground: its log, its metrics and its signals. It has no view; a supervisor keeps its log."""

import asyncio
import logging
import signal
from collections.abc import Callable

from seacanary.cluster.log_limits import LogLimit
from seacanary.health import Health
from seacanary.metrics import Metrics, MetricsSection

log = logging.getLogger(__name__)


def limit_log(*chatty: str) -> None:
    """Hold back what these loggers repeat, wherever the log goes."""
    for handler in logging.root.handlers:
        handler.addFilter(LogLimit(*chatty))


def serve_metrics(metrics: Metrics, section: MetricsSection, *, health: Callable[[], Health] | None = None) -> None:
    """Serve metrics, and what probes ask, if the section wants it, and say where.

    Raises:
        ConfigError: the port is in use or the address is not this machine's.
    """
    if section.enabled:
        log.info("metrics: http://%s:%d/metrics", section.host, metrics.serve(section, health=health))


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Let SIGINT and SIGTERM stop in order; the same signal again then stops at once. Called on the loop."""
    loop = asyncio.get_running_loop()

    def heard(number: int) -> None:
        loop.remove_signal_handler(number)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard, number)
    loop.add_signal_handler(signal.SIGHUP, _refuse_to_reload)


def _refuse_to_reload() -> None:
    log.warning("SIGHUP: only a station reads its configuration again; restart this process to change it")
