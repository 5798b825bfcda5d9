"""Sounds that are easily taken for belugas or porpoises, and are not: the registry of hard negatives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from seacanary.simulation import pulsed_negatives, tonal_negatives
from seacanary.simulation.sounds import Sound


class Maker(Protocol):
    """Draws one sound."""

    def __call__(self, rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
        """A sound at a rate."""
        ...


@dataclass(frozen=True, slots=True)
class Negative:
    """One kind of hard negative.

    Attributes:
        make: draws one.
        highest_hz: nothing lies above, so it may be made at a lower rate; None: broadband.
        scale: "snr": set by the scene's SNR; "full_scale": its own level, re full scale;
            "digital": not a sound, the samples where it is 1 are lost (set to 0).
    """

    make: Maker
    highest_hz: float | None = None
    scale: Literal["snr", "full_scale", "digital"] = "snr"


NEGATIVES: Mapping[str, Negative] = {
    "echosounder": Negative(pulsed_negatives.echosounder),
    "sonar_ping": Negative(tonal_negatives.sonar_ping, 12e3),
    "chain": Negative(pulsed_negatives.chain),
    "mooring_knock": Negative(pulsed_negatives.mooring_knock, 30e3),
    "snapping": Negative(pulsed_negatives.snapping),
    "sediment": Negative(pulsed_negatives.sediment),
    "spikes": Negative(pulsed_negatives.spikes),
    "dropout": Negative(pulsed_negatives.dropout, scale="digital"),
    "clipping": Negative(pulsed_negatives.overload, 3e3, "full_scale"),
    "seal_trill": Negative(tonal_negatives.seal_trill, 24e3),
    "siren": Negative(tonal_negatives.siren, 24e3),
    "moan": Negative(tonal_negatives.moan, 12e3),
    "orca_call": Negative(tonal_negatives.orca_call, 24e3),
    "sperm_clicks": Negative(pulsed_negatives.sperm_clicks),
    "delphinid_clicks": Negative(pulsed_negatives.delphinid_clicks),
    "bat": Negative(pulsed_negatives.bat),
    "airgun": Negative(pulsed_negatives.airgun, 24e3),
    "pile_strike": Negative(pulsed_negatives.pile_strike, 30e3),
    "ice_crack": Negative(pulsed_negatives.ice_crack),
}
