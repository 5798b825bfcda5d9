"""Cluster: how far workers are behind, which of them stands still, and what waits at the edges."""

from dashboards.source import board as boards
from dashboards.source.board import Board, Panel
from dashboards.source.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    QUANTILES,
    REACHED,
    SKY,
    VERMILLION,
    more_is_worse,
    steps,
)
from dashboards.source.panels import Text, bars, figure, lines, timeline
from dashboards.source.queries import STATION, Query, by, grown, of, quantile, rate, share

STAGES = {"infer": BLUE, "track": GREEN, "deliver": ORANGE, "fleet": SKY}

ABOUT = (
    "Edges, workers and what waits between them. A worker is a `station` here, by its name in Prometheus's targets. "
    "Every worker tells the lag of its stages' partitions; the largest word counts."
)


def board() -> Board:
    """The dashboard."""
    page = Board(
        "Cluster",
        uid="seacanary-cluster",
        about=ABOUT,
        hours=6,
        variables=[boards.datasource(), boards.station()],
    )
    page.row("Now", _behind_now(), _waiting_now(), _workers_now(), _ended_now(), _letters_now(), _oldest_spooled_now())
    page.row("Workers", _behind(), _waiting(), _records(), _fullest(), _batches(), _reached())
    page.row("What went wrong", _still(), _ended(), _letters(), _expired(), _clocks())
    page.row("Edges", _spooled(), _spool_age(), _bytes(), _shed())
    return page


def _worker_gauge(name: str, labels: str) -> str:
    """What all workers tell alike, once."""
    return by(labels, of(name, STATION), "max")


def _behind_now() -> Panel:
    text = Text("Behind", "Age of the oldest record that a stage has not acknowledged, by the brokers' time.", "s")
    now = _worker_gauge("cluster_lag_seconds", "stage")
    return figure(text, Query(now, "{{stage}}", "now"), thresholds=more_is_worse(10, 60))


def _waiting_now() -> Panel:
    text = Text("Records waiting", "Records that a stage has not acknowledged.", "short")
    now = by("stage", _worker_gauge("cluster_lag_records", "stage, partition"))
    return figure(text, Query(now, "{{stage}}", "now"))


def _workers_now() -> Panel:
    text = Text("Workers", "Workers that answer their scrape.", "short")
    return figure(text, Query(f"count({by('station', of('watchdog_ends_total', STATION))})", "workers", "now"))


def _ended_now() -> Panel:
    text = Text(
        "Ended by a watchdog", "Workers that stood still, in the selected time; each was started again.", "short"
    )
    ended = f"sum({grown(of('watchdog_ends_total', STATION))})"
    return figure(text, Query(f"round({ended})", "ended", "now"), thresholds=steps(GREY, (1, VERMILLION)))


def _letters_now() -> Panel:
    text = Text("Dead letters", "Records that no worker could read, in the selected time.", "short")
    letters = f"sum({grown(of('deadletters_total', STATION))})"
    return figure(text, Query(f"round({letters})", "letters", "now"), thresholds=steps(GREY, (1, VERMILLION)))


def _oldest_spooled_now() -> Panel:
    text = Text("Oldest image at an edge", "How long the oldest image has waited on an edge's disk.", "s")
    now = f"max({of('image_spool_age_seconds', STATION)})"
    return figure(text, Query(now, "oldest", "now"), thresholds=more_is_worse(60, 300))


def _behind() -> Panel:
    text = Text(
        "Behind",
        "Age of the oldest record that a stage has not acknowledged, by the brokers' time and the worker's clock. A "
        "hole: no worker was answered by the brokers.",
        "s",
    )
    lag = _worker_gauge("cluster_lag_seconds", "stage")
    return lines(text, Query(lag, "{{stage}}"), bounds=(0, None), thresholds=more_is_worse(10, 60), colours=STAGES)


def _waiting() -> Panel:
    text = Text("Records waiting", "Records that a stage has not acknowledged, all partitions.", "short")
    waiting = by("stage", _worker_gauge("cluster_lag_records", "stage, partition"))
    return lines(text, Query(waiting, "{{stage}}"), bounds=(0, None), colours=STAGES)


def _records() -> Panel:
    text = Text(
        "Records per second",
        "What workers do, by stage and outcome: concluded, repeated (seen before, dropped) or refused (dead letters).",
        "short",
    )
    records = by("stage, outcome", rate(of("worker_records_total", STATION)))
    return lines(text, Query(records, "{{stage}}: {{outcome}}"), bounds=(0, None))


