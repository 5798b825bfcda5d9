"""Station health: where every sample went, and whether the station can be believed."""

from dashboards.source import board as boards
from dashboards.source import station_delivery, station_signal
from dashboards.source.board import Board, Panel
from dashboards.source.palette import (
    GREY,
    HOLDS,
    LEDGER,
    SOURCE,
    SYNCHRONISED,
    VERMILLION,
    less_is_worse,
    more_is_worse,
    steps,
)
from dashboards.source.panels import Text, bars, figure, lines, state, timeline
from dashboards.source.queries import HYDROPHONE, STATION, Query, by, coded, grown, of, of_disk, rate, share

PLACE = "station, hydrophone"
LEGEND = "{{station}} / {{hydrophone}}"
RATE_OF_STREAM = by(PLACE, of("sample_rate_hertz", HYDROPHONE), "max")

ABOUT = (
    "Where every sample went, and whether what the station says can be believed: coverage, clock, signal quality, "
    "self-test, disk and delivery."
)


def board() -> Board:
    """The dashboard."""
    variables = [boards.datasource(), boards.station(), boards.hydrophone()]
    page = Board("Station health", uid="seacanary-station-health", about=ABOUT, hours=6, variables=variables)
    page.row("Now", _coverage_now(), _audio_age_now(), _conditions_now(), _clock_now(), _headroom_now(), _lag_now())
    page.row("Ledger: where every sample went", _ledger(), _coverage(), _lost(), _gaps(), _pending(), *_beyond())
    page.row("Sources", _sources(), _restarts(), _overflows(), _audio_age(), _burn())
    page.row("Clock", _clock_error(), _clock_drift(), _clock_steps(), _ntp())
    page.row("Signal quality", *station_signal.quality())
    page.row("Self-test: what could be heard in today's noise", *station_signal.self_test())
    page.row("Conditions", _conditions())
    page.row("Evidence and disk", *station_delivery.evidence())
    page.row("Delivery", *station_delivery.publishers())
    return page


def _coverage_now() -> Panel:
    text = Text(
        "Coverage now",
        "Share of elapsed time that was analysed in the last minutes, least covered hydrophone. The rest was lost, "
        "shed or unobserved: nobody can say what was in it.",
        "percentunit",
    )
    worst = f"min({_share_of_elapsed('analysed')})"
    return figure(text, Query(worst, "least covered", "now"), thresholds=less_is_worse(0.9, 0.99))


def _audio_age_now() -> Panel:
    text = Text("Audio age now", "Time since audio of the longest silent live hydrophone was last analysed.", "s")
    age = f"max({of('audio_age_seconds', HYDROPHONE)})"
    return figure(text, Query(age, "longest silent", "now"), thresholds=more_is_worse(5, 30))


def _conditions_now() -> Panel:
    text = Text("Conditions now", "Conditions that hold now, of the station or of a hydrophone.", "short")
    holding = by("condition", of("condition_state", STATION))
    return figure(text, Query(holding, "{{condition}}", "now"), thresholds=steps(GREY, (1, VERMILLION)))


def _clock_now() -> Panel:
    text = Text("Time error now", "Largest bound of a sample's time error: event times are no better than this.", "s")
    error = f"max({of('clock_error_seconds', HYDROPHONE)})"
    return figure(text, Query(error, "largest bound", "now"), thresholds=more_is_worse(0.1, 1))


def _headroom_now() -> Panel:
    text = Text("Disk headroom now", "Hours of recording left at the measured rate, fullest station.", "h")
    hours = f"min({of_disk('disk_headroom_hours')})"
    return figure(text, Query(hours, "least left", "now"), thresholds=less_is_worse(4, 24))


def _lag_now() -> Panel:
    text = Text("Delivery lag now", "Age of the oldest event that a publisher has not delivered yet.", "s")
    lag = f"max({of('publisher_lag_seconds', STATION)})"
    return figure(text, Query(lag, "furthest behind", "now"), thresholds=more_is_worse(60, 900))


def _share_of_elapsed(what: str, labels: str = PLACE) -> str:
    part = rate(of(f"samples_{what}_total", HYDROPHONE))
    return share(part, rate(of("samples_elapsed_total", HYDROPHONE)), labels=labels)


