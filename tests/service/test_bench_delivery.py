"""benchmarks.delivery measures from the right window, counts what did not come, and says what it measured."""

from datetime import timedelta
from pathlib import Path

import pytest
from benchmarks.delivery import figures, table
from benchmarks.delivery_latency import Arrivals, Asked, Listened, Openings, Timeline, recorded, station_config
from benchmarks.delivery_storm import Storm
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import WebhookVerificationError

from event_samples import event
from fakes import EPOCH, tiny_contract
from seacanary.alerts.rules import RateLimit
from seacanary.events import PresenceEvent
from seacanary.observations import Detection
from seacanary.presence import trackers_for
from seacanary.presence_rules import PresenceSection
from seacanary.station import StationSummary
from web_samples import alert_of
from webhook_receiver import Received

CONTRACT, PRESENCE = tiny_contract(), PresenceSection()
WINDOW, HOP, RATE_HZ = CONTRACT.window_samples, CONTRACT.hop_samples, CONTRACT.sample_rate_hz


def window(number: int, whistle: float, *, late_s: float = 0.0) -> Detection:
    """A window of one hydrophone; `late_s` is how much later its clock says it began than its epoch does."""
    return Detection(
        hydrophone="h0",
        epoch=EPOCH,
        first_sample=number * HOP,
        end_sample=number * HOP + WINDOW,
        sample_rate_hz=RATE_HZ,
        start=EPOCH + timedelta(seconds=number * HOP / RATE_HZ + late_s),
        probability={"whistle": whistle},
        unobserved=frozenset({"porpoise_click"}),
        spans=(),
        mask=None,
        model_id="m",
        source_file=None,
    )


def asked(windows: list[Detection]) -> list[Asked]:
    """Each asked about a second after its end."""
    return [Asked(window, recorded(window) + timedelta(seconds=1)) for window in windows]


def deciding(windows: list[Detection]) -> list[tuple[PresenceEvent, int]]:
    """`started` events as the service makes them, each with the number of the window that decided."""
    beluga = next(t for t in trackers_for(CONTRACT, "station", "h0", PRESENCE) if t.species == "beluga")
    return [(told, n) for n, w in enumerate(windows) for told in beluga.observe(w) if told.kind == "started"]


def test_the_first_positive_window_is_where_the_latency_begins() -> None:
    windows = [window(n, p) for n, p in enumerate([0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.4, 0.9, 0.1, 0.9])]
    [(begun, last)] = deciding(windows)
    assert last == 11
    assert Openings(asked(windows), CONTRACT, PRESENCE).of(begun) == (
        recorded(windows[7]),
        recorded(windows[11]),
        asked(windows)[11].at,
    )


@settings(deadline=None)
@given(probabilities=st.lists(st.sampled_from([0.1, 0.4, 0.9]), max_size=60))
def test_the_last_window_of_an_opening_is_the_one_that_decided(probabilities: list[float]) -> None:
    windows = [window(n, p) for n, p in enumerate(probabilities)]
    openings = Openings(reversed(asked(windows)), CONTRACT, PRESENCE)
    for begun, last in deciding(windows):
        positive, decided, at = openings.of(begun)
        assert (decided, at) == (recorded(windows[last]), asked(windows)[last].at)
        first = next(n for n, w in enumerate(windows) if recorded(w) == positive)
        assert probabilities[first] == 0.9
        assert last - first < PRESENCE.rule.n


def test_an_event_of_windows_nobody_saw_is_an_error() -> None:
    [(begun, _)] = deciding([window(n, 0.9) for n in range(3)])
    with pytest.raises(LookupError, match="no positive window"):
        Openings(asked([window(0, 0.1)]), CONTRACT, PRESENCE).of(begun)


def test_a_window_was_recorded_at_the_earlier_of_two_times() -> None:
    end = EPOCH + timedelta(seconds=(HOP + WINDOW) / RATE_HZ)
    assert recorded(window(1, 0.9, late_s=0.5)) == end
    assert recorded(window(1, 0.9, late_s=-0.5)) == end - timedelta(seconds=0.5)


async def test_a_webhook_that_does_not_verify_has_not_arrived() -> None:
    arrivals = Arrivals(1)
    with pytest.raises(WebhookVerificationError):
        arrivals.take(Received("/hook", {"webhook-id": "1", "webhook-timestamp": "1"}, b"{}", 0.0))
    assert arrivals.at == {}


def test_figures_are_of_all_alerts_and_name_what_is_simulated() -> None:
    lines = [timeline(latency_s) for latency_s in (1.5, 2.0, 4.0)]
    results = figures(Listened(lines, 1, 9, 2.0, StationSummary({}, {}, {}), "m"), hydrophones=4)
    assert (results["alert_p50_s"], results["alert_max_s"]) == (2.0, 4.0)
    assert (results["alerts"], results["alerts_without_webhook"]) == (3, 1)
    assert "simulated" in str(results["audio"])
    shown = table(
        results | {"machine": "m", "date": "d"} | Storm(10, 5, 1.0, 1.0, [alert_of(event(1))], RateLimit()).figures()
    )
    assert shown.row_count == 10


def test_the_stages_add_up_to_the_latency() -> None:
    line = timeline(2.0)
    assert sum(line.stages_s.values()) == pytest.approx(line.latency_s)


def timeline(latency_s: float) -> Timeline:
    steps = [EPOCH + timedelta(seconds=share * latency_s) for share in (0, 0.5, 0.6, 0.75, 0.8, 1)]
    return Timeline(*steps)


def test_the_storms_messages_are_counted_in_every_stretch() -> None:
    at = [EPOCH + timedelta(seconds=s) for s in (0, 1, 59, 60, 61)]
    alerts = [alert_of(event(1), at=instant) for instant in at]
    storm = Storm(10, 5, 1.0, 1.0, alerts, RateLimit(messages=6, per_s=60))
    assert storm.most_in_stretch == 3


def test_the_station_measured_is_a_whole_one(tmp_path: Path) -> None:
    config = station_config(tmp_path, hydrophones=3, redis_url="redis://127.0.0.1", webhook_url="http://127.0.0.1/")
    assert [rule.hydrophones for rule in config.alerts.rules] == [("h0",), ("h1",), ("h2",)]
    assert config.presence.rule.k == PRESENCE.rule.k
    assert config.evidence is not None
    assert config.selftest is not None
    assert config.quality.enabled
