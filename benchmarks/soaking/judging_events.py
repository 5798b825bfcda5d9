"""Judges events: journal, stream and receipts hold the same; presences come and go; alerts do not storm. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from benchmarks.soaking.receipts import Receipt
from benchmarks.soaking.records import Verdict
from seacanary.events import AlertEvent, Event, PresenceEvent

SHOWN = 5


def judge_delivery(
    journal: Sequence[str], stream: Sequence[str], receipts: Sequence[Receipt], *, dead_letters: int, unsigned: int
) -> Verdict:
    """Compare what was journalled with what arrived.

    Args:
        journal: ids of all events, in order; all of them go to both destinations.
        stream: ids in the Redis stream, in its order; each must be there once.
        receipts: requests the receiver wrote down; each id must have been taken at least once.
        dead_letters: events that a destination refused for good.
        unsigned: requests whose signature did not hold.
    """
    taken = {receipt.id for receipt in receipts if 200 <= receipt.status < 300}
    bodies = defaultdict[str, set[str]](set)
    for receipt in receipts:
        bodies[receipt.id].add(receipt.body_sha256)
    known = set(journal)
    found = {
        "in the journal twice": _twice(journal),
        "in the stream twice": _twice(stream),
        "not in the stream": known - set(stream),
        "in the stream, not in the journal": set(stream) - known,
        "never taken by the receiver": known - taken,
        "at the receiver, not in the journal": set(bodies) - known,
        "at the receiver with more than one body": {event for event, kinds in bodies.items() if len(kinds) > 1},
    }
    violations = [f"{len(ids)} events {what}: {_some(ids)}" for what, ids in found.items() if ids]
    if not violations and list(stream) != list(journal):
        violations.append("the stream's order is not the journal's")
    violations += [f"{dead_letters} dead letters"] if dead_letters else []
    violations += [f"{unsigned} requests without a valid signature"] if unsigned else []
    figures = {
        "journal": len(journal),
        "stream": len(stream),
        "receipts": len(receipts),
        "receipts_taken": len(taken),
        "receipts_repeated": len(receipts) - len(bodies),
    }
    return Verdict("delivery", tuple(violations), figures)


def judge_presences(events: Sequence[Event]) -> Verdict:
    """Each presence begins once and ends once, and its revisions ascend."""
    told = defaultdict[tuple[str, ...], list[PresenceEvent]](list)
    for event in events:
        if isinstance(event, PresenceEvent):
            told[event.hydrophone, event.species, str(event.epoch), str(event.onset_sample)].append(event)
    violations = []
    for key, history in told.items():
        kinds = Counter(event.kind for event in history)
        revisions = [event.revision for event in history]
        if kinds["started"] != 1 or kinds["ended"] != 1 or history[0].kind != "started" or history[-1].kind != "ended":
            violations.append(f"presence {' '.join(key)} was told as {[event.kind for event in history]}")
        elif revisions != sorted(set(revisions)):
            violations.append(f"presence {' '.join(key)} has the revisions {revisions}")
    reasons = Counter(event.reason for history in told.values() for event in history if event.kind == "ended")
    return Verdict("presences", tuple(violations), {"presences": len(told), "ended": dict(reasons)})


def judge_alerts(events: Sequence[Event]) -> Verdict:
    """No more alerts than bouts, and not none.

    A bout of a species at the station lasts while any hydrophone has it present.
    """
    bouts = _bouts(events)
    notices = Counter(event.notice for event in events if isinstance(event, AlertEvent))
    violations = []
    if notices["heard"] > bouts:
        violations.append(f"{notices['heard']} alerts of {bouts} bouts")
    if bouts and not notices["heard"] + notices["digest"]:
        violations.append(f"nobody was told of {bouts} bouts")
    if notices["digest"] > bouts:
        violations.append(f"{notices['digest']} digests of {bouts} bouts")
    return Verdict("alerts", tuple(violations), {"bouts": bouts, "notices": dict(notices)})


def _bouts(events: Sequence[Event]) -> int:
    present = defaultdict[str, set[str]](set)
    bouts = 0
    for event in events:
        if isinstance(event, PresenceEvent):
            if event.kind == "ended":
                present[event.species].discard(event.hydrophone)
            elif event.kind == "started":
                bouts += not present[event.species]
                present[event.species].add(event.hydrophone)
    return bouts


def _twice(ids: Sequence[str]) -> set[str]:
    return {event for event, count in Counter(ids).items() if count > 1}


def _some(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN]) + (" ..." if len(ids) > SHOWN else "")
