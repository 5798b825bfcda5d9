"""Sections of the model card about the headline, the benchmark, false alarms, classical detectors, ranges, events."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from seacanary_models.headline import KEYS

Report = Mapping[str, Any]  # evaluation.json: free in its figures, fixed in its keys


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    head = tuple(head)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float) -> str:
    """Three digits; a dash for what is not a number."""
    return "-" if math.isnan(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def headline_section(report: Report) -> list[str]:
    """The figures of acceptance, each with what it was measured on or why it is missing."""
    why = {**report.get("measured_on", {}), **report.get("missing", {})}
    rows = ((f"`{key}`", number(report.get(key, math.nan)), why.get(key, "not measured")) for key in KEYS)
    return [table(("figure", "value", "measured on simulated sound, or why it is missing"), rows)]


def benchmark_sections(report: Report) -> list[str]:
    """Joint figures on the benchmark's test part."""
    benchmark = _part(report, "benchmark")
    if benchmark is None:
        return []
    joint, shifted = benchmark["joint"], benchmark["joint_transform_shift"]
    low, high = joint["joint_accuracy_interval"]
    return [
        "## The benchmark's test part (simulated)",
        f"{benchmark['windows']} simulated windows, the eight combinations of call types equally often. Joint accuracy "
        f"(all three call types right) {number(joint['joint_accuracy'])}, 95 % interval {number(low)} to "
        f"{number(high)}; {number(shifted['joint_accuracy'])} through the alternative transform. Macro-F1 "
        f"{number(joint['macro_f1_combinations'])} over combinations, {number(joint['macro_f1_call_types'])} over call "
        f"types; Hamming loss {number(joint['hamming_loss'])}. Thresholds for joint accuracy, chosen on the simulated "
        "validation part; they are not the presence thresholds below.",
        table(
            ("combination", "windows", "perfect accuracy", "precision", "F1"),
            (
                (name, f["windows"], number(f["recall"]), number(f["precision"]), number(f["f1"]))
                for name, f in joint["combinations"].items()
            ),
        ),
        "Recall by SNR at the presence thresholds (`enter`); whistles: RMS over RMS in their own band, clicks: peak "
        "over RMS.",
        table(
            ("call type", "SNR, dB", "windows", "recall"),
            (
                (name, f"{row['low']:.0f} to {row['high']:.0f}", row["windows"], number(row["recall"]))
                for name, rows in benchmark["recall_by_snr_db"].items()
                for row in rows
            ),
        ),
    ]


def alarm_section(report: Report) -> list[str]:
    """False presence events in simulated noise without animals."""
    alarms = _part(report, "false_presence")
    if alarms is None:
        return []
    low, high = alarms["per_day_95"]
    other = "" if alarms["model_id"] == report["model_id"] else f" They are of **another model**, {alarms['model_id']}."
    rows = sorted(alarms["by_kind"].items(), key=lambda item: -item[1]["events_per_day"])
    return [
        "## False presence events in simulated noise without animals",
        f"{alarms['hours']:g} h of simulated sea: {alarms['false_events']} events, "
        f"{number(alarms['false_events_per_day'])} per day (95 % interval {number(low)} to {number(high)}).{other}",
        table(
            ("kind of noise", "events per day", "times heard", "hours"),
            (
                (kind.replace("_", " "), number(row["events_per_day"]), row["times_heard"], number(row["heard_hours"]))
                for kind, row in rows
            ),
        ),
    ]


def classical_section(report: Report) -> list[str]:
    """d' of the model beside the classical detectors."""
    classical = _part(report, "classical")
    if classical is None:
        return []
    judged = {f"porpoise clicks: {name}": f["test"] for name, f in classical["clicks"]["classifiers"].items()}
    judged |= {f"whistles: {name}": classical["whistles"][name] for name in ("model", "contours")}
    return [
        "## Beside the classical detectors (simulated)",
        "d' on the same simulated clicks and windows; thresholds by "
        f"{classical['clicks']['rule']}. Published, on other clicks: 2.0 (PAMGuard) and 3.4 (PorCC). Of porpoise "
        "clicks, `model` is a regression over M's outputs and T's image at the click, `image alone` the same over T's "
        "image there without M, `model window` M's porpoise logit of the whole window."
        + _of_other_weights(classical, report),
        table(
            ("detector", "d'", "90 % interval", "hits", "false alarms"),
            (
                (
                    name.replace("_", " "),
                    number(f["dprime"]),
                    f"{number(f['dprime_low'])} to {number(f['dprime_high'])}",
                    number(f["hit_rate"]),
                    number(f["false_alarm_rate"]),
                )
                for name, f in judged.items()
            ),
        ),
    ]


def _of_other_weights(classical: Report, report: Report) -> str:
    own = classical["checkpoint"] in report["model_id"].split("-")
    return "" if own else f" They are of **other weights**, {classical['checkpoint']}."


def range_section(report: Report) -> list[str]:
    """Range of half recall."""
    ranges = _part(report, "detection_range")
    if ranges is None:
        return []
    how = {"beyond": "beyond {last:.0f}", "never": "nowhere", "within": "{half:.0f}"}
    rows = (
        (
            curve["call_type"],
            curve["noise"],
            how[curve["half_recall"]].format(last=curve["points"][-1]["range_m"], half=curve["half_recall_m"]),
            curve["points"][0]["windows"],
        )
        for curve in ranges["curves"]
    )
    return [
        "## Detection range (simulated)",
        f"Range at which half of the windows with a call are heard: {ranges['what']}. Click trains point at the "
        "hydrophone once: at sea, ranges are shorter.",
        table(("call type", "noise", "range of half recall, m", "windows per point"), rows),
    ]


def event_section(report: Report) -> list[str]:
    """Events in simulated streams."""
    events = _part(report, "events")
    if events is None:
        return []
    rule = events["recipe"]["rule"]
    rows = (
        (name, f["true_events"], f["heard_events"], number(f["collar"]["f1"]), number(f["intersection"]["f1"]))
        for name, f in events["call_types"].items()
    )
    return [
        "## Onsets and offsets (simulated)",
        f"{events['seconds']:.0f} s of simulated streams. Collar: {rule['collar_s']:g} s, the offset also "
        f"{100 * rule['offset_share']:g} % of the length. Intersection: {100 * rule['detection_share']:g} % of a heard "
        f"event inside true ones, {100 * rule['truth_share']:g} % of a true one covered. "
        "An event is what the windows' masks show while the call type's probability is at least `leave`, where some "
        "window reaches `enter`; the presence rules (k of n, hold) come after and are not part of it.",
        table(("call type", "true events", "heard", "F1, collar", "F1, intersection"), rows),
    ]


def _part(report: Report, name: str) -> Any:
    """A part of the report, None where it was not measured (read back, null is NaN)."""
    part = report.get(name)
    return part if isinstance(part, Mapping) else None
