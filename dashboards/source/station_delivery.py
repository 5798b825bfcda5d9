"""Rows of Station health on what leaves the station: evidence on its disk, events to its publishers."""

from collections.abc import Sequence

from dashboards.source.board import Panel
from dashboards.source.palette import CIRCUIT, EVIDENCE, GREEN, ORANGE, VERMILLION, less_is_worse, more_is_worse
from dashboards.source.panels import Text, bars, lines, timeline
from dashboards.source.queries import HYDROPHONE, STATION, Query, by, coded, grown, of, of_disk

PUBLISHER = "station, publisher"
LEGEND = "{{station}} / {{publisher}}"


def evidence() -> Sequence[Panel]:
    """Clips, and the disk they lie on."""
    return _recording(), _headroom(), _free(), _bytes(), _clips(), _deleted(), _copies()


def publishers() -> Sequence[Panel]:
    """Lag, failures and what will never be accepted."""
    return _circuits(), _lag(), _pending(), _requests(), _failures(), _dead_letters(), _journal_failures()


def _recording() -> Panel:
    text = Text(
        "Evidence recording",
        "Whether clips are kept. It stops when the disk is full, read-only or gone; events go on.",
        "none",
    )
    selectors = {code: of("evidence_state", STATION, state=name) for code, (name, _) in EVIDENCE.items()}
    expr = f"{coded(selectors, labels='station')} > 0"
    return timeline(text, Query(expr, "{{station}}"), states=EVIDENCE, width=8, height=8)


def _headroom() -> Panel:
    text = Text("Disk headroom", "Hours of recording left on the evidence disk at the measured rate.", "h")
    hours = of_disk("disk_headroom_hours")
    return lines(text, Query(hours, "{{station}}"), width=8, bounds=(0, None), thresholds=less_is_worse(4, 24))


def _free() -> Panel:
    text = Text("Disk free", "Bytes free on the evidence disk.", "bytes")
    free = of_disk("disk_free_bytes")
    return lines(text, Query(free, "{{station}}"), width=8, bounds=(0, None))


def _bytes() -> Panel:
    text = Text(
        "Evidence kept",
        "Bytes of clips by species, and of the continuous archive if there is one. Quotas let clips of rare "
        "species outlive those of common ones.",
        "bytes",
    )
    clips = by("station, species", of("evidence_bytes", STATION))
    archive = by("station", of("archive_bytes", STATION))
    queries = [Query(clips, "{{station}}: {{species}}"), Query(archive, "{{station}}: archive")]
    return lines(text, *queries, width=12, bounds=(0, None))


def _clips() -> Panel:
    text = Text(
        "Clips",
        "Clips by outcome. Partial: part of the event's audio was lost or already overwritten. Missed: all of it.",
        "short",
    )
    clips = by("outcome", grown(of("evidence_clips_total", HYDROPHONE), "$__interval"))
    shed = by("hydrophone", grown(of("evidence_shed_samples_total", HYDROPHONE), "$__interval"))
    colours = {"complete": GREEN, "partial": ORANGE, "missed": VERMILLION}
    queries = [Query(clips, "{{outcome}}"), Query(f"{shed} > 0", "samples shed: {{hydrophone}}")]
    return bars(text, *queries, width=4, interval="10m", colours=colours)


def _deleted() -> Panel:
    text = Text("Clips deleted", "Clips that retention deleted, by what made it necessary.", "short")
    deleted = by("species, cause", grown(of("evidence_deleted_total", STATION), "$__interval"))
    return bars(text, Query(deleted, "{{species}}: {{cause}}"), width=4)


def _copies() -> Panel:
    text = Text(
        "Clips copied away", "Copies to the second place, by outcome; only verified ones may be deleted here.", "short"
    )
    copies = by("outcome", grown(of("evidence_copies_total", STATION), "$__interval"))
    return bars(text, Query(copies, "{{outcome}}"), width=4, colours={"verified": GREEN, "failed": VERMILLION})


def _circuits() -> Panel:
    text = Text(
        "Circuit of each publisher",
        "Open: the far side failed so often that it is left alone for a while; events wait in the journal. Half open: "
        "one request tries whether it is back. Publishers without a circuit have no bar.",
        "none",
    )
    names = {1: "closed", 2: "half_open", 3: "open"}
    selectors = {code: of("circuit_state", STATION, state=name) for code, name in names.items()}
    expr = f"{coded(selectors, labels=PUBLISHER)} > 0"
    return timeline(text, Query(expr, LEGEND), states=CIRCUIT, width=8, height=8)


def _lag() -> Panel:
    text = Text("Delivery lag", "Age of the oldest event the publisher's far side has not acknowledged.", "s")
    lag = by(PUBLISHER, of("publisher_lag_seconds", STATION), "max")
    return lines(text, Query(lag, LEGEND), width=8, bounds=(0, None), thresholds=more_is_worse(60, 900))


def _pending() -> Panel:
    text = Text("Events waiting", "Events in the journal that the publisher has still to deliver.", "short")
    pending = by(PUBLISHER, of("publisher_pending_events", STATION))
    return lines(text, Query(pending, LEGEND), width=8, bounds=(0, None))


def _requests() -> Panel:
    text = Text("Requests", "Requests of webhooks and people's channels, by how they ended.", "short")
    requests = by(f"{PUBLISHER}, outcome", grown(of("publisher_requests_total", STATION), "$__interval"))
    return bars(text, Query(requests, LEGEND + ": {{outcome}}"), width=8, interval="5m")


def _failures() -> Panel:
    text = Text("Failed attempts", "Deliveries that failed and are tried again; nothing is lost by them.", "short")
    failures = by(PUBLISHER, grown(of("publisher_failures_total", STATION), "$__interval"))
    return bars(text, Query(failures, LEGEND), width=8, interval="5m")


def _dead_letters() -> Panel:
    text = Text(
        "Dead letters",
        "Events a publisher will never accept, since the station started. They wait for a person: "
        "`seacanary webhooks deadletters list`.",
        "short",
    )
    dead = by(PUBLISHER, of("publisher_deadletters_total", STATION))
    return lines(text, Query(dead, LEGEND), width=4, bounds=(0, None), thresholds=more_is_worse(1, 10))


def _journal_failures() -> Panel:
    text = Text(
        "Journal failures", "Failed attempts to write the journal. Events wait in order until it works.", "short"
    )
    failures = by("station", grown(of("journal_failures_total", STATION), "$__interval"))
    return bars(text, Query(failures, "{{station}}"), width=4, interval="5m")
