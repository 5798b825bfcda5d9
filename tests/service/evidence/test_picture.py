import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor

from event_samples import EPOCH, event
from fakes import write_tiny_model
from seacanary.detection import Detector, DetectorSection
from seacanary.evidence.look import Excerpt
from seacanary.evidence.picture import DPI, EVENT_COLOUR, HEIGHT_IN, LONGEST_S, WIDTH_IN, picture, round_times
from seacanary.presence_event import PresenceEvent
from seacanary.simulation import CallBouts, Scene, Soundscape

LARGEST_BYTES = 150_000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    folder: Path = tmp_path_factory.mktemp("model")
    return Detector.load(DetectorSection(path=write_tiny_model(folder), sessions=2))


def heard(onset_s: float, offset_s: float | None) -> PresenceEvent:
    offset = None if offset_s is None else EPOCH + timedelta(seconds=offset_s)
    return event(0).model_copy(update={"onset": EPOCH + timedelta(seconds=onset_s), "offset": offset})


def quiet(length_s: float, missing: tuple[tuple[int, int], ...] = ()) -> Excerpt:
    return Excerpt(np.zeros(round(8000 * length_s), np.float32), 8000, EPOCH, missing)


def marked(png: bytes) -> NDArray[np.intp]:
    """Columns of the picture in which the event's colour is seen."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    near = np.abs(pixels - ImageColor.getrgb(EVENT_COLOUR)[:3]).max(axis=2) < 12
    return np.flatnonzero(near.any(axis=0))


def test_the_event_is_marked_from_onset_to_offset(tiny: Detector) -> None:
    columns = [marked(picture(quiet(10), heard(*span), tiny)) for span in ((1, 3), (3, 7), (3, None), (0, 10))]
    whole = np.ptp(columns[3])
    assert np.ptp(columns[0]) / whole == pytest.approx(0.2, abs=0.01)
    assert np.ptp(columns[1]) / whole == pytest.approx(0.4, abs=0.01)
    assert (columns[1][0] - columns[3][0]) / whole == pytest.approx(0.3, abs=0.01)
    assert columns[2][-1] == pytest.approx(columns[3][-1], abs=2)  # still present: to the end


def test_missing_samples_are_seen_in_the_picture(tiny: Detector) -> None:
    without, holed = (
        np.asarray(Image.open(io.BytesIO(picture(quiet(10, missing), heard(1, 3), tiny))).convert("L"))
        for missing in ((), ((40_000, 56_000),))
    )
    assert without.shape == (round(HEIGHT_IN * DPI), round(WIDTH_IN * DPI))
    panel = slice(round(0.2 * without.shape[0]), round(0.3 * without.shape[0]))
    changed = np.flatnonzero((np.abs(without.astype(int) - holed)[panel] > 60).any(axis=0))
    assert np.ptp(changed) / np.ptp(marked(picture(quiet(10), heard(0, 10), tiny))) == pytest.approx(0.2, abs=0.02)


def test_of_a_long_clip_the_part_around_the_onset_is_shown(tiny: Detector) -> None:
    late = heard(200, 200 + LONGEST_S / 2)
    assert np.ptp(marked(picture(quiet(300), late, tiny))) / np.ptp(
        marked(picture(quiet(LONGEST_S), heard(0, LONGEST_S), tiny))
    ) == pytest.approx(0.5, abs=0.02)


def test_of_a_long_clip_of_an_end_the_end_is_shown(tiny: Detector) -> None:
    whole = np.ptp(marked(picture(quiet(LONGEST_S), heard(0, LONGEST_S), tiny)))
    ended = np.ptp(marked(picture(quiet(200), heard(-50, 198), tiny)))
    assert ended / whole == pytest.approx((LONGEST_S - 2) / LONGEST_S, abs=0.03)  # the layout moves a little


def test_the_upper_axis_has_round_times() -> None:
    excerpt = Excerpt(np.zeros(8000 * 10, np.float32), 8000, EPOCH + timedelta(seconds=3.664))
    assert round_times(excerpt, step_s=2.5) == (
        [pytest.approx(1.336), pytest.approx(3.836), pytest.approx(6.336), pytest.approx(8.836)],
        ["00:00:05", "00:00:07.5", "00:00:10", "00:00:12.5"],
    )
    assert round_times(excerpt, step_s=10)[1] == ["00:00:10"]


@pytest.mark.parametrize("length_s", [0.001, 0.02, 0.1])
def test_a_clip_shorter_than_a_window_is_still_drawn(tiny: Detector, length_s: float) -> None:
    assert picture(quiet(length_s), heard(0, None), tiny).startswith(b"\x89PNG")


def test_threads_draw_at_the_same_time_what_one_draws_alone(tiny: Detector) -> None:
    alone = [picture(quiet(5), heard(n, n + 1), tiny) for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda n: picture(quiet(5), heard(n, n + 1), tiny), range(3))) == alone


def test_the_shipped_models_picture_of_simulated_calls_is_small() -> None:
    often = CallBouts(bouts_per_min=20, snr_db=(14, 30))
    scene = Scene(seed=5, whistle=often, beluga_click=often, porpoise_click=often)
    samples = np.array(Soundscape(scene, sample_rate_hz=384_000).render(384_000 * 10).samples)
    detector = Detector.load(DetectorSection(sessions=1))
    png = picture(Excerpt(samples, 384_000, EPOCH, ((384_000, 500_000),)), heard(2, 5), detector)
    detector.close()
    assert 20_000 < len(png) < LARGEST_BYTES


def test_matplotlib_is_not_loaded_before_the_first_picture() -> None:
    code = "import sys, seacanary.evidence.picture; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
