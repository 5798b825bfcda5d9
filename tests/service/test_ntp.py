"""ntp_state: asked of the kernel these tests run on."""

import sys

import pytest

from seacanary.ntp import ntp_state


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex(2) is Linux only")
def test_the_kernel_answers_with_errors_that_make_sense() -> None:
    state = ntp_state()
    if state is None:
        pytest.skip("this kernel refuses adjtimex, as some sandboxes do")
    assert 0 <= state.estimated_error_s <= 17
    # The kernel stops counting at 16 s, and then calls the clock unsynchronised.
    assert 0 <= state.maximum_error_s <= 17
    assert not (state.synchronised and state.maximum_error_s >= 16)


def test_other_systems_offer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert ntp_state() is None
