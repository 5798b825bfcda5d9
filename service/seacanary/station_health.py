"""StationHealth: what a station's probes are told: its capture, its journal, and what else may be wrong."""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Never

from seacanary.capture_health import CaptureHealth
from seacanary.conditions import OpenCondition
from seacanary.config import StationConfig
from seacanary.health import Health, HealthBoard, Vitals, digest_of
from seacanary.hydrophone import Hydrophone
from seacanary.journal import Journal
from seacanary.journal_pulse import JournalPulse
from seacanary.publishers.delivery_status import DeliveryStatus
from seacanary.sources.supervised import SourceChange


class StationHealth:
    """Fed on the loop; read() from any thread."""

    def __init__(self, config: StationConfig, *, model_id: str, provider: str) -> None:
        """Begin: the station is starting.

        Args:
            config: the station's whole configuration.
            model_id: of the model it has loaded.
            provider: what the model really runs on.
        """
        self._capture, self._pulse = CaptureHealth(), JournalPulse()
        facts = {
            "station": config.station.name,
            "process": os.getpid(),
            "config": digest_of(config),
            "model": {"id": model_id, "provider": provider},
        }
        self._board = HealthBoard(config.role, facts=facts)

    def read(self) -> Health:
        """What is known now."""
        return self._board.read()

    def listen_to(self, live: Collection[str]) -> None:
        """Name the sources that must deliver."""
        self._capture.listen_to(live)

    def source_changed(self, name: str, change: SourceChange) -> None:
        """A source came into another state."""
        self._capture.source_changed(name, change)

    def concluded(self, hydrophone: str) -> None:
        """A window was answered by the model."""
        self._capture.concluded(hydrophone)

    async def pulse(self, journal: Journal) -> Never:
        """Write to the journal again and again, until cancelled."""
        await self._pulse.run(journal)

    def post(
        self,
        *,
        silent_s: Mapping[str, float],
        hydrophones: Mapping[str, Hydrophone],
        deliveries: Iterable[DeliveryStatus],
        conditions: Iterable[OpenCondition],
        configuration: Mapping[str, object],
        now_s: float,
    ) -> None:
        """Say how things stand; once a second.

        Args:
            silent_s: how long each live hydrophone has delivered nothing.
            hydrophones: all that were heard, by name.
            deliveries: where each publisher stands.
            conditions: what is known to be wrong.
            configuration: what is in force, with its digest, and how it came to be.
            now_s: system clock, seconds since 1970.
        """
        details = {
            **self._capture.details(silent_s),
            "streams": {name: _stream(hydrophone) for name, hydrophone in hydrophones.items()},
            "publishers": {status.publisher: _delivery(status, now_s) for status in deliveries},
            "conditions": [condition.model_dump(mode="json") for condition in conditions],
            "config": configuration["digest"],
            "configuration": configuration,
        }
        unready, standstill = self._capture.unready(silent_s), self._capture.standstill(silent_s)
        self._board.post(Vitals(self._pulse.failing(), unready, details, standstill))


def _stream(hydrophone: Hydrophone) -> dict[str, object]:
    intake = hydrophone.intake
    totals, clock = intake.ledger.totals, intake.clock
    return {
        "sample_rate_hz": intake.sample_rate_hz,
        "drift_ppm": clock.drift_ppm if clock else None,
        "clock_steps": clock.step_count if clock else 0,
        "gaps": hydrophone.gaps,
        "samples": {
            "elapsed": totals.elapsed,
            "lost": totals.lost,
            "analysed": totals.analysed,
            "shed": totals.shed,
            "pending": totals.pending,
        },
    }


def _delivery(status: DeliveryStatus, now_s: float) -> dict[str, object]:
    return {
        "waiting": status.waiting,
        "lag_s": round(status.lag_s(now_s), 1),
        "dead_letters": status.dead_letters,
        "circuit": status.circuit,
        "trouble": status.trouble,
    }
