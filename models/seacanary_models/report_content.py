"""What a report is made of: everything an evaluation measured, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seacanary_models.calibration_curves import ReliabilityBin
from seacanary_models.detection_range import DetectionRange, recall_by_snr
from seacanary_models.event_streams import StreamFigures
from seacanary_models.figures import Example
from seacanary_models.joint_metrics import JointFigures

SNR_EDGES_DB: Final = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 20.0, 25.0, 30.0, 35.0, 60.0)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """What the model said of labelled windows.

    Attributes:
        probability: [n, K], calibrated.
        truth: bool [n, K].
        snr_db: [n, K], NaN where the call type is not there.
        enter: [K], presence thresholds.
    """

    probability: NDArray[np.floating]
    truth: NDArray[np.bool_]
    snr_db: NDArray[np.floating]
    enter: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What an evaluation measured; a section that is None or empty is said not to have been.

    Attributes:
        by_frequency: figures on windows whose classes are unequally frequent, as `joint`'s are not.
        false_events_per_day: by kind of noise.
        headline: figures that stand at the top, None: not measured.
        missing: why a figure of `headline` is None.
    """

    model_id: str
    data: str  # which windows, in words
    joint: JointFigures | None = None
    by_frequency: JointFigures | None = None
    windows: Windows | None = None
    reliability: Mapping[str, Sequence[ReliabilityBin]] = field(default_factory=dict)
    ranges: DetectionRange | None = None
    streams: StreamFigures | None = None
    false_events_per_day: Mapping[str, float] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    headline: Mapping[str, float | None] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def report_json(measured: Measured) -> dict[str, object]:
    """Every number of the report; what was not measured is null."""
    return {
        "model_id": measured.model_id,
        "data": measured.data,
        "headline": dict(measured.headline),
        "missing": dict(measured.missing),
        "joint": None if measured.joint is None else measured.joint.model_dump(mode="json"),
        "by_frequency": None if measured.by_frequency is None else measured.by_frequency.model_dump(mode="json"),
        "recall_by_snr_db": snr_rows(measured.windows),
        "reliability": {name: [b.model_dump(mode="json") for b in c] for name, c in measured.reliability.items()},
        "detection_range": None if measured.ranges is None else measured.ranges.model_dump(mode="json"),
        "events": None if measured.streams is None else measured.streams.model_dump(mode="json"),
        "false_events_per_day": dict(measured.false_events_per_day),
    }


def snr_rows(windows: Windows | None) -> dict[str, list[dict[str, float]]] | None:
    """Recall by bin of SNR at the presence thresholds; None where there are no windows."""
    if windows is None:
        return None
    return recall_by_snr(
        windows.probability, windows.truth, windows.snr_db, thresholds=windows.enter, edges_db=SNR_EDGES_DB
    )
