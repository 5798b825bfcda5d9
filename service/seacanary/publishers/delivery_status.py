"""DeliveryStatus: where one publisher stands, for metrics and views."""

from dataclasses import dataclass

from seacanary.publishers.circuit import CircuitState


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Where one publisher stands.

    Attributes:
        publisher: its name.
        delivered: sequence up to which everything is delivered; None: not known yet, the journal is still to be read.
        waiting: events after that.
        oldest_waiting_ms: when the first of them entered the journal, ms since 1970.
        acknowledged: requests that were acknowledged since the start.
        refused: requests that were refused for good since the start.
        failures: attempts that failed since the start.
        dead_letters: events put aside since the start.
        refills: times the far side was found to have lost entries since the start.
        journal_failures: reads and writes of the journal that failed since the start.
        trouble: why the last attempt failed; None when it did not.
        circuit: open while the far side is only probed.
    """

    publisher: str
    delivered: int | None = None
    waiting: int = 0
    oldest_waiting_ms: int | None = None
    acknowledged: int = 0
    refused: int = 0
    failures: int = 0
    dead_letters: int = 0
    refills: int = 0
    journal_failures: int = 0
    trouble: str | None = None
    circuit: CircuitState = "closed"

    def lag_s(self, now_s: float) -> float:
        """Age of the oldest event still waiting, seconds; 0 if none is."""
        return 0.0 if self.oldest_waiting_ms is None else max(0.0, now_s - self.oldest_waiting_ms / 1000)
