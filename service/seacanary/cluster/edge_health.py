"""EdgeHealth: what an edge's probes are told: its capture, its spool, and what waits there for Kafka."""

from collections.abc import Collection, Mapping

from seacanary.capture_health import CaptureHealth
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.health import Health, HealthBoard, Vitals, digest_of
from seacanary.journal_pulse import PATIENCE_S
from seacanary.sources.supervised import SourceChange


class EdgeHealth:
    """Fed on the loop; read() from any thread. Brokers that are away are in the details: images wait for them."""

    def __init__(self, config: EdgeConfig, *, model_id: str, provider: str) -> None:
        """Begin: the edge is starting.

        Args:
            config: the edge's whole configuration.
            model_id: of the model whose T it has loaded.
            provider: what T really runs on.
        """
        self._capture = CaptureHealth()
        facts = {
            "station": config.station.name,
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
        """An image was made of a window, and put into the spool."""
        self._capture.concluded(hydrophone)

    def post(self, *, silent_s: Mapping[str, float], spool_failing_s: float, spool: Mapping[str, object]) -> None:
        """Say how things stand; once a second.

        Args:
            silent_s: how long each live hydrophone has delivered nothing.
            spool_failing_s: how long the disk has refused the spool.
            spool: what waits there, as JSON knows it.
        """
        lasts = spool_failing_s > PATIENCE_S
        failing = (f"the spool could not be written for {spool_failing_s:.0f} s",) if lasts else ()
        details = {**self._capture.details(silent_s), "spool": spool}
        unready, standstill = self._capture.unready(silent_s), self._capture.standstill(silent_s)
        self._board.post(Vitals(failing, unready, details, standstill))