def _fullest() -> Panel:
    text = Text(
        "Fullest partitions",
        "The ten partitions with most records waiting. One that grows alone is left out by its worker.",
        "short",
    )
    fullest = f"topk(10, {_worker_gauge('cluster_lag_records', 'stage, partition')})"
    return lines(text, Query(fullest, "{{stage}}[{{partition}}]"), bounds=(0, None))


def _batches() -> Panel:
    text = Text("Batch", "Time of one batch through M, over all workers shown.", "s")
    bucket = of("inference_duration_seconds_bucket", STATION)
    asked = [Query(f"{quantile(q, bucket)} >= 0", f"p{100 * q:.0f}") for q in (0.5, 0.95, 0.99)]
    return lines(text, *asked, bounds=(0, None), colours=QUANTILES)


def _reached() -> Panel:
    text = Text("Brokers", "Whether the brokers answer edges and workers.", "none")
    answer, worker, edge = (
        by("station", of(name, STATION), "min")
        for name in ("brokers_reached_state", "watchdog_ends_total", "images_spooled_total")
    )
    asked = f"{answer} and on (station) ({worker} or {edge})"
    return timeline(text, Query(asked, "{{station}}"), states=REACHED, width=12, height=8)


def _still() -> Panel:
    text = Text(
        "Standing still",
        "How long the most suspicious part of a worker has not moved while brokers answered. Its watchdog ends it at "
        "`worker.stuck_after_s`; up to five times that for a single partition.",
        "s",
    )
    still = by("station", of("watchdog_quiet_seconds", STATION), "max")
    of_workers = f"{still} and on (station) {by('station', of('watchdog_ends_total', STATION), 'min')}"
    return lines(text, Query(of_workers, "{{station}}"), bounds=(0, None), thresholds=more_is_worse(30, 60))


def _ended() -> Panel:
    text = Text("Ended by a watchdog", "Workers that stood still, by what stood still.", "short")
    ended = by("station, reason", grown(of("watchdog_ends_total", STATION), "$__interval"))
    return bars(text, Query(ended, "{{station}}: {{reason}}"))


def _letters() -> Panel:
    text = Text("Dead letters", "Records that no worker could read, by the topic they were in.", "short")
    letters = by("topic", grown(of("deadletters_total", STATION), "$__interval"))
    return bars(text, Query(letters, "{{topic}}"))


def _expired() -> Panel:
    text = Text(
        "Expired unread",
        "Records that the brokers deleted before any worker had read them, by topic: not observed.",
        "short",
    )
    expired = by("topic", grown(of("images_expired_total", STATION), "$__interval"))
    return bars(text, Query(expired, "{{topic}}"))


def _clocks() -> Panel:
    text = Text(
        "Clocks of edges",
        "The brokers' clock minus the edge's, as the edge found it, at least; workers flag an edge beyond 5 s.",
        "s",
    )
    ahead = by("station", of("brokers_clock_ahead_seconds", STATION), "max")
    return lines(text, Query(ahead, "{{station}}"))


def _spooled() -> Panel:
    text = Text("Spool", "What waits on each edge's disk for the brokers.", "bytes")
    spooled = by("station", of("image_spool_bytes", STATION), "max")
    return lines(text, Query(spooled, "{{station}}"), bounds=(0, None))


def _spool_age() -> Panel:
    text = Text("Oldest image", "How long the oldest image on each edge's disk has waited; 0: nothing waits.", "s")
    age = by("station", of("image_spool_age_seconds", STATION), "max")
    return lines(text, Query(age, "{{station}}"), bounds=(0, None), thresholds=more_is_worse(60, 300))


def _bytes() -> Panel:
    text = Text(
        "Bytes per image",
        "Bytes that brokers acknowledged over records they acknowledged; images are 64 KiB before compression.",
        "bytes",
    )
    sent, records = (rate(of(f"{what}_shipped_total", STATION)) for what in ("image_bytes", "images"))
    return lines(text, Query(share(sent, records, labels="station"), "{{station}}"), bounds=(0, None))


def _shed() -> Panel:
    text = Text(
        "Images shed", "Images thrown away because an edge's spool was full, oldest first: not observed.", "short"
    )
    shed = by("station", grown(of("image_spool_shed_images_total", STATION), "$__interval"))
    return bars(text, Query(shed, "{{station}}"))
