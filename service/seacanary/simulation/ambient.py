"""The sea without animals and ships near by: wind, rain, ice, flow, distant traffic, thermal noise."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float64]


class Ambient(BaseModel):
    """What makes the background, as spectra added in power."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wind_m_s: float = Field(5.0, ge=0, le=35, description="wind speed, metres per second")
    rain_mm_h: float = Field(0.0, ge=0, le=150, description="rain rate, millimetres per hour; 0: dry")
    traffic: float = Field(0.4, ge=0, le=1, description="distant shipping, 0 (none) to 1 (busy)")
    flow_db: float = Field(60.0, ge=0, le=190, description="flow noise up to 10 Hz, dB re 1 µPa²/Hz")
    flow_slope_db: float = Field(40.0, ge=10, le=80, description="its fall above, dB per decade")
    melt_db: float = Field(0.0, ge=0, le=110, description="melting ice near 2 kHz, dB re 1 µPa²/Hz; 0: none")
    ice_cracks_per_min: float = Field(0.0, ge=0, le=600, description="cracks of ice per minute")
    thermal_db: float = Field(0.0, ge=-20, le=40, description="thermal noise over its theory, dB")
    wander_db: float = Field(2.0, ge=0, le=15, description="how far the level wanders over seconds to minutes")


def ambient_density(ambient: Ambient, frequency_hz: Array) -> Array:
    """Power density of the background, µPa²/Hz, same shape as frequency_hz (above 0).

    Turbulence, traffic, wind and thermal noise after Wenz (1962) as put into
    formulas by Coates (1990); rain after Ma and Nystuen (2005) with the drizzle peak
    near 15 kHz of Nystuen (2001); melting ice after Pettit et al. (2015).
    """
    khz = frequency_hz / 1e3
    log_khz = np.log10(khz)
    parts = [
        17 - 30 * log_khz,
        ambient.flow_db - ambient.flow_slope_db * np.maximum(log_khz + 2, 0),
        40 + 20 * (ambient.traffic - 0.5) + 26 * log_khz - 60 * np.log10(khz + 0.03),
        50 + 7.5 * np.sqrt(ambient.wind_m_s) + 20 * log_khz - 40 * np.log10(khz + 0.4),
        -15 + ambient.thermal_db + 20 * log_khz,
    ]
    if ambient.rain_mm_h > 0:
        parts.append(_rain_db(ambient.rain_mm_h, log_khz))
    if ambient.melt_db > 0:
        parts.append(ambient.melt_db - 12 * (log_khz - 0.3) ** 2 / 0.15)
    total: Array = np.sum(np.power(10, np.array(parts) / 10), axis=0)
    return total


def _rain_db(rate_mm_h: float, log_khz: Array) -> Array:
    level = 42.4 + 15.4 * np.log10(rate_mm_h) - 14 * np.maximum(log_khz - 0.7, 0)
    level -= 25 * np.maximum(-log_khz, 0)
    drizzle = max(0.0, 8 - 3 * np.log10(rate_mm_h * 2 + 1))
    result: Array = level + drizzle * np.exp(-0.5 * ((log_khz - np.log10(15)) / 0.12) ** 2)
    return result


def wander_db(ambient: Ambient, *, seed: int, time_s: float) -> float:
    """Slow rise and fall of the background at a moment, dB: five sinusoids of 6 s to 4 min."""
    phases = np.random.default_rng((seed, 11)).uniform(0, 2 * np.pi, 5)
    periods_s = np.array([6.1, 13.7, 29.3, 61.0, 241.0])
    return float(ambient.wander_db * 0.5 * np.sum(np.sin(2 * np.pi * time_s / periods_s + phases)) / np.sqrt(2.5))
