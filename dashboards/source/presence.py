"""Presence: which species was heard where and when, and how much of the time anybody listened."""

from dashboards.source import board as boards
from dashboards.source import palette
from dashboards.source.board import Board, Panel
from dashboards.source.palette import (
    ABSENT,
    BLUE,
    CANDIDATE,
    FADING,
    GREY,
    HELD_BACK,
    NOT_LISTENING,
    PRESENCE,
    PRESENT,
    VERMILLION,
    less_is_worse,
    more_is_worse,
    steps,
)
from dashboards.source.panels import Column, Text, bars, figure, hours_of_days, lines, matrix, rows, timeline
from dashboards.source.queries import HYDROPHONE, SPECIES, STATION, Query, by, coded, grown, of, quantile, share

PLACE = "station, hydrophone, species"
LEGEND = "{{station}} / {{hydrophone}} / {{species}}"
# 1 while present, 0 while absent, and no sample while nobody could tell: deploy/prometheus/rules/presence.yml.
HEARD = f"hydrophone_species:seacanary_present:state{{{SPECIES}}}"
RULE_STEP_S = 15

ABOUT = (
    "Which species was heard where and when. Absent is not the same as not observed: gaps, shed audio and "
    "sample rates too low for a species count neither as presence nor as absence."
)


def board() -> Board:
    """The dashboard."""
    variables = [boards.datasource(), boards.station(), boards.hydrophone(), boards.species(), boards.evidence_url()]
    page = Board("Presence", uid="seacanary-presence", about=ABOUT, hours=24, variables=variables)
    page.row("Now", _present_now(), _listening_now(), _presences(), _corrected(), _alerts_open(), _unreviewed())
    page.row("States", _timeline(), _probability(), _held_back())
    page.row("Presence against effort", _minutes(), _effort(), _presence_by_site(), _effort_by_site())
    page.row("Time of day", _hours_present(), _hours_listened())
    page.row("Events and evidence", _events())
    page.row("Alerts and reviews", _alerts(), _held(), _reviews(), _alert_delay())
    return page


def _present_now() -> Panel:
    text = Text("Present now", "Hydrophones that hear the species at this moment (present or fading).", "short")
    now = by("species", of("presence_state", SPECIES, state="present|fading"))
    return figure(text, Query(now, "{{species}}", "now"), thresholds=steps(GREY, (1, BLUE)))


def _listening_now() -> Panel:
    text = Text(
        "Listening now",
        "Share of the selected hydrophones whose audio was analysed in the last minute or so. Below 100 %, "
        "an absence elsewhere on this page may only mean that nobody listened.",
        "percentunit",
    )
    share = f"avg(rate({of('samples_analysed_total', HYDROPHONE)}[$__rate_interval]) > bool 0)"
    return figure(text, Query(share, "listening", "now"), thresholds=less_is_worse(0.5, 1))


def _presences() -> Panel:
    text = Text("Presences begun", "Presences that began in the selected time, over all selected hydrophones.", "short")
    begun = by("species", f"round({grown(of('events_total', SPECIES, kind='started'))})")
    return figure(text, Query(begun, "{{species}}", "now"), thresholds=steps(GREY, (1, BLUE)))


def _corrected() -> Panel:
    text = Text(
        "Share of effort with presence",
        "Time with the species present over time in which it could have been heard, in the selected time, over all "
        "selected hydrophones. Time without effort is left out of both.",
        "percentunit",
    )
    part = share(f"sum_over_time({HEARD}[$__range])", f"count_over_time({HEARD}[$__range])", labels="species")
    return figure(text, Query(part, "{{species}}", "now"))


def _alerts_open() -> Panel:
    text = Text("Alerts open", "Alert rules that hold now: they were told, and not yet told that it is over.", "short")
    open_now = by("rule, species", of("alert_open_state", STATION))
    return figure(text, Query(open_now, "{{rule}}: {{species}}", "now"), thresholds=steps(GREY, (1, VERMILLION)))


