"""Circuit: how soon a far side is asked again."""

import pytest
from pydantic import ValidationError

from seacanary.publishers.circuit import Circuit, DeliveryPolicy, PatientPolicy

POLICY = DeliveryPolicy(first_wait_s=1, longest_wait_s=60, opens_after=3, longest_retry_after_s=600)


def failed(times: int, *, drawn: float = 1.0) -> Circuit:
    """A circuit after failures in a row; `drawn` says where in each range the jitter falls, 0 to 1."""
    circuit = Circuit(POLICY, jitter=lambda low, high: low + drawn * (high - low))
    for _ in range(times):
        circuit.asking()
        circuit.failed()
    return circuit


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    assert [failed(times).state for times in (0, 2, 3, 9)] == ["closed", "closed", "open", "open"]


def test_an_answer_between_failures_keeps_it_closed() -> None:
    circuit = failed(2)
    circuit.answered()
    circuit.failed()
    assert circuit.state == "closed"


def test_one_probe_closes_it_or_opens_it_again() -> None:
    circuit = failed(3)
    circuit.asking()
    assert circuit.state == "half_open"
    circuit.failed()
    assert circuit.state == "open"
    circuit.asking()
    circuit.answered()
    assert circuit.state == "closed"


def test_waits_double_up_to_the_longest() -> None:
    assert [failed(times).wait_s() for times in (1, 2, 3, 6, 7, 8, 5000)] == [1, 2, 4, 32, 60, 60, 60]


def test_jitter_is_full_while_closed_and_half_while_open() -> None:
    assert [failed(times, drawn=0.0).wait_s() for times in (1, 2, 3, 7)] == [0, 0, 2, 30]


def test_the_far_side_is_left_alone_as_long_as_it_asks() -> None:
    assert failed(1, drawn=0.0).wait_s(120) == 120
    assert failed(1, drawn=1.0).wait_s(120) == 121  # not all that were told 120 come back at once
    assert failed(8).wait_s(5) == 60
    assert failed(1, drawn=0.0).wait_s(10**9) == 600
    assert failed(1, drawn=0.0).wait_s(float("inf")) == 600


def test_a_patient_policy_takes_events_one_by_one_and_gives_up_after_a_day() -> None:
    policy = PatientPolicy()
    assert (policy.batch, policy.give_up_s) == (1, 86_400)
    assert DeliveryPolicy().give_up_s is None
    with pytest.raises(ValidationError):
        PatientPolicy.model_validate({"batch": 2})
