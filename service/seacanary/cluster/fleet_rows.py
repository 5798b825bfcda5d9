"""Rows of the fleet: one hydrophone, one species, one UTC hour, as programs and tables get them."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.cluster.fleet_hours import HydrophoneHour

SECOND_US = 1_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class FleetRow(BaseModel):
    """A species at a hydrophone in an hour. Where nobody listened for it, presence is null, never zero."""

    model_config = ConfigDict(frozen=True)

    station: str
    hydrophone: str
    hour: AwareDatetime = Field(description="beginning of the hour, UTC, by the audio's own time")
    species: str
    present_s: float | None = Field(description="seconds between onset and last call of its presences")
    positive_minutes: int | None = Field(description="minutes in which a presence began or a call of it ended, 0 to 60")
    encounters: int | None = Field(description="presences that began")
    peak_probability: float | None = Field(description="highest of any window, in a presence or not")
    listened_s: float = Field(description="seconds analysed in every window that holds them")
    degraded_s: float = Field(description="seconds analysed in fewer windows: inference was behind, or failed")
    lost_s: float = Field(description="seconds that no model looked at; what is in none of the three was never sent")
    unobservable_s: float = Field(
        description="of listened and degraded: seconds at a sample rate that carries none of its calls"
    )

    @classmethod
    def all_of(cls, hour: HydrophoneHour, *, species: str | None) -> Iterator[Self]:
        """Rows of an hour, by species; of one, if it is named."""
        analysed_us = hour.effort.listened_us + hour.effort.degraded_us
        for name, said in sorted(hour.species.items()):
            if species not in (None, name):
                continue
            observed = analysed_us > said.unobservable_us
            yield cls(
                station=hour.station,
                hydrophone=hour.hydrophone,
                hour=hour.hour,
                species=name,
                present_s=said.present_us / SECOND_US if observed else None,
                positive_minutes=len(said.positive_minutes) if observed else None,
                encounters=said.encounters if observed else None,
                peak_probability=said.peak_probability,
                listened_s=hour.effort.listened_us / SECOND_US,
                degraded_s=hour.effort.degraded_us / SECOND_US,
                lost_s=hour.effort.lost_us / SECOND_US,
                unobservable_s=said.unobservable_us / SECOND_US,
            )


HEADINGS = tuple(FleetRow.model_fields)


def rows_of(hours: Iterable[HydrophoneHour], *, species: str | None) -> list[FleetRow]:
    """Rows of many hours, in their order."""
    return [row for hour in hours for row in FleetRow.all_of(hour, species=species)]


def csv_of(rows: Iterable[FleetRow]) -> str:
    """Lines of CSV, without the headings; what is null is empty."""
    return _csv(row.model_dump(mode="json").values() for row in rows)


def csv_headings() -> str:
    """The first line of CSV."""
    return _csv([HEADINGS])


def _csv(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(value) for value in line] for line in lines)
    return text.getvalue()


def _harmless(value: object) -> object:
    """A spreadsheet takes text that begins like this for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
