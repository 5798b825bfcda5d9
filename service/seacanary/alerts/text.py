"""Alerts in words: one sentence each, times in UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime

from seacanary.alerts.bout import Bout
from seacanary.alerts.budget import Tally

ENDS_OF_LISTENING = {
    "lost_coverage": "coverage was lost",
    "stream_ended": "the recording ended",
    "station_stopped": "the station stopped",
}
CAUSES = {
    "cooldown": "in a cooldown",
    "quiet_hours": "in quiet hours",
    "rate_limit": "over the rate limit",
    "unconfirmed": "unconfirmed",
    "late": "seen too late",
}


def heard(bout: Bout) -> str:
    """Somebody is here; or was, where the alert had to wait for a person's word."""
    when = f"since {_time(bout.onset)}"
    if bout.ended_at is not None:
        when = f"from {_time(bout.onset)} to {_time(bout.offset)}"
    confirmed = f", confirmed by {bout.confirmed_by}" if bout.confirmed_by else ""
    return f"{bout.species} heard at {_places(bout)} {when}, probability {bout.peak_probability:.2f}{confirmed}"


def still_here(bout: Bout) -> str:
    """Somebody has not left."""
    return (
        f"{bout.species} still here, at {_places(bout)} since {_time(bout.onset)}, "
        f"in {_counted(bout.count, 'presence')}, probability up to {bout.peak_probability:.2f}"
    )


def gone(bout: Bout) -> str:
    """Nobody is heard any more; or nobody listens any more, which is not the same."""
    gone = "gone,"
    if bout.reason in ENDS_OF_LISTENING:
        gone = f"not observed any more, as {ENDS_OF_LISTENING[bout.reason]};"
    return (
        f"{bout.species} {gone} heard at {_places(bout)} from {_time(bout.onset)} to {_time(bout.offset)}, "
        f"in {_counted(bout.count, 'presence')}"
    )


def rejected(bout: Bout, reviewer: str) -> str:
    """A person said that it was not what it was taken for."""
    return f"{bout.species} at {_places(bout)} since {_time(bout.onset)} was rejected by {reviewer}"


def digest(tally: Tally) -> str:
    """What nobody was told of."""
    told = [f"{_counted(n, 'bout')} of {species}" for species, n in sorted(tally.bouts.items())]
    causes = [f"{n} {CAUSES[cause]}" for cause, n in sorted(tally.held_back.items())]
    what = f"{_listed(told)} not told of one by one, " if told else ""
    notices = _counted(sum(tally.held_back.values()), "notice")
    return (
        f"{what}{_counted(tally.count, 'presence')} at {_listed(tally.hydrophones)} from {_time(tally.onset)} "
        f"to {_time(tally.offset)}; {notices} held back ({', '.join(causes)})"
    )


def _places(bout: Bout) -> str:
    return _listed(bout.hydrophones)


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
