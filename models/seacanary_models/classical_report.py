"""The model beside the classical references: d' on the same clicks, and on the same windows for whistles."""

import itertools
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from seacanary_models.classical_windows import ClassicalWindows
from seacanary_models.classifier import MaskGuidedClassifier
from seacanary_models.click_features import StandardClick, click_features
from seacanary_models.click_trials import ORIGINS, ClickTrials
from seacanary_models.dprime import Discrimination, discrimination, equal_error_threshold
from seacanary_models.energy_ratio import energy_ratio_db
from seacanary_models.logistic_clicks import fit_logistic
from seacanary_models.model_clicks import IMAGE_FEATURES, model_readout
from seacanary_models.scenes import CALL_TYPES
from seacanary_models.whistle_contours import longest_contour_s

EXCESS_EDGES_DB: Final = (10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 60.0)
RULE: Final = "equal error on the fit trials, for every classifier"

Floats = NDArray[np.float64]


class TrialCounts(BaseModel):
    """What a set of trials is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int
    by_origin: dict[str, int] = Field(description="trials of porpoise clicks, beluga clicks and all else")
    ambiguous: int = Field(description="triggers left out because neither side dominated")
    surplus: int = Field(description="triggers left out beyond the share of one window")


class ExcessRow(BaseModel):
    """One half-open bin of SNR as the trigger saw it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low_db: float
    high_db: float
    porpoise: int
    hit_rate: float | None = Field(description="none without porpoise clicks in the bin")
    others: int
    false_alarm_rate: float | None = Field(description="none without other clicks in the bin")


class ClassifierFigures(BaseModel):
    """One classifier on the trials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: Discrimination = Field(description="on the trials that its threshold and coefficients come from")
    test: Discrimination
    false_alarm_rate_by_origin: dict[str, float | None]
    by_excess: list[ExcessRow]


class ClickReport(BaseModel):
    """d' of the model and the references on the same simulated clicks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    porpoise_dprime: float = Field(description="ours: M's outputs and T's image at the click")
    porpoise_dprime_window: float = Field(description="M's porpoise logit of the whole window alone")
    porpoise_dprime_image_alone: float = Field(description="T's image at the click alone, fitted as ours is")
    porpoise_dprime_energy_ratio: float
    porpoise_dprime_logistic: float
    rule: str = Field(RULE, description="how thresholds were chosen")
    standard_click: str = Field(description="template of the logistic classifier's correlation")
    fit_trials: TrialCounts
    test_trials: TrialCounts
    classifiers: dict[str, ClassifierFigures]


class WhistleReport(BaseModel):
    """The model and the contour tracker on the same simulated windows: a hit is a window with a whistle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Field(RULE, description="how thresholds were chosen")
    windows: int
    whistle_windows: int
    model: Discrimination
    contours: Discrimination


class ClassicalReport(BaseModel):
    """Everything the classical references are measured by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(pattern="^[0-9a-f]{8}$", description="first 8 hex digits of the checkpoint's SHA-256")
    clicks: ClickReport
    whistles: WhistleReport


def classical_report(
    model: MaskGuidedClassifier,
    fit: ClassicalWindows,
    test: ClassicalWindows,
    *,
    standard: StandardClick,
    checkpoint: str,
) -> ClassicalReport:
    """Fit everything on one set of windows, judge it on another.

    Args:
        model: M, in eval mode.
        fit: windows that M was not trained on, else its read-out is fitted to what it knows by heart.
        test: windows on which nothing was chosen.
        standard: template of the logistic classifier.
        checkpoint: first 8 hex digits of the SHA-256 of M's checkpoint file.

    Raises:
        ValueError: either set lacks trials of one kind.
    """
    fit_readout, fit_logits = model_readout(model, fit.images, fit.trials)
    test_readout, test_logits = model_readout(model, test.images, test.trials)
    porpoise = CALL_TYPES.index("porpoise_click")
    pairs = {
        "model": _logistic_scores(fit_readout, test_readout, fit.trials),
        "image_alone": _logistic_scores(fit_readout[:, IMAGE_FEATURES], test_readout[:, IMAGE_FEATURES], fit.trials),
        "model_window": (fit_logits[fit.trials.window, porpoise], test_logits[test.trials.window, porpoise]),
        "energy_ratio": (energy_ratio_db(fit.trials.clips), energy_ratio_db(test.trials.clips)),
        "logistic": _logistic_scores(
            click_features(fit.trials.clips, standard), click_features(test.trials.clips, standard), fit.trials
        ),
    }
    whistle = CALL_TYPES.index("whistle")
    return ClassicalReport(
        checkpoint=checkpoint,
        clicks=_click_report(pairs, fit.trials, test.trials, standard),
        whistles=_whistle_report(fit, test, fit_logits[:, whistle], test_logits[:, whistle]),
    )


