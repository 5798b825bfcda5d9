"""Fleet: all stations at a glance."""

from dashboards.source import board as boards
from dashboards.source.board import Board, Panel
from dashboards.source.palette import BLUE, FIRING, GREY, ORANGE, UP, VERMILLION, less_is_worse, more_is_worse, steps
from dashboards.source.panels import Column, Text, bars, figure, lines, rows, timeline
from dashboards.source.queries import STATION, Query, by, grown, of, of_disk, rate, share

REACHED = f'up{{job="seacanary",{STATION}}}'
HEARD = f'hydrophone_species:seacanary_present:state{{{STATION},species=~"$species"}}'

ABOUT = (
    "All stations at a glance: which are up, how much they listen, what they hear, and what is wrong with them. "
    "A station that cannot be reached is not a station that hears nothing."
)


def board() -> Board:
    """The dashboard."""
    variables = [boards.datasource(), _stations(), _species()]
    page = Board("Fleet", uid="seacanary-fleet", about=ABOUT, hours=24, variables=variables)
    page.row("Now", _up(), _hydrophones(), _covered(), _heard(), _alerts(), _conditions())
    page.row("Stations", _table())
    page.row("Over time", _reached(), _firing(), _coverage(), _presence(), _begun(), _lag())
    return page


def _stations() -> boards.Variable:
    """Also stations that are down: `up` stays when everything else of a station goes."""
    return boards.choice("station", query='label_values(up{job="seacanary"}, station)', what="Stations to show.")


def _species() -> boards.Variable:
    query = 'label_values(seacanary_presence_state{station=~"$station"}, species)'
    return boards.choice("species", query=query, what="Species to show.")


def _up() -> Panel:
    text = Text("Stations", "Stations that answer their scrape, and those that do not.", "short")
    return figure(
        text,
        Query(f"sum({REACHED})", "up", "now"),
        Query(f"count({REACHED}) - sum({REACHED})", "unreachable", "now"),
        thresholds=steps(GREY),
    )


def _hydrophones() -> Panel:
    text = Text(
        "Hydrophones", "Hydrophones known, and those whose audio was analysed in the last minute or so.", "short"
    )
    analysed = f"rate({of('samples_analysed_total', STATION)}[$__rate_interval])"
    known, listening = f"count({of('samples_elapsed_total', STATION)})", f"sum({analysed} > bool 0)"
    return figure(text, Query(known, "known", "now"), Query(listening, "listening", "now"))


def _covered() -> Panel:
    text = Text(
        "Coverage",
        "Share of elapsed time that was analysed in the last minutes, least covered station that can be reached.",
        "percentunit",
    )
    return figure(text, Query(f"min({_coverage_of()})", "least covered", "now"), thresholds=less_is_worse(0.9, 0.99))


def _coverage_of() -> str:
    analysed, elapsed = (rate(of(f"samples_{what}_total", STATION)) for what in ("analysed", "elapsed"))
    return share(analysed, elapsed, labels="station")


def _heard() -> Panel:
    text = Text("Heard now", "Stations that hear the species at this moment.", "short")
    present = of("presence_state", f'{STATION},species=~"$species"', state="present|fading")
    stations = f"count by (species) ({by('station, species', present)} > 0)"
    return figure(text, Query(stations, "{{species}}", "now"), thresholds=steps(GREY, (1, BLUE)))


def _alerts() -> Panel:
    text = Text("Alerts open", "Alert rules that hold now, over all stations.", "short")
    return figure(
        text,
        Query(f"sum({of('alert_open_state', STATION)})", "open", "now"),
        thresholds=steps(GREY, (1, VERMILLION)),
    )


def _conditions() -> Panel:
    text = Text("Conditions", "Conditions that hold now, of stations and hydrophones.", "short")
    return figure(
        text,
        Query(f"sum({of('condition_state', STATION)})", "hold", "now"),
        thresholds=steps(GREY, (1, ORANGE)),
    )