def _unreviewed() -> Panel:
    text = Text("Reviewed", "Events that a person confirmed or rejected, in the selected time.", "short")
    said = by("verdict", f"round({grown(of('reviews_total', STATION))})")
    return figure(text, Query(said, "{{verdict}}", "now"))


def _timeline() -> Panel:
    text = Text(
        "State of each species, hydrophone by hydrophone",
        "Each point shows the strongest state of its stretch of time. 'Not listening': none of the hydrophone's audio "
        "was analysed, or its sample rate cannot carry the species. No bar at all: the station was not scraped. "
        "Neither is an absence. Losses shorter than a stretch are on Station health.",
        "none",
    )
    named = {ABSENT: "absent", CANDIDATE: "candidate", FADING: "fading", PRESENT: "present"}
    phase = coded({code: of("presence_state", SPECIES, state=name) for code, name in named.items()}, labels=PLACE)
    told = by(PLACE, f"present_over_time({HEARD}[$__rate_interval])", "max")
    silent = f"{NOT_LISTENING} * {by(PLACE, of('presence_state', SPECIES, state='absent'), 'max')}"
    expr = f"({phase} and on ({PLACE}) {told}) or {silent}"
    return timeline(text, Query(expr, LEGEND), states=PRESENCE)


def _probability() -> Panel:
    text = Text(
        "Probability",
        "Highest calibrated probability of the species' call types in a window, strongest window of each stretch. "
        "It stays at its last value while a hydrophone is silent: read it beside the states.",
        "percentunit",
    )
    highest = f"max_over_time({of('species_probability_ratio', SPECIES)}[$__rate_interval])"
    return lines(text, Query(by(PLACE, highest, "max"), LEGEND), width=14, bounds=(0, 1))


def _held_back() -> Panel:
    text = Text(
        "Persistent sources held back",
        "Call types for which a steady source (a ship, an echo sounder) is taken for what it is and opens no presence. "
        "While one is held back, weak calls of that type are missed.",
        "none",
    )
    flagged = by("station, hydrophone, call_type", of("persistent_source_state", HYDROPHONE), "max")
    legend = "{{station}} / {{hydrophone}} / {{call_type}}"
    return timeline(text, Query(flagged, legend), states=HELD_BACK, width=10, height=8)


def _minutes() -> Panel:
    text = Text(
        "Presence per listened hour",
        "Minutes with the species present in an hour that was listened to (effort-corrected), mean over the selected "
        "hydrophones. No bar: no effort.",
        "m",
    )
    minutes = f"60 * {by('species', f'avg_over_time({HEARD}[$__interval])', 'avg')}"
    return bars(text, Query(minutes, "{{species}}"), colours=palette.SPECIES, summary="mean")


def _effort() -> Panel:
    text = Text(
        "Listening effort",
        "Time in which the species could have been heard, summed over the selected hydrophones: analysed audio at a "
        "sample rate that carries one of its call types. Counted in steps of 15 s.",
        "s",
    )
    seconds = f"{RULE_STEP_S} * {by('species', f'count_over_time({HEARD}[$__interval])')}"
    return bars(text, Query(seconds, "{{species}}"), colours=palette.SPECIES)


def _presence_by_site() -> Panel:
    text = Text(
        "Share of effort with presence, by site and species",
        "Time with the species present over time in which it could have been heard, in the selected time. "
        "A dash: no effort, so nothing can be said. A zero: listened, and not heard.",
        "percentunit",
    )
    return matrix(
        text, Query(_at_site(f"avg_over_time({HEARD}[$__range])", "avg"), form="rows_now"), row="site", column="species"
    )


def _effort_by_site() -> Panel:
    text = Text(
        "Effort, by site and species",
        "Time in which the species could have been heard, in the selected time: what the shares beside it rest on.",
        "s",
    )
    seconds = f"{RULE_STEP_S} * count_over_time({HEARD}[$__range])"
    return matrix(text, Query(_at_site(seconds, "sum"), form="rows_now"), row="site", column="species")


def _at_site(inner: str, how: str) -> str:
    return by("site, species", f'label_join({inner}, "site", " / ", "station", "hydrophone")', how)


