"""What is exported of a hydrophone before anything has happened."""

import pytest

from fakes import tiny_contract
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceSection
from seacanary.telemetry import Telemetry


@pytest.mark.parametrize(("follows_presence", "begun"), [(True, 0.0), (False, None)])
def test_presences_are_counted_from_zero_where_they_are_followed_alone(
    follows_presence: bool, begun: float | None
) -> None:
    metrics = Metrics()
    hydrophone = Hydrophone(
        "north",
        station="pier",
        contract=tiny_contract(),
        presence=PresenceSection(),
        guard=GuardSection(),
        pad_at_end=False,
    )
    telemetry = Telemetry(metrics)
    export = telemetry.export if follows_presence else telemetry.export_capture
    export({"north": hydrophone}, ntp_error_s=None)
    labels = {"hydrophone": "north", "species": hydrophone.trackers[0].species, "kind": "started"}
    assert metrics.registry.get_sample_value("seacanary_events_total", labels) == begun
    assert metrics.registry.get_sample_value("seacanary_windows_shed_total", {"hydrophone": "north"}) == 0.0