def _ledger() -> Panel:
    text = Text(
        "Where samples went",
        "Every sample is in one place. Analysed: inside a window the model judged. Shed: dropped because inference was "
        "behind. Unobserved: captured, but no window could hold it. Lost: never arrived. Only the analysed part can "
        "hold an absence. Shares of elapsed samples; they may differ a little from 1 while samples are on their way.",
        "percentunit",
    )
    queries = [Query(_share_of_elapsed(what, labels=""), what) for what in LEDGER]
    return bars(text, *queries, interval="10s", colours=LEDGER, summary="mean")


def _coverage() -> Panel:
    text = Text(
        "Coverage",
        "Share of elapsed time that was analysed, by hydrophone. While a station is down it counts nothing, and its "
        "line has a hole: the recording rules behind 'Error budget' count that as not covered.",
        "percentunit",
    )
    return lines(
        text, Query(_share_of_elapsed("analysed"), LEGEND), bounds=(0, None), thresholds=less_is_worse(0.9, 0.99)
    )


def _lost() -> Panel:
    text = Text("Audio lost", "Seconds of audio that never arrived, per stretch of time.", "s")
    return bars(text, Query(_seconds("lost"), LEGEND), width=8, interval="1m")


def _seconds(what: str) -> str:
    """Samples of a kind over $__interval as seconds, by hydrophone."""
    return f"{by(PLACE, grown(of(f'samples_{what}_total', HYDROPHONE), '$__interval'))} / {RATE_OF_STREAM}"


def _gaps() -> Panel:
    text = Text(
        "Gaps", "Stretches in which audio was lost: one long gap and many short ones have other causes.", "short"
    )
    gaps = by(PLACE, grown(of("gaps_total", HYDROPHONE), "$__interval"))
    return bars(text, Query(gaps, LEGEND), width=8, interval="1m")


def _pending() -> Panel:
    text = Text(
        "Audio on its way",
        "Captured audio whose fate is open: it waits for its window or for the model. It grows when inference is "
        "slower than the audio, until the oldest is shed.",
        "s",
    )
    waiting = f"{by(PLACE, of('samples_pending', HYDROPHONE))} / {RATE_OF_STREAM}"
    return lines(text, Query(waiting, LEGEND), width=8, bounds=(0, None))


def _beyond() -> tuple[Panel, ...]:
    return _arriving(), _out_of_reach(), _abstained()


def _arriving() -> Panel:
    text = Text(
        "Samples per second",
        "Samples that passed (captured and lost) and samples that arrived, per second. Together: the stream's rate. "
        "Apart: audio is being lost.",
        "hertz",
    )
    queries = [
        Query(by(PLACE, rate(of(f"samples_{what}_total", HYDROPHONE))), f"{LEGEND}: {what}")
        for what in ("elapsed", "captured")
    ]
    return lines(text, *queries, width=8, bounds=(0, None))


def _out_of_reach() -> Panel:
    text = Text(
        "Call types out of reach",
        "Share of analysed audio whose sample rate cannot carry the call type (porpoise clicks need over 300 kHz): for "
        "that call type it is unobserved: neither presence nor absence.",
        "percentunit",
    )
    labels = f"{PLACE}, call_type"
    deaf = by(labels, rate(of("call_type_unobserved_samples_total", HYDROPHONE)))
    whole = by(PLACE, rate(of("samples_analysed_total", HYDROPHONE)))
    expr = f"{deaf} / on ({PLACE}) group_left () ({whole} > 0)"
    return lines(text, Query(expr, LEGEND + " / {{call_type}}"), width=8, bounds=(0, 1))


def _abstained() -> Panel:
    text = Text(
        "The model did not know",
        "Share of analysed windows for which the model's answer fell between yes and no. Many of them mean sounds "
        "unlike those it was trained on.",
        "percentunit",
    )
    labels = f"{PLACE}, call_type"
    unsure = by(labels, rate(of("windows_abstained_total", HYDROPHONE)))
    windows = by(PLACE, rate(of("windows_analysed_total", HYDROPHONE)))
    expr = f"{unsure} / on ({PLACE}) group_left () ({windows} > 0)"
    return lines(text, Query(expr, LEGEND + " / {{call_type}}"), width=8, bounds=(0, 1))


