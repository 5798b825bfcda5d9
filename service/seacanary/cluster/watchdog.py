"""Watchdog: ends a worker that is stuck, so that its supervisor starts it again. docs/kafka.md says when that is.

It has a thread, a loop and clients of its own: it works when Faust's consumer, Faust's loop, or both, do not.
It cannot work while native code keeps the interpreter to itself. What it ends with is on disk before the process
ends, and counted by the next one: the metrics of a process go with it.
"""

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, Protocol, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from seacanary.cluster.broker_look import NoAnswer
from seacanary.cluster.guarding import BROKEN, end_process
from seacanary.cluster.watchdog_judgement import Answer, Place, Progress, Reason, Standing, Stuck, StuckJudge
from seacanary.metrics import Metrics

log = logging.getLogger(__name__)

FILE = "watchdog.json"
BEAT_S = 0.5
LOOKS_PER_LIMIT = 12
LAST_WORD_S = 5.0  # longer than that nobody waits for a log that does not take it
CLOSE_S = 5.0


class Brokers(Protocol):
    """What the watchdog asks the brokers."""

    async def answer(self) -> Answer:
        """Offsets and members.

        Raises:
            NoAnswer: they do not say.
        """

    async def oldest_ms(self, standings: Mapping[Place, Standing]) -> Mapping[Place, int]:
        """The brokers' time of the oldest record that waits, as far as it can be known."""

    async def aclose(self) -> None:
        """Let go of them."""


class Ends(BaseModel):
    """What watchdogs of this folder's workers have ended, kept on disk.

    Attributes:
        counts: how often, by reason.
        latest: the latest, in words.
    """

    model_config = ConfigDict(frozen=True)

    counts: dict[str, int] = {}
    latest: str = ""


