"""Runs a station in the foreground: signals, the terminal view or JSON lines, the closing account."""

import asyncio
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.panel import Panel

from seacanary.config import StationConfig
from seacanary.detection import Detector
from seacanary.doctor.rounds import examined
from seacanary.event_lines import one_line
from seacanary.events import PresenceEvent
from seacanary.health import Health
from seacanary.metrics import Metrics
from seacanary.outlet import Outlet
from seacanary.reports import ledger_lines
from seacanary.station import Station, StationSummary
from seacanary.supervisor_notice import supervisor_told
from seacanary.view import ledger_account, station_panel

log = logging.getLogger(__name__)

REFRESH_S = 0.25
LINES_KEPT = 10_000  # while nobody reads stdout
LAST_LINES_S = 5.0


def early_hang_ups() -> threading.Event:
    """Set by a SIGHUP that comes before a Runner takes them: asked for while the model loads, done once it has."""
    early = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: early.set())
    return early


class Runner:
    """One station in the foreground, until its sources end, a signal comes or time is up."""

    def __init__(
        self,
        config: StationConfig,
        *,
        detector: Detector,
        console: Console,
        as_json: bool,
        seconds: float | None,
        file: Path | None = None,
        early: threading.Event | None = None,
    ) -> None:
        """Prepare.

        Args:
            config: of the station.
            detector: the model.
            console: where the view and the account go.
            as_json: JSON lines in place of the view, the summary last.
            seconds: stop by itself after this long; None: never.
            file: the configuration was read from, to be read again on SIGHUP; None: SIGHUP ends the process.
            early: set if a SIGHUP has come already.
        """
        self._config, self._console, self._as_json, self._seconds = config, console, as_json, seconds
        self._metrics, self._contract = Metrics(), detector.contract
        self._station = Station(config, detector=detector, metrics=self._metrics, file=file, on_events=self._tell)
        self._file, self._on_terminal = file, console.is_terminal
        self._early = early or threading.Event()
        self._footer = ""
        self._lines = Outlet[str](self._write, most=LINES_KEPT)

    def run(self) -> StationSummary:
        """Run to the end and print the account.

        Raises:
            SeaCanaryError: the station cannot go on, or the metrics port is taken.
        """
        with examined(self._station.in_force, self._station.health.read, contract=self._contract) as health:
            self._serve_metrics(health)
            try:
                summary = asyncio.run(self._run())
            finally:
                self._metrics.close()
        self._close(summary)
        if self._lines.dropped:
            log.warning("%d lines were not read from stdout; the journal has the events", self._lines.dropped)
        return summary

    def _serve_metrics(self, health: Callable[[], Health]) -> None:
        section = self._config.metrics
        if not section.enabled:
            return
        port = self._metrics.serve(section, health=health)
        self._footer = f"metrics: http://{section.host}:{port}/metrics"

    async def _run(self) -> StationSummary:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        if self._file is not None:
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
            if self._early.is_set():
                self._hang_up()
        if self._seconds is not None:
            loop.call_later(self._seconds, self._station.stop)
        view = asyncio.create_task(self._show())
        try:
            async with supervisor_told(self._station.health.read):
                return await self._station.run()
        finally:
            view.cancel()
            with suppress(asyncio.CancelledError):
                await view

    def _stop(self, number: int) -> None:
        """Stop in order; the same signal again then stops at once."""
        asyncio.get_running_loop().remove_signal_handler(number)
        self._station.stop()

    def _hang_up(self) -> None:
        """Read the configuration again; but stop in order if the terminal that we were shown on was closed."""
        if self._on_terminal and not self._console.file.isatty():
            self._station.stop()
        else:
            self._station.reload()

    async def _show(self) -> None:
        if self._as_json or not self._console.is_terminal:
            return
        began = time.monotonic()
        with Live(console=self._console, auto_refresh=False) as live:
            screen = Outlet[Panel](lambda panel: live.update(panel, refresh=True), most=1)
            try:
                while True:
                    screen.put(self._panel(time.monotonic() - began))
                    await asyncio.sleep(REFRESH_S)
            finally:
                screen.close(1.0)

    def _panel(self, running_s: float) -> Panel:
        return station_panel(
            f"Sea Canary · {self._config.station.name} · {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
            hydrophones=self._station.view(),
            events=self._station.recent[-8:],
            footer=f"running {running_s:,.0f} s   {self._footer}   Ctrl-C stops",
        )

    def _tell(self, events: Sequence[PresenceEvent]) -> None:
        for event in events:
            if self._as_json:
                self._lines.put(json.dumps({"type": event.kind, **event.model_dump(mode="json")}))
            elif not self._console.is_terminal:
                self._lines.put(one_line(event))

    def _write(self, line: str) -> None:
        self._console.file.write(line + "\n")
        self._console.file.flush()

    def _close(self, summary: StationSummary) -> None:
        if self._as_json:
            self._lines.put(json.dumps(summary_object(summary)))
            self._lines.close(LAST_LINES_S)
            return
        self._lines.close(LAST_LINES_S)
        self._console.print(ledger_account(summary.ledger))
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.events.items())) or "none"
        self._console.print(f"events in this run: {kinds}", highlight=False)
        for name, count in summary.unsent.items():
            if count:
                self._console.print(f"{name}: {count} events not yet delivered; the journal keeps them")
        for trouble in summary.troubles:
            self._console.print(f"trouble: {trouble}", highlight=False, soft_wrap=True, markup=False)


def summary_object(summary: StationSummary) -> dict[str, object]:
    """The closing JSON line of a run."""
    return {
        "type": "summary",
        "balanced": all(totals.balanced and not totals.pending for totals in summary.ledger.values()),
        "ledger": ledger_lines(summary.ledger),
        "events": dict(summary.events),
        "unsent": dict(summary.unsent),
        "troubles": list(summary.troubles),
    }
