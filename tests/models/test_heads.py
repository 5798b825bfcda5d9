"""Two heads, one meaning: what is said of combinations and of call types agrees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from seacanary_models.heads import (
    call_types_of,
    combination_of,
    joint_decision,
    joint_decision_from_marginals,
    joint_logits_from_marginals,
    joint_loss,
    logit_count,
    marginal_logits,
    marginal_probabilities,
)

pytestmark = pytest.mark.torch

logits_of_types = st.lists(st.floats(-8, 8), min_size=1, max_size=5)
three_logits = st.lists(st.floats(-8, 8), min_size=3, max_size=3)
eight_logits = st.lists(st.floats(-8, 8), min_size=8, max_size=8)


@given(call_types=st.integers(1, 6))
def test_a_combination_and_its_call_types_say_the_same(call_types: int) -> None:
    every = torch.arange(2**call_types)
    assert torch.equal(combination_of(call_types_of(every, call_types)), every)


def test_bit_k_is_call_type_k() -> None:
    assert call_types_of(torch.tensor([0, 1, 6]), 3).tolist() == [
        [False, False, False],
        [True, False, False],
        [False, True, True],
    ]


@given(logits=logits_of_types)
def test_independent_call_types_come_back_from_their_combinations(logits: list[float]) -> None:
    call_logits = torch.tensor([logits], dtype=torch.float64)
    back = marginal_logits(joint_logits_from_marginals(call_logits))
    torch.testing.assert_close(back, call_logits, atol=1e-9, rtol=1e-9)


@given(logits=eight_logits)
def test_a_marginal_is_the_sum_over_the_combinations_that_hold_it(logits: list[float]) -> None:
    joint = torch.tensor(logits, dtype=torch.float64)
    shares = joint.softmax(-1)
    sums = [sum(float(shares[c]) for c in range(8) if c >> k & 1) for k in range(3)]
    torch.testing.assert_close(marginal_probabilities(joint), torch.tensor(sums, dtype=torch.float64))


@given(logits=three_logits)
def test_both_heads_decide_alike_where_call_types_are_independent(logits: list[float]) -> None:
    call_logits = torch.tensor([logits], dtype=torch.float64)
    if call_logits.abs().min() > 1e-6:  # at even odds either answer is right
        by_types = joint_decision_from_marginals(call_logits, (0.5, 0.5, 0.5))
        assert torch.equal(joint_decision(joint_logits_from_marginals(call_logits)), by_types)


def test_each_call_type_has_its_own_threshold() -> None:
    even = torch.zeros(1, 3)
    assert joint_decision_from_marginals(even, (0.6, 0.5, 0.4)).tolist() == [6]


@pytest.mark.parametrize("thresholds", [(0.5, 0.5), (0.5, 0.5, 1.0)])
def test_thresholds_that_do_not_fit_are_refused(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="3 numbers between 0 and 1"):
        joint_decision_from_marginals(torch.zeros(2, 3), thresholds)


def test_a_number_of_logits_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="got 6"):
        marginal_logits(torch.zeros(1, 6))


def test_a_head_has_a_logit_per_call_type_or_per_combination() -> None:
    assert (logit_count("multi_label", 3), logit_count("joint", 3)) == (3, 8)


def test_the_loss_is_cross_entropy_where_every_label_is_known() -> None:
    logits, targets = torch.randn(8, 8), call_types_of(torch.arange(8), 3).float()
    expected = cross_entropy(logits, torch.arange(8))
    torch.testing.assert_close(joint_loss(logits, targets, torch.ones(8, 3)), expected)


@given(logits=three_logits)
def test_an_unknown_label_leaves_the_loss_of_the_others(logits: list[float]) -> None:
    call_logits = torch.tensor([logits], dtype=torch.float64)
    targets, weights = torch.tensor([[1.0, 0.0, 1.0]]).double(), torch.tensor([[1.0, 1.0, 0.0]]).double()
    expected = (binary_cross_entropy_with_logits(call_logits, targets, reduction="none") * weights).sum()
    torch.testing.assert_close(joint_loss(joint_logits_from_marginals(call_logits), targets, weights), expected)


def test_windows_without_a_label_neither_count_nor_break_the_gradient() -> None:
    logits = torch.randn(2, 8, requires_grad=True)
    weights = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    joint_loss(logits, torch.zeros(2, 3), weights).backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().max() > 0
    assert logits.grad[1].abs().max() < 1e-6
    assert float(joint_loss(logits.detach()[1:], torch.zeros(1, 3), weights[1:])) == 0.0
