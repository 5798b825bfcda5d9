"""A rule's outbox: what may go out now, in which words and under which id, and what was held back."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from seacanary.alerts import text as alert_text
from seacanary.alerts.bout import Bout, Cause
from seacanary.alerts.budget import Budget, Tally
from seacanary.alerts.rules import AlertRule
from seacanary.event_ids import named_by
from seacanary.station_events import AlertEvent, Notice

TEXTS = {"heard": alert_text.heard, "still_here": alert_text.still_here, "gone": alert_text.gone}


class OutboxState(BaseModel):
    """An outbox at one instant.

    Attributes:
        number: alerts made so far, which tells their ids apart.
        budget: when the latest of them went out.
        tally: what is to be told in the next digest, if anything.
        held_back: notices held back since the rule began, by cause.
    """

    model_config = ConfigDict(frozen=True)

    number: int = 0
    budget: Budget = Budget()
    tally: Tally | None = None
    held_back: dict[Cause, int] = Field(default_factory=dict)


class Outbox:
    """Makes a rule's alerts, within its quiet hours and its rate limit."""

    def __init__(self, rule: AlertRule, station: str) -> None:
        self._rule, self._station = rule, station
        self.state = OutboxState()

    def wants(self, notice: Notice) -> bool:
        """Whether the rule sends such notices."""
        return notice in self._rule.notices

    def hindrance(self, now: datetime, *, late: bool, leaving: int = 0) -> Cause | None:
        """What keeps a message from going out now.

        Args:
            now: the journal's time.
            late: whether what it would say is old news.
            leaving: messages of the limit that must be left after it.
        """
        if late:
            return "late"
        if self._rule.quiet_until(now) is not None:
            return "quiet_hours"
        return "rate_limit" if self._budget_frees_at(now, leaving=leaving) > now else None

    def opens_at(self, now: datetime) -> datetime:
        """The first instant from now on at which there is no such hindrance, or an earlier one to ask again."""
        return self._rule.quiet_until(now) or self._budget_frees_at(now)

    def send(self, notice: Notice, bout: Bout, now: datetime, text: str | None = None) -> AlertEvent:
        """An alert of a bout.

        Args:
            notice: which.
            bout: what it is about.
            now: when it was decided, by the journal's time.
            text: a sentence in place of the notice's usual one.
        """
        return AlertEvent(
            id=self._next_id(notice, bout.events[0], now),
            station=self._station,
            rule=self._rule.name,
            notice=notice,
            species=bout.species,
            hydrophones=bout.hydrophones,
            at=now,
            onset=bout.onset,
            offset=bout.offset,
            peak_probability=bout.peak_probability,
            events=bout.events,
            events_count=bout.count,
            reason=bout.reason if notice == "gone" else None,
            confirmed_by=bout.confirmed_by,
            evidence=bout.evidence,
            text=text or TEXTS[notice](bout),
        )

    def follow_up(
        self, notice: Notice, bout: Bout, now: datetime, *, late: bool, text: str | None = None
    ) -> list[AlertEvent]:
        """A further alert of a bout, or none where the rule wants none; one that is hindered is counted."""
        if not self.wants(notice):
            return []
        cause = self.hindrance(now, late=late, leaving=self._rule.rate_limit.reserved)
        if cause is None:
            return [self.send(notice, bout, now, text)]
        untold = bout.count - bout.told_count if notice == "gone" else 0
        self.hold_back(bout, cause, now, untold=untold)
        return []

    def hold_back(self, bout: Bout, cause: Cause, now: datetime, *, untold: int) -> None:
        """Count a notice that does not go out.

        Args:
            bout: what it is about.
            cause: why not.
            now: the journal's time.
            untold: presences of the bout that no notice has spoken of, and none will.
        """
        self.count_only(cause)
        if self.wants("digest"):
            due = self._digest_due(cause, now)
            tally = self.state.tally or Tally.begun_by(bout, due=due)
            self._change(tally=tally.with_notice(bout, cause, due=due, untold=untold))

    def count_only(self, cause: Cause) -> None:
        """Count a notice that does not go out, and of which no digest speaks either."""
        counts = self.state.held_back
        self._change(held_back=counts | {cause: counts.get(cause, 0) + 1})

    def digest(self, now: datetime, *, late: bool) -> list[AlertEvent]:
        """The digest, if it is due and nothing keeps it back."""
        tally = self.state.tally
        if tally is None or tally.due > now or self.hindrance(now, late=late):
            return []
        self._change(tally=None)
        return [
            AlertEvent(
                id=self._next_id("digest", tally.named_by, now),
                station=self._station,
                rule=self._rule.name,
                notice="digest",
                hydrophones=tally.hydrophones,
                at=now,
                onset=tally.onset,
                offset=tally.offset,
                peak_probability=tally.peak_probability,
                events=tally.events,
                events_count=tally.count,
                held_back=dict(tally.held_back),
                text=alert_text.digest(tally),
            )
        ]

    def digest_at(self, now: datetime) -> datetime | None:
        """When the digest may go out, or an earlier instant to ask again; None: there is nothing to tell."""
        tally = self.state.tally
        if tally is None:
            return None
        return tally.due if tally.due > now else self.opens_at(now)

    def _digest_due(self, cause: Cause, now: datetime) -> datetime:
        """Quiet hours are told of at their end; what else was held back, once in the rate limit's stretch."""
        if cause == "late":
            return now
        if cause == "quiet_hours":
            return self._rule.quiet_until(now) or now
        return now + self._rule.rate_limit.per

    def _budget_frees_at(self, now: datetime, *, leaving: int = 0) -> datetime:
        return self.state.budget.free_at(now, self._rule.rate_limit, leaving=leaving)

    def _next_id(self, notice: Notice, first_event: UUID, now: datetime) -> UUID:
        """Name the next message, and take it from the budget."""
        number = self.state.number + 1
        self._change(number=number, budget=self.state.budget.spent(now, self._rule.rate_limit))
        return named_by(self._station, self._rule.name, notice, str(first_event), str(number))

    def _change(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