def _logistic_scores(fit_inputs: Floats, test_inputs: Floats, fit_trials: ClickTrials) -> tuple[Floats, Floats]:
    regression = fit_logistic(fit_inputs, fit_trials.porpoise)
    return regression.log_odds(fit_inputs), regression.log_odds(test_inputs)


def _click_report(
    pairs: Mapping[str, tuple[Floats, Floats]], fit: ClickTrials, test: ClickTrials, standard: StandardClick
) -> ClickReport:
    figures = {name: _figures(*scores, fit, test) for name, scores in pairs.items()}
    return ClickReport(
        porpoise_dprime=figures["model"].test.dprime,
        porpoise_dprime_window=figures["model_window"].test.dprime,
        porpoise_dprime_image_alone=figures["image_alone"].test.dprime,
        porpoise_dprime_energy_ratio=figures["energy_ratio"].test.dprime,
        porpoise_dprime_logistic=figures["logistic"].test.dprime,
        standard_click=standard.source,
        fit_trials=_counts(fit),
        test_trials=_counts(test),
        classifiers=figures,
    )


def _figures(fit_scores: Floats, test_scores: Floats, fit: ClickTrials, test: ClickTrials) -> ClassifierFigures:
    threshold = equal_error_threshold(fit_scores, fit.porpoise)
    fired = test_scores >= threshold
    others = (k for k, name in enumerate(ORIGINS) if name != "porpoise_click")
    return ClassifierFigures(
        fit=discrimination(fit_scores, fit.porpoise, threshold=threshold, window=fit.window),
        test=discrimination(test_scores, test.porpoise, threshold=threshold, window=test.window),
        false_alarm_rate_by_origin={ORIGINS[k]: _share(fired[test.origin == k]) for k in others},
        by_excess=[_excess_row(edges, fired, test) for edges in itertools.pairwise(EXCESS_EDGES_DB)],
    )


def _excess_row(edges: tuple[float, float], fired: NDArray[np.bool_], trials: ClickTrials) -> ExcessRow:
    low_db, high_db = edges
    inside = (trials.excess_db >= low_db) & (trials.excess_db < high_db)
    porpoise, others = inside & trials.porpoise, inside & ~trials.porpoise
    return ExcessRow(
        low_db=low_db,
        high_db=high_db,
        porpoise=int(porpoise.sum()),
        hit_rate=_share(fired[porpoise]),
        others=int(others.sum()),
        false_alarm_rate=_share(fired[others]),
    )


def _share(fired: NDArray[np.bool_]) -> float | None:
    return float(fired.mean()) if fired.size else None


def _counts(trials: ClickTrials) -> TrialCounts:
    by_origin = {name: int((trials.origin == k).sum()) for k, name in enumerate(ORIGINS)}
    return TrialCounts(windows=trials.windows, by_origin=by_origin, ambiguous=trials.ambiguous, surplus=trials.surplus)


def _whistle_report(
    fit: ClassicalWindows, test: ClassicalWindows, fit_logits: Floats, test_logits: Floats
) -> WhistleReport:
    numbers = np.arange(len(test))

    def judged(fit_scores: Floats, test_scores: Floats) -> Discrimination:
        threshold = equal_error_threshold(fit_scores, fit.whistle)
        return discrimination(test_scores, test.whistle, threshold=threshold, window=numbers)

    return WhistleReport(
        windows=len(test),
        whistle_windows=int(test.whistle.sum()),
        model=judged(fit_logits, test_logits),
        contours=judged(longest_contour_s(fit.images), longest_contour_s(test.images)),
    )
