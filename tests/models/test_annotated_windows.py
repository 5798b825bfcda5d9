"""Windows from annotated recordings: where they lie, and what may be said of each call type."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary.errors import SeaCanaryError
from seacanary_models.annotated_windows import (
    WINDOW_S,
    AnnotatedWindow,
    CutRule,
    annotated_windows,
    window_starts,
    window_truth,
)
from seacanary_models.annotations import Annotation
from seacanary_models.augment import MODEL_RATE_HZ
from seacanary_models.catalogue import CatalogueEntry, make_catalogue
from seacanary_models.scenes import WINDOW_SAMPLES

pytestmark = pytest.mark.torch
RULE = CutRule()


def recording(**fields: object) -> CatalogueEntry:
    least: dict[str, object] = {
        "id": "a",
        "file": "a.wav",
        "sha256": hashlib.sha256(b"a").hexdigest(),
        "sample_rate_hz": 384_000,
        "duration_s": 100.0,
        "site": "bay",
        "licence": "MIT",
        "simulated": False,
    }
    return CatalogueEntry.model_validate({**least, **fields})


def said(start_s: float, end_s: float, call_type: str | None = "whistle", **fields: object) -> Annotation:
    least = {"file": "a.wav", "annotator": "Ann", "licence": "MIT"}
    return Annotation.model_validate({**least, "start_s": start_s, "end_s": end_s, "call_type": call_type, **fields})


def verdicts(*annotations: Annotation, start_s: float = 10.0, **fields: object) -> str:
    """Per call type: + there, - not there, ? nobody can say."""
    targets, weights = window_truth(annotations, recording(**fields), start_s=start_s, rule=RULE)
    assert not targets[weights == 0].any()
    return "".join("?" if not w else "+" if t else "-" for t, w in zip(targets, weights, strict=True))


def test_without_annotations_nothing_is_known() -> None:
    assert verdicts() == "???"


def test_a_completely_annotated_recording_is_empty_where_nothing_is_written() -> None:
    assert verdicts(complete=("whistle", "porpoise_click")) == "-?-"


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (10.2, 10.8, "+"),  # inside
        (9.0, 12.0, "+"),  # fills the window
        (10.0, 10.0 + WINDOW_S, "+"),  # exactly the window
        (9.8, 10.2, "?"),  # cut by the start
        (10.9, 11.5, "?"),  # cut by the end
        (10.5, 10.5, "+"),  # a point
        (9.0, 10.0, "-"),  # ends where the window starts: intervals are half-open
        (10.0 + WINDOW_S, 12.0, "-"),
        (10.0 + WINDOW_S, 10.0 + WINDOW_S, "-"),
        (5.0, 40.0, "?"),  # an encounter: somewhere in it
    ],
)
def test_a_call_counts_where_the_window_holds_it_whole(start_s: float, end_s: float, expected: str) -> None:
    assert verdicts(said(start_s, end_s), complete=("whistle",)) == f"{expected}??"


def test_a_whole_call_outweighs_one_that_is_cut() -> None:
    assert verdicts(said(9.5, 10.5), said(10.2, 10.4)) == "+??"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (said(10.2, 10.4, meaning="uncertain"), "?--"),
        (said(10.2, 10.4, None, meaning="uncertain"), "???"),
        (said(10.2, 10.4, confidence=0.3), "?--"),
        (said(10.2, 10.4, confidence=0.7), "+--"),
        (said(10.2, 10.4, None, label="ship"), "---"),
        (said(10.2, 10.4, "porpoise_click"), "--+"),
    ],
)
def test_doubt_is_not_taught(annotation: Annotation, expected: str) -> None:
    assert verdicts(annotation, complete=("whistle", "beluga_click", "porpoise_click")) == expected


@pytest.mark.parametrize(
    ("absences", "expected"),
    [
        ([(9.0, 12.0, None)], "---"),
        ([(9.0, 12.0, "whistle")], "-??"),
        ([(9.0, 10.5, "whistle"), (10.5, 12.0, None)], "-??"),  # one after the other
        ([(9.0, 10.5, "whistle"), (10.6, 12.0, "whistle")], "???"),  # nobody looked between
        ([(10.1, 12.0, None)], "???"),
    ],
)
def test_absence_holds_where_somebody_looked_all_through(
    absences: list[tuple[float, float, str | None]], expected: str
) -> None:
    assert verdicts(*(said(*absence, meaning="absent") for absence in absences)) == expected


def test_an_absence_nobody_believes_says_nothing() -> None:
    assert verdicts(said(9.0, 12.0, None, meaning="absent", confidence=0.1)) == "???"


def test_absence_needs_no_look_after_the_recordings_end() -> None:
    assert verdicts(said(0.0, 0.4, None, meaning="absent"), start_s=0.0, duration_s=0.4) == "---"


def test_a_call_that_the_recorder_cannot_carry_is_no_example() -> None:
    assert verdicts(said(10.2, 10.4, "porpoise_click"), sample_rate_hz=96_000) == "???"


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 3_000_000), st.sampled_from((8000, 44_100, 96_000, 250_000, 384_000, 500_000)))
def test_windows_cover_the_recording_without_leaving_it(size: int, rate_hz: int) -> None:
    starts = window_starts(size, rate_hz, hop_samples=WINDOW_SAMPLES // 2)
    length = -(-WINDOW_SAMPLES * rate_hz // MODEL_RATE_HZ)
    assert starts[0] == 0
    assert starts[-1] == max(0, size - length)
    assert all(0 < b - a <= length // 2 + 1 for a, b in pairwise(starts))


def cut(
    tmp_path: Path, samples: np.ndarray, rate_hz: int, *ones: Annotation, **fields: object
) -> list[AnnotatedWindow]:
    soundfile.write(tmp_path / "a.wav", samples, rate_hz, subtype="FLOAT")
    entry = recording(sample_rate_hz=rate_hz, duration_s=len(samples) / rate_hz, **fields)
    return list(annotated_windows(make_catalogue([entry], ones), entry, folder=tmp_path))


def test_windows_hold_the_sound_their_annotations_are_about(tmp_path: Path) -> None:
    rate_hz = 96_000
    samples = np.zeros((3 * rate_hz, 2))
    samples[200_000, 0] = 0.5  # a click at 2.083 s, in the first channel only
    click_s = 200_000 / rate_hz
    windows = cut(tmp_path, samples, rate_hz, said(click_s, click_s), complete=("whistle",))
    assert [window.start_s for window in windows] == pytest.approx([0, 0.512, 1.024, 1.536, 3 - WINDOW_S])
    for window in windows:
        assert window.samples.shape == (WINDOW_SAMPLES,)
        heard = bool(np.abs(window.samples).max() > 0.05)
        assert window.targets[0] == heard == (window.start_s > 1.06)
        if heard:
            at_s = window.start_s + np.abs(window.samples).argmax() / MODEL_RATE_HZ
            assert at_s == pytest.approx(click_s, abs=1e-5)


def test_a_loop_is_cut_once_around(tmp_path: Path) -> None:
    windows = cut(tmp_path, np.zeros(40_000), 8000, use_s=2.0)
    assert windows[-1].start_s == pytest.approx(2.0 - WINDOW_S)


def test_a_short_recording_gives_one_window(tmp_path: Path) -> None:
    (window,) = cut(tmp_path, np.ones(800), 8000, said(0.02, 0.05))
    assert (window.recording, window.start_s, window.targets[0]) == ("a", 0.0, 0.0)  # 8 kHz carries no whistle
    assert not window.samples[50_000:].any()


def test_a_file_other_than_the_catalogued_one_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    entry = recording(sample_rate_hz=16_000)
    catalogue = make_catalogue([entry])
    with pytest.raises(SeaCanaryError, match="has 8000 Hz, the catalogue says 16000"):
        list(annotated_windows(catalogue, entry, folder=tmp_path))
    with pytest.raises(SeaCanaryError, match=r"a\.wav cannot be read"):
        list(annotated_windows(catalogue, entry, folder=tmp_path / "elsewhere"))
