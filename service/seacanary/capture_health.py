"""CaptureHealth: whether a station or an edge hears every live source, and concludes what it hears."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from seacanary.sources.supervised import SourceChange

# Longer than a block of any source and than the pauses of a sender with a full buffer.
SILENT_S = 5.0
# Windows wait in the queue this long at most before the oldest is shed (batching), and then for the model.
UNANSWERED_S = 30.0

WELL = frozenset({"running", "ended"})


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is heard of one live hydrophone.

    Attributes:
        silent_s: how long it has delivered nothing.
        unanswered_s: how long ago its latest window was concluded, or its first sample came.
    """

    silent_s: float
    unanswered_s: float

    @property
    def is_heard(self) -> bool:
        """Whether samples come, and lead to something."""
        return self.silent_s <= SILENT_S and self.unanswered_s <= UNANSWERED_S


class CaptureHealth:
    """Remembers how sources fare and when windows were last concluded. All methods belong to the loop."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._live: frozenset[str] = frozenset()
        self._changes: dict[str, SourceChange] = {}
        self._concluded_s: dict[str, float] = {}
        self._analysed: set[str] = set()

    def listen_to(self, live: Collection[str]) -> None:
        """Name the sources that must deliver; recordings are not among them."""
        self._live = frozenset(live)

    def source_changed(self, name: str, change: SourceChange) -> None:
        """A source came into another state."""
        self._changes[name] = change

    def concluded(self, hydrophone: str) -> None:
        """A window of the hydrophone was answered by the model."""
        self._concluded_s[hydrophone] = self._monotonic_s()
        self._analysed.add(hydrophone)

    def unready(self, silent_s: Mapping[str, float]) -> tuple[str, ...]:
        """Why not every live source is heard and analysed, as sentences.

        Args:
            silent_s: how long each hydrophone of a live source has delivered nothing.
        """
        return (*self._deaf(), *self._unanswered(self._heard(silent_s)))

    def standstill(self, silent_s: Mapping[str, float]) -> tuple[str, ...]:
        """Why not one live hydrophone is heard and analysed, as sentences; empty: one is, or none has to be.

        Args:
            silent_s: as for unready().
        """
        if all(self._state_of(name) == "ended" for name in self._live):
            return ()
        heard = self._heard(silent_s)
        if any(name in self._analysed and hearing.is_heard for name, hearing in heard.items()):
            return ()
        return self.unready(silent_s) or ("no window has been analysed yet",)

    def details(self, silent_s: Mapping[str, float]) -> dict[str, object]:
        """The same for machines."""
        heard = self._heard(silent_s)
        return {
            "sources": {
                name: {"state": change.state, "live": name in self._live, "reason": change.reason}
                for name, change in self._changes.items()
            },
            "hydrophones": {
                name: {"silent_s": round(h.silent_s, 1), "unanswered_s": round(h.unanswered_s, 1)}
                for name, h in heard.items()
            },
        }

    def _heard(self, silent_s: Mapping[str, float]) -> dict[str, Hearing]:
        now_s = self._monotonic_s()
        for name in silent_s:
            self._concluded_s.setdefault(name, now_s)
        return {name: Hearing(quiet_s, now_s - self._concluded_s[name]) for name, quiet_s in silent_s.items()}

    def _state_of(self, name: str) -> str:
        return self._changes[name].state if name in self._changes else "not open yet"

    def _deaf(self) -> Iterator[str]:
        for name in sorted(self._live):
            state = self._state_of(name)
            if state not in WELL:
                change = self._changes.get(name)
                reason = f": {change.reason}" if change and change.reason else ""
                yield f"source {name} is {state}{reason}"

    def _unanswered(self, heard: Mapping[str, Hearing]) -> Iterator[str]:
        for name, hearing in sorted(heard.items()):
            if hearing.silent_s > SILENT_S:
                yield f"hydrophone {name} has delivered no samples for {hearing.silent_s:.0f} s"
            elif hearing.unanswered_s > UNANSWERED_S:
                yield f"no window of hydrophone {name} has been analysed for {hearing.unanswered_s:.0f} s"
