"""Who is present: the open presences and the bout of each species, as one rule sees them."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.alerts.bout import Bout, OpenPresence


class SpeciesState(BaseModel):
    """One species as a rule sees it.

    Attributes:
        present: its open presences, by hydrophone.
        bout: the bout they make, if any of them satisfies the rule.
        cooldown_until: instant before which no other bout is told of.
    """

    model_config = ConfigDict(frozen=True)

    present: dict[str, OpenPresence] = Field(default_factory=dict)
    bout: Bout | None = None
    cooldown_until: AwareDatetime | None = None


EMPTY: Mapping[str, SpeciesState] = MappingProxyType({})


class Register:
    """Species states by species."""

    def __init__(self, species: Mapping[str, SpeciesState] = EMPTY) -> None:
        self._species = dict(species)

    def snapshot(self) -> dict[str, SpeciesState]:
        """All of it."""
        return dict(self._species)

    def items(self) -> list[tuple[str, SpeciesState]]:
        """Species and states, by species, as they are now."""
        return sorted(self._species.items())

    def presences(self) -> Iterator[OpenPresence]:
        """Every open presence, as it is now."""
        for _, state in self.items():
            yield from state.present.values()

    def state(self, species: str) -> SpeciesState:
        """One species, seen before or not."""
        return self._species.get(species, SpeciesState())

    def change(self, species: str, **changes: object) -> SpeciesState:
        """Change some fields of a species' state."""
        self._species[species] = changed = self.state(species).model_copy(update=changes)
        return changed

    def keep(self, presence: OpenPresence) -> None:
        """Note how a presence stands."""
        event = presence.latest
        self.change(event.species, present=self.state(event.species).present | {event.hydrophone: presence})

    def let_go(self, species: str, hydrophone: str) -> SpeciesState:
        """Forget a presence that has ended."""
        present = self.state(species).present
        return self.change(species, present={name: p for name, p in present.items() if name != hydrophone})
