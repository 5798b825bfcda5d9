"""The report: one page that needs nothing else, pictures that are pictures, numbers that are those given."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from seacanary_models.calibration_curves import equal_width, reliability_curve
from seacanary_models.detection_range import DetectionRange, RangeCurve, RangePoint, RangeRecipe
from seacanary_models.event_metrics import EventRule, event_figures, macro_f1
from seacanary_models.event_streams import StreamFigures, StreamRecipe
from seacanary_models.figures import Example
from seacanary_models.html_report import write_report
from seacanary_models.joint_metrics import joint_figures
from seacanary_models.report_content import Measured, Windows
from seacanary_models.scenes import CALL_TYPES

pytestmark = pytest.mark.torch
PICTURES = {
    "confusion", "precision-recall", "recall-against-snr", "reliability", "f1-against-frequency",
    "recall-against-range", "false-alarms", "examples",
}  # fmt: skip


def measured() -> Measured:
    rng = np.random.default_rng(1)
    truth = np.tile((np.arange(8)[:, None] >> np.arange(3) & 1) > 0, (30, 1))
    probability = (0.5 + 0.6 * (truth - 0.5) + rng.normal(0, 0.15, truth.shape)).clip(0, 1)
    points = tuple(RangePoint(range_m=100 * 2**n, windows=5, recall=1 - n / 4, snr_db=20 - 5 * n) for n in range(4))
    curves = (
        RangeCurve(call_type="whistle", noise="low", points=points, half_recall_m=400.0, half_recall="within"),
        RangeCurve(call_type="whistle", noise="high", points=points, half_recall_m=None, half_recall="never"),
    )
    figures = {"whistle": event_figures([np.array([[0.0, 1.0]])], [np.array([[0.0, 1.1]])], EventRule())}
    marks = np.zeros((256, 256), bool)
    marks[40:50, 100:180] = True
    joint = joint_figures(probability, truth, np.full(3, 0.5))
    return Measured(
        model_id="seacanary-<test>",
        data="240 windows.",
        joint=joint,
        by_frequency=joint,
        windows=Windows(probability, truth, np.where(truth, rng.uniform(3, 25, truth.shape), np.nan), (0.5,) * 3),
        reliability={
            name: reliability_curve(probability[:, k], truth[:, k], equal_width(5)) for k, name in enumerate(CALL_TYPES)
        },
        ranges=DetectionRange(recipe=RangeRecipe(), source_db={}, spreading_db_per_decade={}, curves=curves),
        streams=StreamFigures(seconds=60, recipe=StreamRecipe(), call_types=figures, macro_f1=macro_f1(figures)),
        false_events_per_day={"echosounder": 2.0, "rain": 0.0},
        examples=[Example(np.full((256, 256), 90, np.uint8), marks, np.roll(marks, 4, 1), "true: whistle")],
        headline={"joint_accuracy": 0.9, "mask_iou": None},
        missing={"mask_iou": "not looked at"},
    )


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(measured(), folder)
    return folder


def test_the_page_needs_nothing_from_anywhere(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    parser = _Links()
    parser.feed(page)
    assert len(parser.sources) == len(PICTURES)
    assert all(source.startswith("data:image/png;base64,") for source in parser.sources)
    assert not {"script", "link", "iframe"} & set(parser.tags)
    assert "url(" not in page


def test_the_page_says_what_is_simulated_and_what_is_missing(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Every call is simulated; none is a field recording." in page
    assert "seacanary-&lt;test&gt;" in page
    assert "not looked at" in page
    assert re.search(r"<td>whistle</td><td>low</td><td>400</td>", page)
    assert "<td>high</td><td>nowhere</td>" in page


def test_every_figure_is_a_png_of_its_own(folder: Path) -> None:
    assert {path.stem for path in folder.glob("*.png")} == PICTURES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))


def test_the_numbers_are_in_the_json(folder: Path) -> None:
    numbers = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert numbers["headline"] == {"joint_accuracy": 0.9, "mask_iou": None}
    assert numbers["joint"]["joint_accuracy"] == measured().joint.joint_accuracy
    assert numbers["detection_range"]["curves"][0]["half_recall_m"] == 400
    assert numbers["false_events_per_day"]["echosounder"] == 2
    assert sum(row["windows"] for row in numbers["recall_by_snr_db"]["whistle"]) == 120


def test_the_same_evaluation_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(measured(), tmp_path)
    assert (tmp_path / "report.html").read_bytes() == (folder / "report.html").read_bytes()


def test_an_empty_evaluation_says_so_in_every_section(tmp_path: Path) -> None:
    page = write_report(Measured(model_id="m", data="Nothing."), tmp_path).read_text(encoding="utf-8")
    assert page.count("Not measured in this run.") == page.count("<h2>") == 9
    assert not list(tmp_path.glob("*.png"))
