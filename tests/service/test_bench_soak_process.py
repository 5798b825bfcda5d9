"""The soak's judges of the process, its plan and its clock."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.soaking.judging_process import judge_ends, judge_growth, trends
from benchmarks.soaking.plan import APART_S, KINDS, plan
from benchmarks.soaking.records import Life, Struck, Vitals
from benchmarks.soaking.watching import ledgers

from wall_clock import WallClock


def life(*, hours: float, mb_per_h: float = 0.0, handles_per_h: float = 0.0, asked: str = "stopped") -> Life:
    vitals = [
        Vitals(at_s, 200 + 80 * (at_s < 60) + mb_per_h * at_s / 3600, 40 + round(handles_per_h * at_s / 3600), 12)
        for at_s in range(0, round(hours * 3600), 5)
    ]
    return Life(0, 0, hours * 3600, asked, 0, vitals=vitals, closed=True)  # type: ignore[arg-type]


def test_memory_that_grows_is_found_and_the_warm_up_is_not_counted() -> None:
    assert judge_growth([life(hours=1)]).violations == ()
    grown = judge_growth([life(hours=1, mb_per_h=100)])
    assert grown.violations == ("life 0: rss_mb grows by 100.0 per hour, 24 allowed",)
    assert not judge_growth([life(hours=1, handles_per_h=30)]).passed


def test_a_short_life_is_shown_and_not_judged() -> None:
    short = life(hours=0.2, mb_per_h=500)
    assert judge_growth([short]).passed
    assert [trend.what for trend in trends(short)] == ["rss_mb", "handles", "threads"]
    assert trends(life(hours=0.01)) == []


def test_a_station_that_ends_by_itself_is_found() -> None:
    broken = Life(0, 0, 50, "none", 1)
    full = (Struck("journal_full", 40, 45),)
    assert len(judge_ends([broken, life(hours=0.1)], ()).violations) == 1
    assert judge_ends([broken, life(hours=0.1)], full).violations == ()
    assert not judge_ends([life(hours=0.1, asked="killed")], ()).passed


def test_windows_without_an_answer_are_found() -> None:
    failed = life(hours=0.1)
    failed.failures["seacanary_inference_failures_total"] = 3.0
    assert judge_ends([failed], ()).violations == ("life 0: seacanary_inference_failures_total is 3",)


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_is_drawn_from_its_seed_and_lanes_do_not_overlap(seed: int) -> None:
    faults = plan(seed, begin_s=20, end_s=7000)
    assert faults == plan(seed, begin_s=20, end_s=7000)
    assert faults != plan(seed + 1, begin_s=20, end_s=7000)
    assert {fault.kind for fault in faults} == set(KINDS)
    for lane in {kind.lane for kind in KINDS.values()}:
        in_turn = [fault for fault in faults if KINDS[fault.kind].lane == lane]
        for earlier, later in pairwise(in_turn):
            assert later.at_s >= earlier.at_s + earlier.lasts_s + APART_S - 1e-6
    assert all(fault.at_s >= 20 and fault.at_s + fault.lasts_s <= 7000 for fault in faults)


def test_what_a_machine_cannot_do_is_left_out() -> None:
    assert {fault.kind for fault in plan(1, begin_s=0, end_s=3600, kinds=["kill", "freeze"])} == {"kill", "freeze"}


def test_a_long_storm_leaves_one_life_long_enough_for_slopes() -> None:
    kills = [fault.at_s for fault in plan(3, begin_s=0, end_s=7200) if fault.kind == "kill"]
    assert kills
    assert max(later - earlier for earlier, later in zip([0, *kills], [*kills, 7200], strict=True)) > 3600


def test_a_page_of_metrics_gives_each_ledger() -> None:
    counts = ("elapsed", "captured", "lost", "analysed", "shed", "unobserved")
    page = "".join(
        f'# TYPE seacanary_samples_{what} counter\nseacanary_samples_{what}_total{{hydrophone="tcp"}} {number}.0\n'
        for number, what in enumerate(counts)
    )
    page += '# TYPE seacanary_samples_pending gauge\nseacanary_samples_pending{hydrophone="tcp"} 6.0\n'
    page += "# TYPE seacanary_inference_failures counter\nseacanary_inference_failures_total 2.0\n# EOF\n"
    found, failures = ledgers(page)
    assert found == {"tcp": {what: number for number, what in enumerate((*counts, "pending"))}}
    assert failures["seacanary_inference_failures_total"] == 2


def test_a_process_sees_the_clock_step_while_it_runs(tmp_path: Path) -> None:
    try:
        clock = WallClock(tmp_path)
    except OSError as exc:
        pytest.skip(f"needs a C compiler: {exc}")
    code = "import time\nwhile True: input(); print(round(time.time()), round(time.monotonic()), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clock.environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = []
        for offset_s in (0, 3600, -3600):
            clock.step(offset_s)
            process.stdin.write("\n")
            process.stdin.flush()
            wall_s, monotonic_s = map(int, process.stdout.readline().split())
            seen.append(wall_s - monotonic_s)
        process.kill()
    assert seen[1] - seen[0] == pytest.approx(3600, abs=2)
    assert seen[2] - seen[0] == pytest.approx(-3600, abs=2)
