"""Alert rules: what they match, their quiet hours, and what is refused."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alert_samples import presence, rule
from seacanary.alerts.rules import AlertRule, AlertsSection, QuietHours, RateLimit


def night(start: str = "22:00", end: str = "06:00", zone: str = "America/Anchorage") -> dict[str, str]:
    return {"start": start, "end": end, "zone": zone}


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"species": ["beluga"]}, {"species": "orca"}),
        ({"hydrophones": ["north"]}, {"hydrophone": "south"}),
        ({"call_types": ["whistle", "click"]}, {"calls": ("buzz",)}),
        ({}, {"persistent": True}),
    ],
)
def test_a_rule_matches_what_it_names_and_nothing_else(fields: dict[str, object], other: dict[str, object]) -> None:
    assert rule(**fields).matches(presence("started", 0))
    assert not rule(**fields).matches(presence("started", 0, **other))  # type: ignore[arg-type]  # by name
    assert rule().matches(presence("started", 0, **(other | {"persistent": False})))  # type: ignore[arg-type]  # by name


def test_a_rule_may_include_persistent_sources() -> None:
    assert rule(include_persistent_sources=True).matches(presence("started", 0, persistent=True))


def test_quiet_hours_are_local_and_half_open_and_go_over_midnight() -> None:
    hours = QuietHours.model_validate(night())
    anchorage = ZoneInfo("America/Anchorage")
    quiet = {"21:59": False, "22:00": True, "00:00": True, "05:59": True, "06:00": False, "12:00": False}
    for clock, holds in quiet.items():
        hour, minute = map(int, clock.split(":"))
        assert hours.hold(datetime(2026, 7, 1, hour, minute, tzinfo=anchorage).astimezone(UTC)) is holds, clock
    ends = hours.ends_after(datetime(2026, 7, 1, 23, tzinfo=anchorage).astimezone(UTC))
    assert ends == datetime(2026, 7, 2, 6, tzinfo=anchorage)


def test_quiet_hours_that_follow_each_other_end_together() -> None:
    quiet = rule(quiet_hours=[night("22:00", "06:00"), night("05:00", "07:30")])
    began = datetime(2026, 7, 1, 23, tzinfo=ZoneInfo("America/Anchorage"))
    assert quiet.quiet_until(began) == datetime(2026, 7, 2, 7, 30, tzinfo=ZoneInfo("America/Anchorage"))
    assert quiet.quiet_until(began + timedelta(hours=10)) is None


def test_quiet_hours_whose_end_comes_twice_hold_twice() -> None:
    # Clocks in Berlin go from 3:00 summer time back to 2:00 on 2026-10-25: 2:30 comes at 0:30 and at 1:30 UTC.
    hours = QuietHours.model_validate(night("22:00", "02:30", "Europe/Berlin"))
    night_of_it = datetime(2026, 10, 25, tzinfo=UTC)
    assert hours.ends_after(night_of_it) == night_of_it + timedelta(minutes=30)
    assert not hours.hold(night_of_it + timedelta(minutes=45))
    assert hours.hold(night_of_it + timedelta(minutes=75))
    assert hours.ends_after(night_of_it + timedelta(minutes=75)) == night_of_it + timedelta(minutes=90)


@given(
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(["UTC", "America/Anchorage", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    now=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_end_of_quiet_hours_lies_ahead_and_within_a_little_more_than_a_day(start, end, zone, now) -> None:  # type: ignore[no-untyped-def]  # by hypothesis
    if start == end:
        return
    hours = QuietHours(start=start, end=end, zone=zone)
    assert timedelta() < hours.ends_after(now) - now <= timedelta(hours=26)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"quiet_hours": [night(zone="Atlantis/Capital")]}, "no time zone 'Atlantis/Capital'"),
        ({"quiet_hours": [night("06:00", "06:00")]}, "must begin and end at different times"),
        ({"quiet_hours": [night("06:00+02:00", "08:00")]}, "without an offset"),
        ({"quiet_hours": [night("06:00", "19:00"), night("18:00", "07:00")]}, "no time of day"),
        ({"notices": ["gone"]}, "'heard' must be among the notices"),
        ({"name": "no spaces"}, "pattern"),
        ({"rate_limit": {"messages": 0}}, "greater than or equal to 1"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, object], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        rule(**fields)


def test_rules_have_names_of_their_own() -> None:
    with pytest.raises(ValidationError, match="used twice: a"):
        AlertsSection(rules=(AlertRule(name="a"), AlertRule(name="b"), AlertRule(name="a")))


@pytest.mark.parametrize(("messages", "reserved"), [(1, 0), (2, 0), (3, 1), (6, 2)])
def test_a_third_of_the_limit_is_kept_for_heard_and_digests(messages: int, reserved: int) -> None:
    assert RateLimit(messages=messages).reserved == reserved
