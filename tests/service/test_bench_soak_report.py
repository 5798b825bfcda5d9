"""The soak's configuration, its receiver's book and its report."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen
from xml.etree import ElementTree

import pytest
from benchmarks.soaking.judgement import judge
from benchmarks.soaking.pictures import over_time
from benchmarks.soaking.reading import Journalled
from benchmarks.soaking.receipts import Receipts
from benchmarks.soaking.recorded import faults, figures
from benchmarks.soaking.records import Counts, Life, Struck, Vitals
from benchmarks.soaking.report import Report
from benchmarks.soaking.soak_run import Soaked
from benchmarks.soaking.station_tree import LIVE, RATES_HZ, Places, spoilt, tree
from standardwebhooks import Webhook as Signer

from event_samples import EPOCH
from seacanary.config import read_config
from seacanary.errors import ConfigError
from webhook_receiver import SECRET


def places(folder: Path) -> Places:
    url = "http://127.0.0.1:9/hook"
    return Places(folder, folder / "j.db", folder / "e", folder / "r", 1, 2, 3, "redis://127.0.0.1:4/0", url, SECRET)


def test_the_configuration_runs_and_each_spoilt_one_is_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "station.yaml", tree(places(tmp_path), seed=1)
    path.write_text(json.dumps(good))
    names = [name for source in read_config(path).sources for name in source.hydrophone_names]
    assert names == list(RATES_HZ)
    for draw in (0.0, 0.3, 0.6, 0.9):
        path.write_text(spoilt(good, draw))
        with pytest.raises(ConfigError):
            read_config(path)


def test_the_receiver_writes_down_what_it_was_sent_before_it_answers(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path / "book.jsonl")
    body = b'{"id": "a"}'
    with receipts.receiver:
        for signature in (Signer(SECRET).sign("a", EPOCH, body.decode()), "v1,bm8="):
            headers = {
                "webhook-id": "a",
                "webhook-timestamp": str(round(EPOCH.timestamp())),  # of a station whose clock is far off
                "webhook-signature": signature,
            }
            with urlopen(Request(receipts.receiver.url, body, headers), timeout=5) as answer:
                assert answer.status == 204
            assert [receipt.id for receipt in receipts.read()][-1:] == ["a"]
    receipts.close()
    assert len(list(receipts.read())) == 2
    assert receipts.unsigned == 1


def soaked() -> Soaked:
    """Half a minute without faults in which nothing was heard."""
    counts = {
        name: [Counts(at_s, at_s * rate, at_s * rate, 0, at_s * rate, 0, 0, 0) for at_s in range(1, 31)]
        for name, rate in RATES_HZ.items()
        if name in LIVE
    }
    vitals = [Vitals(at_s, 200.0 + at_s % 3, 40, 12) for at_s in range(30)]
    life = Life(0, 0, 30, "stopped", 0, counts, vitals, closed=True)
    return Soaked(
        seed=1, seconds=30, faults=(), struck=(Struck("redis_down", 5, 9, "<down>"),), without={"journal_full": "why"},
        lives=[life], files=[], journalled=Journalled(), stream=[], receipts=[], unsigned=0, torn=0, missed=0,
        prometheus={"scrapes": 30},
    )  # fmt: skip


def test_the_report_names_what_was_found_and_fails_by_it() -> None:
    verdicts, gaps = judge(soaked())
    report = Report(soaked(), verdicts, gaps, command="make soak HOURS=1 SEED=1")
    assert [v.name for v in verdicts if not v.passed] == ["storm"]
    assert not report.passed
    page = report.page({"memory": "memory.svg"})
    for said in (
        "**FAILED**",
        "no event was journalled",
        "make soak HOURS=1 SEED=1",
        "journal_full (why)",
        "redis_down",
    ):
        assert said in page
    assert json.loads(json.dumps(report.figures()))["verdicts"]["storm"]["violations"] == ["no event was journalled"]


def test_an_unexplained_gap_fails_the_whole_soak() -> None:
    quiet = soaked()
    counts = quiet.lives[0].counts
    rate_hz = RATES_HZ["tcp"]
    counts["tcp"] = [c if c.at_s < 20 else replace(c, captured=c.captured - rate_hz, analysed=c.analysed - rate_hz,
                                                   lost=rate_hz) for c in counts["tcp"]]  # fmt: skip
    verdicts, gaps = judge(quiet)
    assert [gap.cause for gap in gaps] == [None]
    assert not next(v for v in verdicts if v.name == "ledger of tcp").passed
    assert "**none**" in Report(quiet, verdicts, gaps, command="x").page({})


def test_a_picture_is_well_formed_and_marks_each_fault() -> None:
    quiet = soaked()
    picture = ElementTree.fromstring(over_time("rss_mb", "memory", quiet.lives, quiet.struck, seconds=30))
    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["redis_down at 5 s: <down>"]
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}polyline"))) == 1


@pytest.mark.parametrize(("mb_per_h", "wrong"), [(0.0, 0), (5.0, 1)])
def test_memory_that_grows_with_recorded_hours_is_found(mb_per_h: float, wrong: int) -> None:
    files = [24 * (second / 100) ** 2 for second in range(100)]  # six an hour; slowly at first, as on a busy machine
    readings = [(float(second), done, 300 + mb_per_h * done / 6) for second, done in enumerate(files)]
    results = figures(readings, {"balanced": True, "events": 3, "files": [1]}, hours=4.0)
    assert results["rss_slope_mb_per_recorded_h"] == pytest.approx(mb_per_h, rel=0.02)
    assert len(faults(results | {"exit_code": 0})) == wrong
    assert len(faults(results | {"exit_code": 0, "balanced": False})) == wrong + 1