def _sources() -> Panel:
    text = Text(
        "State of each source",
        "Running, reopening, stalled (open, but no audio comes), lost (broken off), unusable (can never work as "
        "configured) or ended (a recording is over).",
        "none",
    )
    names = {code: name for code, (name, _) in SOURCE.items()}
    selectors = {code: of("source_state", STATION, state=name) for code, name in names.items()}
    code = coded(selectors, labels="station, source")
    return timeline(text, Query(f"{code} > 0", "{{station}} / {{source}}"), states=SOURCE, height=6)


def _restarts() -> Panel:
    text = Text("Sources reopened", "Times a source was opened again, by reason. Each is a gap in coverage.", "short")
    again = by("station, source, reason", grown(of("source_restarts_total", STATION), "$__interval"))
    return bars(text, Query(again, "{{station}} / {{source}}: {{reason}}"), width=6, interval="5m")


def _overflows() -> Panel:
    text = Text(
        "Capture overruns",
        "Times the driver lost audio, and blocks shed between capture and analysis: the machine was too slow to take "
        "audio from the device. Each is a gap.",
        "short",
    )
    driver = by("station, source", grown(of("source_overflows_total", STATION), "$__interval"))
    blocks = by("station, source", grown(of("source_shed_blocks_total", STATION), "$__interval"))
    queries = [Query(driver, "{{station}} / {{source}}: driver"), Query(blocks, "{{station}} / {{source}}: hand-off")]
    return bars(text, *queries, width=6, interval="5m")


def _audio_age() -> Panel:
    text = Text("Audio age", "Time since the hydrophone's last audio was analysed; live sources only.", "s")
    age = by(PLACE, of("audio_age_seconds", HYDROPHONE), "max")
    return lines(text, Query(age, LEGEND), width=6, bounds=(0, None), thresholds=more_is_worse(5, 30))


def _burn() -> Panel:
    text = Text(
        "Error budget burn",
        "How fast the coverage objective's budget is spent: 1 spends exactly the budget, 14.4 a month's budget in two "
        "days. From the recording rules; a station that is down counts as not covered.",
        "short",
    )
    queries = [
        Query(f"station:seacanary_coverage_burn:ratio{over}{{{STATION}}}", f"{{{{station}}}}, over {over}")
        for over in ("5m", "1h", "6h")
    ]
    return lines(text, *queries, width=6, bounds=(0, None), thresholds=more_is_worse(1, 14.4))


def _clock_error() -> Panel:
    text = Text("Bound of the time error", "No sample's time is further from UTC than this.", "s")
    error = by(PLACE, of("clock_error_seconds", HYDROPHONE), "max")
    return lines(text, Query(error, LEGEND), width=8, bounds=(0, None), thresholds=more_is_worse(0.1, 1))


def _clock_drift() -> Panel:
    text = Text(
        "Drift of the sample clock",
        "Fitted sample rate over the nominal one, in millionths. Steady drift is normal and corrected; a jump is not.",
        "ppm",
    )
    drift = f"1e6 * {by(PLACE, of('clock_drift_ratio', HYDROPHONE), 'max')}"
    return lines(text, Query(drift, LEGEND), width=8)


def _clock_steps() -> Panel:
    text = Text("Steps of the system clock", "Times the system clock was set while audio ran.", "short")
    steps_seen = by(PLACE, grown(of("clock_steps_total", HYDROPHONE), "$__interval"))
    return bars(text, Query(steps_seen, LEGEND), width=4, interval="5m")


def _ntp() -> Panel:
    text = Text("NTP", "Whether the kernel says that the system clock is kept by NTP or PTP.", "none")
    kept = by("station", of("clock_synchronised_state", STATION), "min")
    return state(text, Query(kept, "{{station}}", "now"), states=SYNCHRONISED)


def _conditions() -> Panel:
    text = Text(
        "Conditions of the station and its hydrophones",
        "From their beginning to their end; each change is also an event in the journal.",
        "none",
    )
    holding = by("station, condition, hydrophone", of("condition_state", STATION), "max")
    return timeline(text, Query(holding, "{{station}} {{hydrophone}}: {{condition}}"), states=HOLDS, height=7)