class Watchdog:
    """Looks, judges, ends the process."""

    def __init__(
        self,
        judge: StuckJudge,
        brokers: Brokers,
        *,
        progress: Callable[[], Progress],
        metrics: Metrics,
        folder: Path,
        look_s: float,
        on_look: Callable[[Answer | None, float], None] = lambda _answer, _quiet_s: None,
        end: Callable[[], NoReturn] = end_process,
    ) -> None:
        """Prepare; guarding() begins.

        Args:
            judge: says what is stuck.
            brokers: asked by the watchdog's own loop alone.
            progress: the worker's word, asked on the worker's loop; its beats are counted here.
            metrics: where lag is shown.
            folder: where ends are counted.
            look_s: seconds between looks.
            on_look: told what the brokers said, and how long the most suspicious part has not moved, s; on our thread.
            end: ends the process.
        """
        self._judge, self._brokers, self._progress_of = judge, brokers, progress
        self._metrics, self._file, self._look_s, self._end = metrics, folder / FILE, look_s, end
        self._on_look = on_look
        self._progress = Progress()
        self._over = threading.Event()
        self._silent = self._deaf = self._blind = False
        self._shown: set[Place] = set()

    @asynccontextmanager
    async def guarding(self) -> AsyncIterator[None]:
        """Guard whatever runs on this loop meanwhile."""
        self._show_ends()
        thread = threading.Thread(target=lambda: asyncio.run(self._watch()), name="watchdog", daemon=True)
        thread.start()
        beating = asyncio.create_task(self._beat_always(), name="watchdog beat")
        try:
            yield
        finally:
            self._over.set()
            beating.cancel()
            await asyncio.to_thread(thread.join, CLOSE_S)

    async def _beat_always(self) -> None:
        for beats in range(1, sys.maxsize):
            self._progress = replace(self._progress_now(), beats=beats)
            await asyncio.sleep(BEAT_S)

    def _progress_now(self) -> Progress:
        try:
            progress = self._progress_of()
        except Exception:  # a fault of ours must not look like a loop that hangs
            if not self._deaf:
                log.exception("watchdog: the worker cannot be asked how far it is")
            self._deaf = True
            return self._progress
        self._deaf = False
        return progress

    async def _watch(self) -> None:
        try:
            while not await asyncio.to_thread(self._over.wait, self._look_s):
                await self._look_guarded()
        finally:
            await self._brokers.aclose()

    async def _look_guarded(self) -> None:
        try:
            await self._look()
        except Exception:  # a fault of ours must not leave the worker without a watchdog
            if not self._blind:
                log.exception("watchdog: a look has failed; it goes on looking")
            self._blind = True
        else:
            self._blind = False

    async def _look(self) -> None:
        answer = await self._answer()
        stuck = self._judge.judge(time.monotonic(), self._progress, answer)
        if stuck is not None and not self._over.is_set():
            self._end_stuck(stuck)
        self._on_look(answer, self._judge.quiet_s())
        await self._show(answer)

    async def _answer(self) -> Answer | None:
        try:
            answer = await self._brokers.answer()
        except NoAnswer as exc:
            self._note_silence(f"brokers do not answer, and nobody is stuck meanwhile: {exc}")
            return None
        except Exception:  # noqa: BLE001  # a fault of ours must not end workers that do their work
            self._note_silence("brokers cannot be asked, and nobody is judged meanwhile", exc_info=True)
            return None
        if self._silent:
            log.warning("watchdog: brokers answer again")
        self._silent = False
        return answer

    def _note_silence(self, what: str, *, exc_info: bool = False) -> None:
        if not self._silent:
            log.warning("watchdog: %s", what, exc_info=exc_info)
        self._silent = True

    async def _show(self, answer: Answer | None) -> None:
        self._metrics.brokers_reached.set(answer is not None)
        self._metrics.watchdog_quiet.set(self._judge.quiet_s())
        standings = answer.standings if answer else {}
        for place in self._shown - standings.keys():
            with suppress(KeyError):
                self._metrics.cluster_lag_records.remove(place.stage, str(place.partition))
        self._shown = set(standings)
        for place, standing in standings.items():
            self._metrics.cluster_lag_records.labels(place.stage, str(place.partition)).set(standing.waiting)
        if answer is None:
            self._metrics.cluster_lag.clear()  # not known is not none
            return
        times_ms, now_s = await self._brokers.oldest_ms(standings), time.time()
        for stage in {place.stage for place in standings}:
            ages_s = [now_s - times_ms[place] / 1000 for place in times_ms if place.stage == stage]
            self._metrics.cluster_lag.labels(stage).set(max(0.0, *ages_s) if ages_s else 0.0)

    def _end_stuck(self, stuck: Stuck) -> None:
        """Say why, and end; if the log itself is what hangs, end without."""
        last_word = threading.Timer(LAST_WORD_S, os._exit, (BROKEN,))
        last_word.daemon = True
        last_word.start()
        try:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - stuck.quiet_s))
            self._count(stuck.reason, f"since {since}: {stuck}")
            log.critical(
                "the worker is stuck since about %s: %s. It ends, to be started again; nothing is lost%s",
                since, stuck, _main_stack() if stuck.reason == "loop" else "",
            )  # fmt: skip
            self._end()
        finally:
            last_word.cancel()

    def _count(self, reason: Reason, what: str) -> None:
        before = self._ends()
        counts = {**before.counts, reason: before.counts.get(reason, 0) + 1}
        with suppress(OSError):  # a disk that is full must not keep a stuck worker alive
            self._file.write_text(Ends(counts=counts, latest=what).model_dump_json(), encoding="utf-8")

    def _ends(self) -> Ends:
        try:
            return Ends.model_validate_json(self._file.read_text(encoding="utf-8"))
        except (OSError, ValidationError):  # the first, or written to a full disk
            return Ends()

    def _show_ends(self) -> None:
        ends = self._ends()
        for reason in get_args(Reason):
            self._metrics.watchdog_ends.labels(reason).inc(ends.counts.get(reason, 0))
        if ends.latest:
            log.warning("the watchdog has ended a worker here before, the last time %s", ends.latest)


def _main_stack() -> str:
    """Where the main thread is."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # documented, if for few purposes
    return ":\n" + "".join(traceback.format_stack(frame)) if frame else ""
