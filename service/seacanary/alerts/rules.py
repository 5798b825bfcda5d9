"""When people are told: the alerts section and its rules."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seacanary.presence_event import PresenceEvent
from seacanary.station_events import Notice

ONE_DAY = timedelta(days=1)


class QuietHours(BaseModel):
    """Local times of day [start, end) in which nobody is told; what came meanwhile is told at their end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: time = Field(description="local time of day they begin, such as '22:00'")
    end: time = Field(description="local time of day they end; before start: on the next day")
    zone: str = Field("UTC", description="IANA time zone, such as America/Anchorage")

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone '{zone}'; use an IANA name such as Europe/Berlin") from None
        return zone

    @model_validator(mode="after")
    def _lasting(self) -> Self:
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("start and end are local times of `zone`; give them without an offset")
        if self.start == self.end:
            raise ValueError(f"start and end are both {self.start}; quiet hours must begin and end at different times")
        return self

    def hold(self, now: datetime) -> bool:
        """Whether it is quiet at this instant."""
        local = now.astimezone(ZoneInfo(self.zone)).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def ends_after(self, now: datetime) -> datetime:
        """The next instant after now at which a clock on the wall shows `end`."""
        zone, today = ZoneInfo(self.zone), now.astimezone(ZoneInfo(self.zone)).date()
        # Where clocks are put back, `end` comes twice: fold tells one from the other.
        ends = [
            datetime.combine(today + days * ONE_DAY, self.end.replace(fold=fold), zone).astimezone(now.tzinfo)
            for days in (-1, 0, 1, 2)
            for fold in (0, 1)
        ]
        return min(end for end in ends if end > now)


class RateLimit(BaseModel):
    """At most so many messages in any stretch of so many seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    messages: int = Field(6, ge=1, le=1000, description="messages a rule may send, digests among them")
    per_s: float = Field(3600.0, ge=1, le=7 * 86_400, description="in any stretch of so many seconds")

    @property
    def per(self) -> timedelta:
        """The stretch."""
        return timedelta(seconds=self.per_s)

    @property
    def reserved(self) -> int:
        """Messages of the limit that `still_here` and `gone` leave to `heard` and digests: a third."""
        return self.messages // 3


class AlertRule(BaseModel):
    """Whom to tell of what, and how often. A bout of one species at the station is one alert."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(
        min_length=1, max_length=64, pattern=r"^[\w.-]+$", description="letters, digits, '.', '_' and '-'"
    )
    species: tuple[str, ...] = Field((), description="species it is about; empty: all")
    hydrophones: tuple[str, ...] = Field((), description="hydrophones it listens to; empty: all")
    call_types: tuple[str, ...] = Field((), description="one of these must have been heard; empty: any")
    minimum_probability: float = Field(0.0, ge=0, le=1, description="peak probability a presence must reach")
    minimum_duration_s: float = Field(
        0.0, ge=0, le=86_400, description="seconds from a presence's first call to its last that it must reach"
    )
    include_persistent_sources: bool = Field(
        False, description="also tell of presences that the guard holds for a persistent source, such as a pump"
    )
    requires_confirmation: bool = Field(
        False, description="tell only after a person has confirmed one of the bout's events"
    )
    confirmation_within_s: float = Field(
        86_400.0, gt=0, le=30 * 86_400, description="how long after a bout's end it may still be confirmed"
    )
    notices: tuple[Notice, ...] = Field(
        ("heard", "still_here", "gone", "digest"), description="notices it sends; 'heard' must be among them"
    )
    still_here_s: float = Field(
        900.0,
        ge=60,
        description="seconds between 'still_here' notices; they come with a presence's `updated` events, "
        "so never more often than presence.rule.update_s",
    )
    cooldown_s: float = Field(
        600.0, ge=0, le=7 * 86_400, description="seconds after 'gone' in which the same species is not told again"
    )
    quiet_hours: tuple[QuietHours, ...] = Field((), description="when nobody is told")
    rate_limit: RateLimit = Field(default_factory=RateLimit, description="of this rule's messages")

    @field_validator("notices")
    @classmethod
    def _begins_with_heard(cls, notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
        if "heard" not in notices:
            raise ValueError("'heard' must be among the notices; without it there is no alert to follow up")
        return notices

    @field_validator("quiet_hours")
    @classmethod
    def _not_for_ever(cls, quiet_hours: tuple[QuietHours, ...]) -> tuple[QuietHours, ...]:
        for hours in quiet_hours:
            start = datetime.combine(date(2026, 1, 5), hours.start, ZoneInfo(hours.zone))
            if any(other.hold(_end_of(quiet_hours, start)) for other in quiet_hours):
                raise ValueError("together they leave no time of day in which anybody could be told")
        return quiet_hours

    def matches(self, event: PresenceEvent) -> bool:
        """Whether an event is this rule's business at all; how sure and how long is another question."""
        return (
            (not self.species or event.species in self.species)
            and (not self.hydrophones or event.hydrophone in self.hydrophones)
            and (not self.call_types or not set(self.call_types).isdisjoint(event.call_types))
            and (self.include_persistent_sources or not event.persistent_source)
        )

    def quiet_until(self, now: datetime) -> datetime | None:
        """When the quiet that holds now ends; None: it is not quiet."""
        return _end_of(self.quiet_hours, now) if any(hours.hold(now) for hours in self.quiet_hours) else None


class AlertsSection(BaseModel):
    """Alert rules; without any, nobody is told."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rules: tuple[AlertRule, ...] = Field((), description="each makes alerts of its own")
    max_age_s: float = Field(
        3600.0,
        gt=0,
        description="events that were journalled longer ago than this when the rules come to see them, as after "
        "an outage, are told in a digest only; at the very first start they are passed over",
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        twice = sorted(name for name, count in Counter(rule.name for rule in self.rules).items() if count > 1)
        if twice:
            raise ValueError(f"alert rule names must be unique; used twice: {', '.join(twice)}")
        return self


def _end_of(quiet_hours: tuple[QuietHours, ...], now: datetime) -> datetime:
    """The first instant from now on at which none of them holds, looked for through some days."""
    instant = now
    for _ in range(8 * len(quiet_hours)):
        ends = [hours.ends_after(instant) for hours in quiet_hours if hours.hold(instant)]
        if not ends:
            break
        instant = min(ends)
    return instant
