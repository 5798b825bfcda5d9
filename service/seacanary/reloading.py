"""Reloading: reads the configuration again when asked to, and changes a running station as far as that can be done.

Everything is read, checked and built before anything is switched. Then each thing changes at a place where nothing is
under way: presence rules between two windows of a hydrophone, alert rules between two entries of the journal, a
publisher between two events it has acknowledged.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from seacanary.beside import Beside, Part
from seacanary.config import StationConfig, read_config
from seacanary.contract import ModelContract
from seacanary.deliveries import Channels, Deliveries
from seacanary.errors import SeaCanaryError
from seacanary.health import digest_of
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceSection
from seacanary.reload import Plan, ReloadOutcome, ReloadReport, plan_of
from seacanary.wiring import newcomers

log = logging.getLogger(__name__)

REFUSED, RESTART_DUE = "config_refused", "config_needs_restart"
NAME = "reload"


@dataclass(frozen=True, slots=True)
class Changeable:
    """What of a running station can be changed.

    Attributes:
        contract: of its model.
        journal: of events, open.
        beside: runs its parts.
        deliveries: its publishers.
        use_presence: has all hydrophones, those still to come too, follow presence by other rules.
    """

    contract: ModelContract
    journal: Journal
    beside: Beside
    deliveries: Deliveries
    use_presence: Callable[[PresenceSection], None]


class Reloading:
    """One station's configuration: what is in force, and how it came to be."""

    def __init__(
        self,
        config: StationConfig,
        file: Path | None,
        *,
        metrics: Metrics,
        on_news: Callable[[], None],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Begin with the configuration that the process was started with.

        Args:
            config: in force now.
            file: it was read from; None: from none, it cannot be read again.
            metrics: what to count on.
            on_news: told when details() says something else.
            now_s: the system clock, seconds since 1970.
        """
        self._config, self._file, self._metrics = config, file, metrics
        self._on_news, self._now_s = on_news, now_s
        self._loaded_s = now_s()
        self._asked, self._latest = 0, ReloadReport(number=0, at=self._now(), outcome="applied")
        self._news, self._leaving = asyncio.Event(), False
        for outcome in get_args(ReloadOutcome):
            metrics.config_reloads.labels(outcome)
        metrics.config_loaded.set(self._loaded_s)

    @property
    def in_force(self) -> StationConfig:
        """The configuration that the station follows now; replaced as a whole."""
        return self._config

    def ask(self) -> None:
        """Have the file read again soon; requests that come while one is carried out are carried out together."""
        if self._file is None:
            log.warning("there is no file that the configuration could be read from again")
            return
        self._asked += 1
        self._news.set()
        self._on_news()

    def details(self) -> dict[str, object]:
        """What is in force, and what became of the latest request, as JSON knows it."""
        return {
            "digest": digest_of(self._config),
            "file": None if self._file is None else str(self._file),
            "loaded": datetime.fromtimestamp(self._loaded_s, UTC).isoformat(timespec="seconds"),
            "asked": self._asked,
            "latest": self._latest.model_dump(mode="json"),
        }

    def part(self, station: Changeable) -> Part:
        """As a part of a station."""

        async def run() -> None:
            await self._run(station)

        return Part(NAME, run, leave=self._leave)

    def _leave(self) -> None:
        self._leaving = True
        self._news.set()

    async def _run(self, station: Changeable) -> None:
        """Carry out requests until told to leave."""
        await self._note(station)
        if self._latest.number < self._asked:  # carrying it out has failed, and this part begins again
            self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._leaving:
                return
            if self._file is not None and self._latest.number < self._asked:
                await self._carry_out(station, self._file)

    async def _carry_out(self, station: Changeable, file: Path) -> None:
        number, at = self._asked, self._now()
        log.info("reading %s again", file)
        try:
            plan, channels = await self._prepare(station, file)
        except SeaCanaryError as exc:
            log.error("the configuration was refused, and the old one stays in force: %s", exc)
            self._latest = ReloadReport(number=number, at=at, outcome="refused", reason=str(exc))
        except Exception as exc:  # whatever a file makes a library raise, the station goes on as it was
            log.exception("the configuration cannot be used, and the old one stays in force")
            self._latest = ReloadReport(number=number, at=at, outcome="refused", reason=f"{type(exc).__name__}: {exc}")
        else:
            await self._switch(station, plan, channels)
            self._latest = ReloadReport(
                number=number, at=at, outcome=plan.outcome, changes=plan.changes, restart=plan.restart
            )
        self._metrics.config_reloads.labels(self._latest.outcome).inc()
        self._on_news()
        await self._note(station)

    async def _prepare(self, station: Changeable, file: Path) -> tuple[Plan, Channels]:
        """Read, check and build; nothing is changed yet.

        Raises:
            SeaCanaryError: it cannot be had.
        """
        wanted = await asyncio.to_thread(read_config, file)
        plan = plan_of(self._config, wanted, station.contract, renewed=await station.deliveries.renewed())
        channels = await station.deliveries.prepare(plan.config)
        try:
            await station.journal.begin(newcomers(plan.config))
        except BaseException:
            await station.deliveries.discard(channels)
            raise
        return plan, channels

    async def _switch(self, station: Changeable, plan: Plan, channels: Channels) -> None:
        try:
            await station.beside.heed(plan.config)
        except BaseException:
            await station.deliveries.discard(channels)
            raise
        station.use_presence(plan.config.presence)
        await station.deliveries.switch(channels, station.beside)
        self._config, self._loaded_s = plan.config, self._now_s()
        self._metrics.config_loaded.set(self._loaded_s)
        for change in plan.changes:
            log.warning("changed: %s", change)
        for path in plan.restart:
            log.warning("not changed before a restart: %s", path)
        if not plan.changes and not plan.restart:
            log.info("the file says what is in force already")

    async def _note(self, station: Changeable) -> None:
        """Tell whether the file and the station agree: after a start they do."""
        latest, at, note = self._latest, self._now(), station.beside.conditions.note
        waiting = ", ".join(latest.restart)
        await note(REFUSED, holds=latest.outcome == "refused", at=at, detail=latest.reason)
        await note(
            RESTART_DUE, holds=latest.outcome == "partly", at=at, detail=waiting and f"a restart would change {waiting}"
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_s(), UTC)
