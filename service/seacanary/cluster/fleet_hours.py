"""Hours of the fleet: what was heard at one hydrophone in one UTC hour, and how much of it was listened to.

An hour is told of in parts, which add up: as a rule in one. A part never loses what it had, so of two
versions of it the one with more changes is the newer, in whatever order they arrive.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from seacanary.errors import SeaCanaryError

EffortKind = Literal["listened", "degraded", "lost"]


class PartRefused(SeaCanaryError):
    """A record of the hours topic holds no part this version can read."""


class SpeciesHour(BaseModel):
    """A species in a part of an hour.

    Attributes:
        present_us: microseconds between onset and last call of its presences.
        encounters: presences that began.
        positive_minutes: minutes of the hour, 0 to 59, in which a presence began or a call of it ended; rising.
        peak_probability: highest of any window analysed, in a presence or not; None: none could show it.
        unobservable_us: microseconds analysed at a sample rate that carries none of its calls.
    """

    model_config = ConfigDict(frozen=True)

    present_us: int = 0
    encounters: int = 0
    positive_minutes: tuple[int, ...] = ()
    peak_probability: float | None = None
    unobservable_us: int = 0


class Effort(BaseModel):
    """How much was listened to; what is in none of the three, nothing has come of.

    Attributes:
        listened_us: microseconds analysed in every window that holds them.
        degraded_us: microseconds analysed in fewer windows than that: inference was behind, or failed.
        lost_us: microseconds in no analysed window: never arrived, shed, or skipped.
    """

    model_config = ConfigDict(frozen=True)

    listened_us: int = 0
    degraded_us: int = 0
    lost_us: int = 0

    def plus(self, kind: EffortKind, length_us: int) -> "Effort":
        """With so much more of a kind; less, if negative."""
        name = f"{kind}_us"
        return self.model_copy(update={name: getattr(self, name) + length_us})

    def __add__(self, other: "Effort") -> "Effort":
        return Effort(
            listened_us=self.listened_us + other.listened_us,
            degraded_us=self.degraded_us + other.degraded_us,
            lost_us=self.lost_us + other.lost_us,
        )


class HourPart(BaseModel):
    """What a stretch of a hydrophone's stream has said of one hour so far.

    Attributes:
        hour: the hour's beginning, UTC.
        epoch, first_sample: where in the stream the part begins; with the hour, its name.
        changes: how often it has grown.
        until: UTC of the end of what has come in.
        effort: of the hydrophone.
        species: all that the model knows, by name.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    station: str
    hydrophone: str
    hour: AwareDatetime
    epoch: AwareDatetime
    first_sample: int
    changes: int = 0
    until: AwareDatetime
    effort: Effort = Effort()
    species: Mapping[str, SpeciesHour]

    @property
    def key(self) -> str:
        """Name of the part, and key of its records."""
        place = f"{self.epoch.isoformat()}/{self.first_sample}"
        return f"{self.station}/{self.hydrophone}/{self.hour.isoformat()}/{place}"

    def encoded(self) -> bytes:
        """As a record's value: JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def decoded(cls, value: bytes | None) -> "HourPart":
        """What encoded() made bytes of.

        Raises:
            PartRefused: it is none.
        """
        try:
            return cls.model_validate_json(value or b"")
        except ValidationError as exc:
            raise PartRefused(f"no part of an hour: {exc.errors()[0]['msg']}") from exc


class HydrophoneHour(BaseModel):
    """All that is known of one hydrophone's hour."""

    model_config = ConfigDict(frozen=True)

    station: str
    hydrophone: str
    hour: AwareDatetime
    effort: Effort
    species: Mapping[str, SpeciesHour]


def added_up(parts: Iterable[HourPart]) -> HydrophoneHour:
    """The hour that parts are of; at least one."""
    first, *others = parts
    effort, species = first.effort, dict(first.species)
    for part in others:
        effort += part.effort
        for name, more in part.species.items():
            species[name] = _both(species[name], more) if name in species else more
    return HydrophoneHour(
        station=first.station, hydrophone=first.hydrophone, hour=first.hour, effort=effort, species=species
    )


def _both(one: SpeciesHour, other: SpeciesHour) -> SpeciesHour:
    peaks = [said.peak_probability for said in (one, other) if said.peak_probability is not None]
    return SpeciesHour(
        present_us=one.present_us + other.present_us,
        encounters=one.encounters + other.encounters,
        positive_minutes=tuple(sorted({*one.positive_minutes, *other.positive_minutes})),
        peak_probability=max(peaks, default=None),
        unobservable_us=one.unobservable_us + other.unobservable_us,
    )
