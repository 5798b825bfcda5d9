"""AlertBook: journal entries in, a rule's alerts out.

Time is the journal's: each entry brings its own, and `tick` brings the clock's. The same
entries and ticks give the same alerts under the same ids, before and after any restart.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from seacanary.alerts import text as alert_text
from seacanary.alerts.book_state import BEGINNING, BookState
from seacanary.alerts.bout import Bout, Cause, OpenPresence
from seacanary.alerts.outbox import Outbox
from seacanary.alerts.register import Register
from seacanary.alerts.rules import AlertRule
from seacanary.events import AlertEvent, JournalEntry, PresenceEvent, ReviewEvent

UNCONFIRMED_KEPT = 100  # bouts that are over and wait for a person's word; beyond it the oldest is given up


class AlertBook:
    """Keeps one rule's account of who is here and who has been told.

    A bout begins with the first event that satisfies the rule and lasts until none of its presences is open:

    - `heard` goes out at once, or, if that is hindered, as soon as nothing hinders it and the bout goes on.
      A bout that ends before is counted in the next digest.
    - `still_here` follows with the presences' events, at the rule's pace, and `gone` when the last one ended.
      Follow-ups that are hindered are counted in the next digest.
    - A rejection ends the bout at once: `gone` says who rejected it, and its open presences are not
      spoken of again. Once the cooldown is over, other presences are told of as usual.
    - Where confirmation is asked for, nothing is said of a bout before a person has confirmed it, be it over
      or not; one that nobody confirmed in time is in the count of what was held back, but in no digest.
    """

    def __init__(self, rule: AlertRule, station: str, *, hold_s: float = 0.0) -> None:
        """Begin an empty account.

        Args:
            rule: what to tell, and when.
            station: its name, for ids.
            hold_s: quiet seconds after which a presence ends. One that has been open for longer than
                this is sure to have gone on at least until so long ago.
        """
        self._rule, self._station, self._hold_s = rule, station, hold_s
        self._outbox = Outbox(rule, station)
        self._now = BEGINNING
        self._register = Register()
        self._unconfirmed: tuple[Bout, ...] = ()

    def snapshot(self) -> BookState:
        """All there is to know, to go on from."""
        return BookState(
            now=self._now, species=self._register.snapshot(), unconfirmed=self._unconfirmed, outbox=self._outbox.state
        )

    def restore(self, state: BookState) -> None:
        """Go on from a snapshot."""
        self._now, self._register = state.now, Register(state.species)
        self._unconfirmed, self._outbox.state = state.unconfirmed, state.outbox

    def let_strangers_go(self) -> None:
        """Forget what the rule, which may have changed, does not speak of, as far as nobody was told of it."""
        for species, state in self._register.items():
            told = state.bout is not None and state.bout.is_told
            present = {
                name: presence
                for name, presence in state.present.items()
                if self._rule.matches(presence.latest) or (told and presence.part != "waiting")
            }
            counted = any(presence.part == "counted" for presence in present.values())
            self._register.change(species, present=present, bout=state.bout if told or counted else None)

    def resume(self, now: datetime) -> None:
        """Note that nobody listened until now: an open presence is not known to have gone on meanwhile."""
        for presence in self._register.presences():
            if presence.part == "waiting":
                self._register.keep(presence.changed(open_since=now))

    def set_back(self, now: datetime) -> None:
        """The clock was found ahead, and is right again: what lasts goes on to last as long as it would have."""
        self.restore(self.snapshot().earlier(self._now - now))

    @property
    def now(self) -> datetime:
        """The latest instant it has been told of."""
        return self._now

    @property
    def held_back(self) -> Mapping[Cause, int]:
        """Notices held back since the rule began, by cause."""
        return self._outbox.state.held_back

    @property
    def told_of(self) -> Mapping[str, bool]:
        """For each species the rule has seen, whether people have been told that it is here."""
        return {name: state.bout is not None and state.bout.is_told for name, state in self._register.items()}

    def take(self, entry: JournalEntry, *, late: bool = False) -> list[AlertEvent]:
        """Take in the next entry of the journal.

        Args:
            entry: any; most kinds only bring the time.
            late: whether it is old news, which is told in a digest only.
        """
        now = self._arrive_at(datetime.fromtimestamp(entry.entry_ms / 1000, UTC))
        alerts = self._due(now, late=late)
        if isinstance(entry.event, PresenceEvent):
            alerts += self._take_presence(entry.event, now, late=late)
        elif isinstance(entry.event, ReviewEvent):
            alerts += self._take_review(entry.event, now, late=late)
        return alerts + self._due(now, late=late)

    def tick(self, now: datetime) -> list[AlertEvent]:
        """Let time pass."""
        return self._due(self._arrive_at(now), late=False)

    @property
    def next_due(self) -> datetime | None:
        """When the next tick could bring something, or an earlier instant; None: not before another entry."""
        due = [self._outbox.digest_at(self._now), *self._presences_due(), *self._bouts_due()]
        due += [self._given_up_at(bout) for bout in self._unconfirmed]
        return min((instant for instant in due if instant is not None), default=None)

    def _presences_due(self) -> Iterator[datetime]:
        """When presences that are certain enough will have lasted long enough."""
        lasting = timedelta(seconds=self._rule.minimum_duration_s + self._hold_s)
        for presence in self._register.presences():
            if presence.part == "waiting" and self._is_certain(presence):
                yield presence.open_since + lasting

    def _bouts_due(self) -> Iterator[datetime]:
        """When bouts that nobody was told of may be told of."""
        for _, state in self._register.items():
            if state.bout is None or state.bout.is_told or self._awaits_confirmation(state.bout):
                continue
            cooling = state.cooldown_until is not None and state.cooldown_until > self._now
            yield state.cooldown_until if cooling and state.cooldown_until else self._outbox.opens_at(self._now)

    def _arrive_at(self, now: datetime) -> datetime:
        self._now = max(self._now, now)
        return self._now

    def _due(self, now: datetime, *, late: bool) -> list[AlertEvent]:
        """What time alone brings: the digest first, so that a storm cannot crowd it out."""
        for presence in self._register.presences():
            if presence.part == "waiting" and self._is_certain(presence) and self._has_lasted(presence, now):
                self._join(presence)
        while self._unconfirmed and self._given_up_at(self._unconfirmed[0]) <= now:
            self._unconfirmed = self._unconfirmed[1:]
            self._outbox.count_only("unconfirmed")
        alerts = self._outbox.digest(now, late=late)
        for species, _ in self._register.items():
            alerts += self._tell(species, now, late=late)
        return alerts

    def _tell(self, species: str, now: datetime, *, late: bool) -> list[AlertEvent]:
        """Tell of a bout that nobody was told of, or note what hinders it."""
        bout = self._register.state(species).bout
        if bout is None or bout.is_told:
            return []
        cause = self._hindrance(bout, now, late=late)
        if cause is None:
            self._register.change(species, bout=bout.changed(told_count=bout.count, told_at=now))
            return [self._outbox.send("heard", bout, now)]
        if bout.cause in (None, "unconfirmed"):
            self._register.change(species, bout=bout.changed(cause=cause))
        return []

    def _hindrance(self, bout: Bout, now: datetime, *, late: bool) -> Cause | None:
        if self._awaits_confirmation(bout):
            return "unconfirmed"
        cooldown_until = self._register.state(bout.species).cooldown_until
        if cooldown_until is not None and cooldown_until > now:
            return "cooldown"
        return self._outbox.hindrance(now, late=late)

    def _take_presence(self, event: PresenceEvent, now: datetime, *, late: bool) -> list[AlertEvent]:
        presence = self._seen(event, now)
        if presence is None:
            return []
        self._register.keep(presence)
        alerts: list[AlertEvent] = []
        if presence.part == "waiting" and self._is_certain(presence) and self._has_lasted(presence):
            self._join(presence)
            alerts = self._tell(event.species, now, late=late)
        elif presence.part == "counted":
            alerts = self._follow(event, now, late=late)
        return alerts + (self._end(event, now, late=late) if event.kind == "ended" else [])

    def _seen(self, event: PresenceEvent, now: datetime) -> OpenPresence | None:
        """The presence an event is about, with its news; None: it is not the rule's business."""
        known = self._register.state(event.species).present.get(event.hydrophone)
        if known is not None and event.kind != "started":
            return known.changed(latest=event) if self._rule.matches(event) else known
        if event.kind == "ended" or not self._rule.matches(event):
            return None
        return OpenPresence(latest=event, first_event=event.started_id, open_since=now)

    def _follow(self, event: PresenceEvent, now: datetime, *, late: bool) -> list[AlertEvent]:
        """Have the bout take in news of one of its presences, and say that it goes on, if that is due."""
        bout = self._register.state(event.species).bout
        if bout is None:
            return []
        bout = bout.with_event(event)
        due = event.kind != "ended" and bout.is_told and bout.is_due_again(now, self._rule.still_here_s)
        if not due:
            self._register.change(event.species, bout=bout)
            return []
        alerts = self._outbox.follow_up("still_here", bout, now, late=late)
        told_count = bout.count if alerts else bout.told_count
        self._register.change(event.species, bout=bout.changed(told_at=now, told_count=told_count))
        return alerts

    def _join(self, presence: OpenPresence) -> None:
        species = presence.latest.species
        bout = self._register.state(species).bout
        self._register.change(species, bout=bout.joined_by(presence) if bout else Bout.begun_by(presence))
        self._register.keep(presence.changed(part="counted"))

    def _end(self, event: PresenceEvent, now: datetime, *, late: bool) -> list[AlertEvent]:
        """Let go of a presence, and of the bout if this was its last."""
        state = self._register.let_go(event.species, event.hydrophone)
        if state.bout is None or any(presence.part == "counted" for presence in state.present.values()):
            return []
        return self._end_bout(state.bout.changed(ended_at=now, reason=event.reason), now, late=late)

    def _end_bout(self, bout: Bout, now: datetime, *, late: bool, rejected_by: str | None = None) -> list[AlertEvent]:
        self._register.change(bout.species, bout=None)
        if bout.is_told:
            self._cool_down(bout.species, now)
            text = alert_text.rejected(bout, rejected_by) if rejected_by else None
            return self._outbox.follow_up("gone", bout, now, late=late, text=text)
        if not self._awaits_confirmation(bout):
            # A bout that was not told of has a cause: it is noted when it begins.
            self._outbox.hold_back(bout, bout.cause or "late", now, untold=bout.count)
        elif rejected_by:
            self._outbox.count_only("unconfirmed")
        else:
            self._await_confirmation(bout)
        return []

    def _take_review(self, review: ReviewEvent, now: datetime, *, late: bool) -> list[AlertEvent]:
        bout = self._register.state(review.species).bout
        if bout is not None and bout.knows(review.event_id):
            if review.verdict == "rejected":
                return self._reject(bout, review.reviewer, now, late=late)
            self._register.change(review.species, bout=bout.changed(confirmed_by=review.reviewer))
            return []
        for presence in self._register.state(review.species).present.values():
            if presence.part == "waiting" and presence.knows(review.event_id):
                rejected = review.verdict == "rejected"
                self._register.keep(
                    presence.changed(part="dismissed") if rejected else presence.changed(confirmed_by=review.reviewer)
                )
                return []
        for over in self._unconfirmed:
            if over.species == review.species and over.knows(review.event_id):
                self._unconfirmed = tuple(other for other in self._unconfirmed if other is not over)
                return self._settle(over, review, now, late=late)
        return []

    def _reject(self, bout: Bout, reviewer: str, now: datetime, *, late: bool) -> list[AlertEvent]:
        for presence in list(self._register.state(bout.species).present.values()):
            if presence.part == "counted":
                self._register.keep(presence.changed(part="dismissed"))
        return self._end_bout(bout, now, late=late, rejected_by=reviewer)

    def _settle(self, bout: Bout, review: ReviewEvent, now: datetime, *, late: bool) -> list[AlertEvent]:
        """Tell of a bout that was confirmed after its end, or count it."""
        if review.verdict == "rejected":
            self._outbox.count_only("unconfirmed")
            return []
        bout = bout.changed(confirmed_by=review.reviewer)
        cause = self._hindrance(bout, now, late=late)
        if cause is not None:
            self._outbox.hold_back(bout, cause, now, untold=bout.count)
            return []
        self._cool_down(bout.species, now)
        return [self._outbox.send("heard", bout, now)]

    def _await_confirmation(self, bout: Bout) -> None:
        self._unconfirmed = (*self._unconfirmed, bout)
        for _ in self._unconfirmed[:-UNCONFIRMED_KEPT]:
            self._outbox.count_only("unconfirmed")
        self._unconfirmed = self._unconfirmed[-UNCONFIRMED_KEPT:]

    def _awaits_confirmation(self, bout: Bout) -> bool:
        return self._rule.requires_confirmation and bout.confirmed_by is None

    def _given_up_at(self, bout: Bout) -> datetime:
        return (bout.ended_at or bout.offset) + timedelta(seconds=self._rule.confirmation_within_s)

    def _cool_down(self, species: str, now: datetime) -> None:
        self._register.change(species, cooldown_until=now + timedelta(seconds=self._rule.cooldown_s))

    def _is_certain(self, presence: OpenPresence) -> bool:
        return presence.latest.peak_probability >= self._rule.minimum_probability

    def _has_lasted(self, presence: OpenPresence, now: datetime | None = None) -> bool:
        """Whether it lasted long enough by its own word or, if now is given, by being open still."""
        open_s = (now - presence.open_since).total_seconds() - self._hold_s if now else 0.0
        return max(presence.heard_s, open_s) >= self._rule.minimum_duration_s
