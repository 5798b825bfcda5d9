"""Energy-ratio click classifier, in the manner of PAMGuard's porpoise detector.

Source: the basic click classifier of PAMGuard: test band against control band, and the peak frequency's place.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from seacanary_models.click_features import FREQUENCY_HZ, click_power

TEST_BAND_HZ: Final = (100e3, 150e3)
CONTROL_BAND_HZ: Final = (40e3, 90e3)
SEARCH_BAND_HZ: Final = (20e3, 160e3)
REFUSED_DB: Final = -60.0  # score of a clip whose peak is outside the test band: below any ratio met


def energy_ratio_db(clips: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score of each clip: energy in 100-150 kHz over energy in 40-90 kHz, dB, higher for a porpoise.

    Args:
        clips: float32 [n, samples] at 384 kHz.

    Returns:
        float64 [n]; REFUSED_DB where the spectrum peaks outside 100-150 kHz.
    """
    power = click_power(clips)
    test, control = (power[:, _within(band)].sum(axis=1) for band in (TEST_BAND_HZ, CONTROL_BAND_HZ))
    searched = _within(SEARCH_BAND_HZ)
    peak_hz = FREQUENCY_HZ[searched][power[:, searched].argmax(axis=1)]
    low_hz, high_hz = TEST_BAND_HZ
    tiny = np.finfo(np.float64).tiny
    ratio_db = 10 * np.log10((test + tiny) / (control + tiny))
    return np.where((peak_hz >= low_hz) & (peak_hz < high_hz), np.maximum(ratio_db, REFUSED_DB), REFUSED_DB)


def _within(band_hz: tuple[float, float]) -> NDArray[np.bool_]:
    low_hz, high_hz = band_hz
    return np.asarray((low_hz <= FREQUENCY_HZ) & (high_hz > FREQUENCY_HZ))
