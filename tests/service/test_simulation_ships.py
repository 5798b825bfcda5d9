"""A passing ship, rendered: the cheap way gives the very numbers of the plain one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seacanary.simulation.ships import interpolated


@given(seed=st.integers(0, 2**32), step=st.integers(1, 72), count=st.integers(1, 3000))
def test_interpolating_on_an_even_grid_equals_numpys(seed: int, step: int, count: int) -> None:
    coarse = np.arange(0, count + step, step)
    values = np.random.default_rng(seed).lognormal(-5, 2, coarse.size)
    expected = np.interp(np.arange(count), coarse, values).astype(np.float32)
    np.testing.assert_allclose(interpolated(values, step=step, count=count), expected, rtol=2e-7)
