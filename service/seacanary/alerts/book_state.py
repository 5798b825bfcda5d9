"""BookState: all there is to know of an AlertBook, and how it stands by a clock that was set back."""

from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.alerts.bout import Bout
from seacanary.alerts.outbox import OutboxState
from seacanary.alerts.register import SpeciesState

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class BookState(BaseModel):
    """An AlertBook at one instant, to go on from after a restart."""

    model_config = ConfigDict(frozen=True)

    now: AwareDatetime = BEGINNING
    species: dict[str, SpeciesState] = Field(default_factory=dict)
    unconfirmed: tuple[Bout, ...] = ()
    outbox: OutboxState = OutboxState()

    def earlier(self, by: timedelta) -> Self:
        """With every instant that something is counted from or due at so much earlier; when calls were heard stays."""
        return self.model_copy(
            update={
                "now": self.now - by,
                "species": {name: _of_species(state, by) for name, state in self.species.items()},
                "unconfirmed": tuple(_of_bout(bout, by) for bout in self.unconfirmed),
                "outbox": _of_outbox(self.outbox, by),
            }
        )


def _of_species(state: SpeciesState, by: timedelta) -> SpeciesState:
    return SpeciesState(
        present={name: p.changed(open_since=p.open_since - by) for name, p in state.present.items()},
        bout=state.bout and _of_bout(state.bout, by),
        cooldown_until=state.cooldown_until and state.cooldown_until - by,
    )


def _of_bout(bout: Bout, by: timedelta) -> Bout:
    return bout.changed(told_at=bout.told_at and bout.told_at - by, ended_at=bout.ended_at and bout.ended_at - by)


def _of_outbox(outbox: OutboxState, by: timedelta) -> OutboxState:
    budget = outbox.budget.model_copy(update={"sent": tuple(sent - by for sent in outbox.budget.sent)})
    tally = outbox.tally and outbox.tally.model_copy(update={"due": outbox.tally.due - by})
    return outbox.model_copy(update={"budget": budget, "tally": tally})
