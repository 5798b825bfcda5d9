"""An event as one line for a log or a terminal."""

from seacanary.events import AlertEvent, ConditionEvent, Event, PresenceEvent, ReviewEvent


def one_line(event: Event) -> str:
    """When it happened, and what."""
    return f"{event.happened:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {_said(event)}"


def _said(event: Event) -> str:
    match event:
        case PresenceEvent():
            reason = f" ({event.reason})" if event.reason else ""
            calls = ", ".join(event.call_types)
            peak = f"peak {event.peak_probability:.2f}{reason}"
            return f"{event.kind} {event.species} at {event.hydrophone}: {calls}, {peak}"
        case ReviewEvent():
            return f"{event.verdict} {event.species} at {event.hydrophone} by {event.reviewer}"
        case ConditionEvent():
            where = f" at {event.hydrophone}" if event.hydrophone else ""
            return f"{event.condition} {event.change}{where}: {event.detail}"
        case AlertEvent():
            return f"alert {event.rule} ({event.notice}): {event.text}"
