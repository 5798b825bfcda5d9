"""How far each publisher has come in the journal, and what its destination refused."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seacanary.config import PublisherSection
from seacanary.config_checks import ProcessRole
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.doctor.journal import read_only
from seacanary.doctor.subject import Subject
from seacanary.publishers.notify import NotifySection
from seacanary.publishers.webhook_section import WebhookSection

LAG_S, LONG_S = 300.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """Where a publisher stands.

    Attributes:
        waiting: events not yet acknowledged.
        oldest_ms: when the first of them was journalled, ms since 1970; None: none waits.
        dead_letters: events that the destination refused for good.
        beyond: whether it has delivered more than the journal holds.
        begun: whether the journal knows it.
    """

    waiting: int
    oldest_ms: int | None
    dead_letters: int
    beyond: bool
    begun: bool


def deliveries(subject: Subject, *, now_s: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Every publisher of the configuration."""
    if subject.journal is None or not subject.journal.exists():
        return
    try:
        for section in subject.publishers:
            yield from _stands(section, backlog_of(subject.journal, section.name), subject, now_s())
    except sqlite3.DatabaseError:  # the journal's own check says so
        return


def _stands(section: PublisherSection, backlog: Backlog, subject: Subject, now_s: float) -> Iterator[Finding]:
    if not backlog.begun and isinstance(section, WebhookSection | NotifySection):  # as wiring.newcomers
        yield ok(f"publisher {section.name}", "it is new to this journal: it begins with what comes next")
        return
    told = subject.running.detail("publishers").get(section.name) or {}
    role = subject.config.role if subject.config else "station"
    yield from judged(
        section.name, backlog, now_s, trouble=told.get("trouble"), running=bool(subject.running), role=role
    )


def backlog_of(journal: Path, publisher: str) -> Backlog:
    """Read where a publisher stands.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    with read_only(journal) as connection:
        row = connection.execute("SELECT sequence FROM cursors WHERE publisher = ?", (publisher,)).fetchone()
        cursor = int(row[0]) if row else 0
        waiting, oldest_ms = connection.execute(
            "SELECT count(*), min(entry_ms) FROM events WHERE sequence > ?", (cursor,)
        ).fetchone()
        (head,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()
        (dead,) = connection.execute("SELECT count(*) FROM dead_letters WHERE publisher = ?", (publisher,)).fetchone()
    return Backlog(waiting, oldest_ms, dead, beyond=cursor > head, begun=row is not None)


def judged(
    name: str, backlog: Backlog, now_s: float, *, trouble: str | None, running: bool, role: ProcessRole
) -> Iterator[Finding]:
    """What a backlog means.

    Args:
        name: of the publisher.
        backlog: where it stands.
        now_s: system clock, seconds since 1970.
        trouble: why its last attempt failed, as the running process says; None: it did not.
        running: whether a process is delivering now.
        role: of that process. A worker fills its journal, and knows what is delivered, from Kafka.
    """
    what = f"publisher {name}"
    if backlog.beyond and role != "worker":
        yield broken(
            what,
            "it has delivered more than the journal holds",
            means="the journal was replaced by an older one: new events would be taken for delivered",
            remedy=f"`seacanary events replay CONFIG {name}`, with the station stopped",
        )
    if backlog.dead_letters:
        yield warning(
            what,
            f"{backlog.dead_letters} events were refused for good and put aside",
            means="the destination has not got them",
            remedy="the worker's log gives the reasons (`puts event ... aside`); they stay in its journal"
            if role == "worker"
            else f"`seacanary webhooks deadletters list CONFIG {name}` gives the reasons; `retry` tries them again",
        )
    yield _lag(what, backlog, now_s, trouble=trouble, running=running, role=role)


def _lag(
    what: str, backlog: Backlog, now_s: float, *, trouble: str | None, running: bool, role: ProcessRole
) -> Finding:
    if backlog.oldest_ms is None:
        return ok(what, "everything is delivered")
    lag_s = max(0.0, now_s - backlog.oldest_ms / 1000)
    seen = f"{backlog.waiting:,} events wait, the oldest for {_in_words(lag_s)}"
    if trouble:
        seen += f"; the last attempt failed: {trouble}"
    if not running and lag_s <= LONG_S:
        return ok(what, f"{seen}; they go out at the next start")
    if lag_s <= LAG_S:
        return ok(what, seen)
    tell = broken if lag_s > LONG_S and running else warning
    return tell(
        what,
        seen,
        means="the journal keeps them and nothing is lost, but nobody who relies on this destination knows of them",
        remedy="see the finding of its server; once it answers, they go out by themselves"
        if running
        else f"start the {role}: they go out by themselves",
    )


def _in_words(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