def _table() -> Panel:
    text = Text(
        "Stations",
        "One row per station. An empty cell: the station was not reached or has no such metric, which is not a zero. "
        "Coverage and presence are of the selected time; click a station for its health.",
        "none",
    )
    health = "/d/seacanary-station-health?var-station=${__value.raw:percentencode}&${__url_time_range}"
    columns = [
        Column("station", "Station", link=("Station health", health), wide=True),
        Column("Value #A", "State", states=UP),
        Column("Value #B", "Hydrophones", unit="short"),
        Column("Value #C", "Coverage", unit="percentunit", thresholds=less_is_worse(0.9, 0.99)),
        Column("Value #D", "Present now", unit="short", thresholds=steps(GREY, (1, BLUE))),
        Column("Value #E", "Effort with presence", unit="percentunit"),
        Column("Value #F", "Alerts open", unit="short", thresholds=steps(GREY, (1, VERMILLION))),
        Column("Value #G", "Conditions", unit="short", thresholds=steps(GREY, (1, ORANGE))),
        Column("Value #H", "Audio age", unit="s", thresholds=more_is_worse(5, 30)),
        Column("Value #I", "Time error", unit="s", thresholds=more_is_worse(0.1, 1)),
        Column("Value #J", "Disk headroom", unit="h", thresholds=less_is_worse(4, 24)),
        Column("Value #K", "Delivery lag", unit="s", thresholds=more_is_worse(60, 900)),
        Column("Value #L", "Running for", unit="s"),
    ]
    return rows(text, *(Query(expr, form="rows_now") for expr in _of_each_station()), columns=columns, height=12)


def _of_each_station() -> list[str]:
    """The table's columns A to L, each one value per station."""
    elapsed = of("samples_elapsed_total", STATION)
    analysed = share(grown(of("samples_analysed_total", STATION)), grown(elapsed), labels="station")
    present = of("presence_state", f'{STATION},species=~"$species"', state="present|fading")
    listened, heard = f"count_over_time({HEARD}[$__range])", f"sum_over_time({HEARD}[$__range])"
    start = f'process_start_time_seconds{{job="seacanary",{STATION}}}'
    return [
        by("station", REACHED, "min"),
        by("station", elapsed, "count"),
        analysed,
        by("station", present),
        share(heard, listened, labels="station"),
        by("station", of("alert_open_state", STATION)),
        by("station", of("condition_state", STATION)),
        by("station", of("audio_age_seconds", STATION), "max"),
        by("station", of("clock_error_seconds", STATION), "max"),
        of_disk("disk_headroom_hours"),
        by("station", of("publisher_lag_seconds", STATION), "max"),
        f"time() - {by('station', start, 'max')}",
    ]


def _reached() -> Panel:
    text = Text("Reached", "Whether the station's metrics could be scraped.", "none")
    return timeline(text, Query(by("station", REACHED, "min"), "{{station}}"), states=UP, width=12, height=7)


def _firing() -> Panel:
    text = Text(
        "Alerts of Prometheus",
        "Alerting rules that fire, or wait whether it lasts (deploy/prometheus/rules/alerts.yml). No bar: all is well, "
        "or Prometheus evaluates no rules.",
        "none",
    )
    firing, pending = (f'ALERTS{{{STATION},alertstate="{state}"}}' for state in ("firing", "pending"))
    worst = by("station, alertname", f"2 * {firing} or {pending}", "max")
    return timeline(text, Query(worst, "{{station}}: {{alertname}}"), states=FIRING, width=12, height=7)


def _coverage() -> Panel:
    text = Text(
        "Coverage",
        "Share of elapsed time that was analysed, all hydrophones of a station; a hole while it cannot be reached.",
        "percentunit",
    )
    return lines(text, Query(_coverage_of(), "{{station}}"), bounds=(0, None), thresholds=less_is_worse(0.9, 0.99))


def _presence() -> Panel:
    text = Text(
        "Presence per listened hour",
        "Minutes with the species present in an hour that was listened to, mean over a station's hydrophones.",
        "m",
    )
    minutes = f"60 * {by('station, species', f'avg_over_time({HEARD}[$__interval])', 'avg')}"
    return lines(text, Query(minutes, "{{station}}: {{species}}"), bounds=(0, 60)).interval("1h")


def _begun() -> Panel:
    text = Text("Presences begun", "Presences that began, by station and species.", "short")
    started = of("events_total", f'{STATION},species=~"$species"', kind="started")
    return bars(text, Query(by("station, species", grown(started, "$__interval")), "{{station}}: {{species}}"))


def _lag() -> Panel:
    text = Text("Delivery lag", "Age of the oldest event a station has not delivered, slowest publisher.", "s")
    lag = by("station", of("publisher_lag_seconds", STATION), "max")
    return lines(text, Query(lag, "{{station}}"), bounds=(0, None), thresholds=more_is_worse(60, 900))