def _hours_present() -> Panel:
    text = Text(
        "When present: time of day by date",
        "How many ten-minute spans of an hour had the species present, counted per hydrophone. An empty cell is an "
        "absence only where the picture beside it shows effort. Over more than 60 days spans grow longer.",
        "short",
    )
    return hours_of_days(text, Query(_hour_of(f"max_over_time({HEARD}[$__interval] offset -$__interval) > 0")))


def _hours_listened() -> Panel:
    text = Text(
        "When listened: time of day by date",
        "The same count for listening: ten-minute spans of an hour in which the species could have been heard.",
        "short",
    )
    return hours_of_days(text, Query(_hour_of(f"present_over_time({HEARD}[$__interval] offset -$__interval)")))


def _hour_of(condition: str) -> str:
    """The hour of the day (UTC) at which a condition holds, one series per hydrophone and species."""
    return f"hour(timestamp({by(PLACE, condition, 'max')}))"


def _events() -> Panel:
    text = Text(
        "Events",
        "Presence events by the minute in which they were journalled, newest first. The link leads to the hydrophone's "
        "events of the species as the station gives them (JSON: ids, evidence, reviews; an event's page is "
        "/events/ID there); its address is the variable 'Station page'. "
        "Prometheus knows counts, not single events: those are in the journal.",
        "short",
    )
    count, before = (
        by("station, hydrophone, species, kind", of("events_total", SPECIES) + offset)
        for offset in ("", " offset $__interval")
    )
    # An offset instead of increase(): exact, and it sees the first event of a series and of a restart.
    new = f"({count} - {before} > 0) or ({count} > 0 and {count} < {before}) or ({count} > 0 unless {before})"
    url = (
        "${evidence_url:raw}/api/events?hydrophone=${__data.fields.Hydrophone:percentencode}"
        "&species=${__data.fields.Species:percentencode}"
    )
    columns = [
        Column("Time", "Until", unit="dateTimeAsIso"),
        Column("station", "Station", wide=True),
        Column("hydrophone", "Hydrophone", wide=True),
        Column("species", "Species", link=("Events and evidence on the station page", url)),
        Column("kind", "What"),
        Column("Value", "Events", unit="short"),
    ]
    panel = rows(text, Query(new, form="rows"), columns=columns)
    return panel.interval("1m").max_data_points(1500)


def _alerts() -> Panel:
    text = Text(
        "Alerts told",
        "Alerts by rule and notice: heard (at once), still_here (while it lasts), gone, digest (what was held back).",
        "short",
    )
    told = by("rule, notice", grown(of("alerts_total", STATION), "$__interval"))
    return bars(text, Query(told, "{{rule}}: {{notice}}"), width=6, colours=palette.NOTICES)


def _held() -> Panel:
    text = Text(
        "Alerts held back",
        "Notices that a rule did not send, by cause. The events themselves are journalled and published all the same, "
        "and a digest tells the number.",
        "short",
    )
    held = by("cause", grown(of("alerts_held_back_total", STATION), "$__interval"))
    return bars(text, Query(held, "{{cause}}"), width=6, colours=palette.CAUSES)


def _reviews() -> Panel:
    text = Text(
        "Reviews", "What people said of events, by species: the station's precision as heard by people.", "short"
    )
    said = by("species, verdict", grown(of("reviews_total", f'{STATION},species=~"$species"'), "$__interval"))
    return bars(text, Query(said, "{{species}}: {{verdict}}"), width=6, colours=palette.VERDICTS)


def _alert_delay() -> Panel:
    text = Text(
        "Event to alert",
        "From an event's entry in the journal to that of the alert it led to. Delivery comes on top: see the "
        "publishers on Station health.",
        "s",
    )
    delay = of("event_to_alert_seconds_bucket", STATION)
    queries = [Query(f"{quantile(q, delay)} >= 0", f"p{100 * q:.0f}") for q in (0.5, 0.99)]
    return lines(text, *queries, width=6, bounds=(0, None), thresholds=more_is_worse(2, 5), colours=palette.QUANTILES)
