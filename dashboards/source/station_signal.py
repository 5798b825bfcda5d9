"""Rows of Station health on what the hydrophones deliver, and what could be heard in it."""

from collections.abc import Sequence

from dashboards.source.board import Panel
from dashboards.source.palette import GREEN, HOLDS, SKY, VERMILLION
from dashboards.source.panels import Text, bars, lines, matrix, spread, timeline
from dashboards.source.queries import HYDROPHONE, Query, by, grown, of

PLACE = "station, hydrophone"
LEGEND = "{{station}} / {{hydrophone}}"


def quality() -> Sequence[Panel]:
    """Flags, levels and flaws of the signal."""
    return _quality(), _level(), _flaws(), _spikes(), _unmeasured(), _bands()


def self_test() -> Sequence[Panel]:
    """How many simulated calls were heard."""
    return _recall(), _recall_over_time(), _trials()


def _quality() -> Panel:
    text = Text(
        "Conditions of the signal",
        "Conditions that hold for a hydrophone's signal: short averages against long ones, with hysteresis. While one "
        "holds, an absence deserves doubt.",
        "none",
    )
    flags = by(f"{PLACE}, condition", of("quality_state", HYDROPHONE), "max")
    return timeline(text, Query(flags, LEGEND + ": {{condition}}"), states=HOLDS, height=8)


def _level() -> Panel:
    text = Text(
        "Level",
        "RMS over the latest second: dB re 1 µPa where the hydrophone's calibration is configured, else dB re full "
        "scale. The legend says which.",
        "dB",
    )
    reference = by(f"{PLACE}, reference", of("level_reference_info", HYDROPHONE), "max")
    level = by(PLACE, of("rms_level_decibels", HYDROPHONE), "max")
    expr = f"{level} * on ({PLACE}) group_right () {reference}"
    return lines(text, Query(expr, LEGEND + " re {{reference}}"), width=8)


FLAWS = {"clipped": "clipped", "silent": "silent", "stuck": "stuck", "hum": "hum", "dc_offset": "DC offset"}


def _flaws() -> Panel:
    text = Text(
        "Flaws of the signal",
        "Shares of the latest second that are clipped, silent or stuck at one value; mains hum as its share of the "
        "power around its lines; and DC offset over full scale, without its sign.",
        "percentunit",
    )
    queries = [
        Query(f"abs({by(PLACE, of(f'{what}_ratio', HYDROPHONE), 'max')})", f"{LEGEND}: {name}")
        for what, name in FLAWS.items()
    ]
    return lines(text, *queries, width=8, bounds=(0, None))


def _spikes() -> Panel:
    text = Text(
        "Spikes", "Single samples far above the second around them: connectors, water in cables, radio.", "short"
    )
    spikes = by(PLACE, grown(of("spikes_total", HYDROPHONE), "$__interval"))
    return bars(text, Query(spikes, LEGEND), width=4, interval="1m")


def _unmeasured() -> Panel:
    text = Text("Audio not measured", "Samples whose quality was not measured for want of time.", "short")
    shed = by(PLACE, grown(of("quality_shed_samples_total", HYDROPHONE), "$__interval"))
    return bars(text, Query(shed, LEGEND), width=4, interval="1m")


def _bands() -> Panel:
    text = Text(
        "Band levels",
        "Level in each decidecade band (IEC 61260-1), mean over the selected hydrophones: choose one for its own "
        "soundscape, and never mix calibrated and uncalibrated ones. Reference as in 'Level'.",
        "dB",
    )
    level = by("band", _sortable(of("band_level_decibels", HYDROPHONE), "band_hz", as_label="band"), "avg")
    return spread(text, Query(level, "{{band}} Hz"), axis="nominal centre", width=24)


def _sortable(inner: str, label: str, *, as_label: str) -> str:
    """Copy a numeric label with leading zeros: Prometheus gives series in the order of their labels as text."""
    for digits in range(1, 7):
        pattern = rf"(\\d{{{digits}}}([.]\\d+)?)"
        inner = f'label_replace({inner}, "{as_label}", "{"0" * (6 - digits)}$1", "{label}", "{pattern}")'
    return inner


def _recall() -> Panel:
    text = Text(
        "Recall by call type and level",
        "Share of simulated calls of known kind and signal-to-noise ratio (dB) that were heard when mixed into copies "
        "of the latest live audio, mean over the selected hydrophones. They never reach an alert.",
        "percentunit",
    )
    recall = by("call_type, snr_db", of("selftest_recall_ratio", HYDROPHONE), "avg")
    return matrix(text, Query(recall, form="rows_now"), row="call_type", column="snr_db", width=8)


def _recall_over_time() -> Panel:
    text = Text(
        "Recall",
        "The same over time, by call type, mean over levels: the station's probability of detection in the noise of "
        "the moment. A fall means that absences weigh less.",
        "percentunit",
    )
    recall = by(f"{PLACE}, call_type", of("selftest_recall_ratio", HYDROPHONE), "avg")
    return lines(text, Query(recall, LEGEND + " / {{call_type}}"), width=8, bounds=(0, 1))


def _trials() -> Panel:
    text = Text(
        "Self-test calls",
        "Simulated calls by outcome. Void: no audio to mix into, or nothing analysed; such a trial says nothing.",
        "short",
    )
    trials = by("outcome", grown(of("selftest_calls_total", HYDROPHONE), "$__interval"))
    colours = {"heard": GREEN, "missed": VERMILLION, "void": SKY}
    return bars(text, Query(trials, "{{outcome}}"), width=8, interval="10m", colours=colours)
