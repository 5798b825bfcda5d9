"""The soak's judges of samples: each planted violation is found, and a storm that costs only what it must passes."""

from dataclasses import replace

import pytest
from benchmarks.soaking.gaps import Gap
from benchmarks.soaking.hydrophones import FILE_RATE_HZ, FILE_S
from benchmarks.soaking.judging_ledger import FILE_SAMPLES, judge_live, judge_recorder
from benchmarks.soaking.records import Counts, Life, Struck, Verdict

RATE_HZ = 1000


def flowing(began_s: int, ended_s: int, *, first_s: float = 2.0) -> list[Counts]:
    """Readings once a second of a stream that begins `first_s` after the process and goes on without a break."""
    return [reading(at_s, at_s - began_s - first_s) for at_s in range(began_s + 3, ended_s)]


def reading(at_s: float, heard_s: float, *, lost_s: float = 0.0, shed_s: float = 0.0) -> Counts:
    elapsed, lost, shed = round((heard_s + lost_s) * RATE_HZ), round(lost_s * RATE_HZ), round(shed_s * RATE_HZ)
    captured, pending = elapsed - lost, min(RATE_HZ, elapsed - lost - shed)
    return Counts(at_s, elapsed, captured, lost, captured - shed - pending, shed, 0, pending)


def life(number: int, counts: list[Counts], *, ended_s: float, asked: str = "killed") -> Life:
    closed = asked == "stopped"
    if closed:
        last = counts[-1]
        counts = [*counts, replace(last, at_s=ended_s, analysed=last.analysed + last.pending, pending=0)]
    return Life(number, counts[0].at_s - 3, ended_s, asked, 0, {"tcp": counts}, closed=closed)  # type: ignore[arg-type]


def judged(*lives: Life, struck: tuple[Struck, ...] = ()) -> tuple[Verdict, list[Gap]]:
    return judge_live("tcp", lives, struck, rate_hz=RATE_HZ)


def with_loss(counts: list[Counts], *, at_s: float, lasts_s: float, told: bool) -> list[Counts]:
    """The same stream, silent for so long; whether the station counted that as lost afterwards."""
    changed = []
    for before in counts:
        heard_s = before.elapsed / RATE_HZ
        silent_s = min(max(0.0, before.at_s - at_s), lasts_s)
        lost_s = lasts_s if told and before.at_s > at_s + lasts_s else 0.0
        changed.append(reading(before.at_s, heard_s - silent_s, lost_s=lost_s))
    return changed


def test_an_undisturbed_life_passes_without_a_gap() -> None:
    verdict, gaps = judged(life(0, flowing(0, 60), ended_s=60, asked="stopped"))
    assert verdict.violations == ()
    assert gaps == []
    assert verdict.figures["residual_s"] == pytest.approx(1.0, abs=0.01)  # what came after the last reading


def test_what_passes_while_a_station_finishes_is_no_silence() -> None:
    counts = flowing(0, 60)
    finishing = [replace(counts[-1], at_s=at_s) for at_s in range(60, 66)]
    ending = life(0, [*counts, *finishing], ended_s=60, asked="stopped")
    told, untold = replace(ending, told_s=59.5), replace(ending, ended_s=66)
    assert judged(told)[0].violations == ()
    assert "6.00 s silent at 59 s, with no fault" in judged(untold)[0].violations[0]


def test_a_kill_explains_that_nobody_listened() -> None:
    lives = (life(0, flowing(0, 60), ended_s=59.5), life(1, flowing(61, 120), ended_s=120, asked="stopped"))
    verdict, gaps = judged(*lives, struck=(Struck("kill", 59.5, 59.5),))
    assert verdict.violations == ()
    assert [(gap.kind, gap.began_s, gap.ended_s) for gap in gaps] == [("nobody listened", 59, 63)]
    assert verdict.figures["nobody_listened_s"] == 4.0


def test_a_hydrophone_that_is_away_at_the_start_is_heard_from_its_first_sample_on() -> None:
    known = [Counts(at_s, 0, 0, 0, 0, 0, 0, 0) for at_s in range(62, 75)]
    heard = flowing(72, 120)
    lives = (life(0, flowing(0, 60), ended_s=59.5), life(1, [*known, *heard], ended_s=120, asked="stopped"))
    verdict, gaps = judged(*lives, struck=(Struck("kill", 59.5, 59.5), Struck("tcp_gone", 58, 73)))
    assert verdict.violations == ()
    assert [(gap.kind, gap.began_s, gap.ended_s) for gap in gaps] == [("nobody listened", 59, 74)]


def test_a_life_that_nobody_ended_explains_nothing() -> None:
    lives = (life(0, flowing(0, 60), ended_s=59.5), life(1, flowing(61, 120), ended_s=120, asked="stopped"))
    verdict, _ = judged(*lives, struck=(Struck("redis_down", 59.5, 64),))
    assert verdict.violations == ("tcp: 4.00 s nobody listened at 59 s, with no fault to explain it",)


def test_a_lost_sample_puts_the_account_out_of_balance() -> None:
    counts = flowing(0, 60)
    counts[30] = replace(counts[30], analysed=counts[30].analysed - 1)
    verdict, _ = judged(life(0, counts, ended_s=60, asked="stopped"))
    assert len(verdict.violations) == 1
    assert "33 s" in verdict.violations[0]
    assert "out of balance" in verdict.violations[0]


def test_a_count_that_runs_backwards_is_found() -> None:
    counts = flowing(0, 60)
    counts[30] = replace(counts[30], at_s=33.5)
    counts.insert(31, replace(counts[28], at_s=33.6))
    verdict, _ = judged(life(0, counts, ended_s=60, asked="stopped"))
    assert any("elapsed ran backwards" in text for text in verdict.violations)


def test_a_gap_that_its_fault_explains_is_named_with_it() -> None:
    counts = with_loss(flowing(0, 90), at_s=30, lasts_s=8, told=True)
    stall = Struck("tcp_stall", 30, 36)
    verdict, gaps = judged(life(0, counts, ended_s=90, asked="stopped"), struck=(stall, Struck("kill", 200, 200)))
    assert verdict.violations == ()
    assert [(gap.kind, gap.samples, gap.cause) for gap in gaps] == [("lost", 8000, stall)]


@pytest.mark.parametrize(
    "struck",
    [(), (Struck("rtp_gone", 30, 36),), (Struck("tcp_stall", 60, 70),), (Struck("clock_step", 31, 31),)],
    ids=["no fault", "of another hydrophone", "at another time", "that may cost nothing"],
)
def test_an_unexplained_gap_is_found(struck: tuple[Struck, ...]) -> None:
    counts = with_loss(flowing(0, 90), at_s=30, lasts_s=8, told=True)
    verdict, gaps = judged(life(0, counts, ended_s=90, asked="stopped"), struck=struck)
    assert [gap.cause for gap in gaps] == [None]
    assert verdict.violations == ("tcp: 8.00 s lost at 31 s, with no fault to explain it",)


def test_a_gap_much_longer_than_its_fault_is_not_explained() -> None:
    counts = with_loss(flowing(0, 120), at_s=30, lasts_s=40, told=True)
    verdict, _ = judged(life(0, counts, ended_s=120, asked="stopped"), struck=(Struck("tcp_stall", 30, 34),))
    assert verdict.violations == ("tcp: 40.00 s lost at 31 s, with no fault to explain it",)


def test_samples_missed_without_a_word_are_found_by_the_clock() -> None:
    counts = with_loss(flowing(0, 90), at_s=30, lasts_s=8, told=False)
    verdict, _ = judged(life(0, counts, ended_s=90, asked="stopped"), struck=(Struck("tcp_stall", 30, 36),))
    assert "tcp: life 0: 8.0 s passed that are in no account" in verdict.violations


def test_an_hour_that_is_said_to_be_lost_and_never_was_is_found() -> None:
    counts = flowing(0, 90)
    hour = 3600 * RATE_HZ
    phantom = [c if c.at_s < 40 else replace(c, elapsed=c.elapsed + hour, lost=hour) for c in counts]
    verdict, _ = judged(life(0, phantom, ended_s=90, asked="stopped"), struck=(Struck("tcp_stall", 36, 40),))
    assert "tcp: life 0: 3600.0 s are said to be lost that never were" in verdict.violations


def test_silence_that_no_block_ended_before_the_kill_is_a_gap_too() -> None:
    counts = with_loss(flowing(0, 60), at_s=40, lasts_s=1000, told=False)
    lives = (life(0, counts, ended_s=60), life(1, flowing(61, 120), ended_s=120, asked="stopped"))
    verdict, gaps = judged(*lives, struck=(Struck("kill", 60, 60),))
    assert [gap.kind for gap in gaps] == ["silent", "nobody listened"]
    assert verdict.figures["silent_s"] == 19.0


def test_time_that_is_in_no_account_is_found() -> None:
    moved = [replace(each, at_s=each.at_s + (10 if each.at_s >= 30 else 0)) for each in flowing(0, 50)]
    verdict, _ = judged(life(0, moved, ended_s=60, asked="stopped"))
    assert any("from first to last sample are in no account" in text for text in verdict.violations)


def test_a_hydrophone_that_does_not_come_back_is_found() -> None:
    verdict, _ = judged(life(0, flowing(0, 60), ended_s=60), Life(1, 61, 120, "stopped", 0, closed=True))
    assert verdict.violations == ("tcp: nothing was heard in the last life",)


def test_shed_samples_need_a_fault_that_sheds() -> None:
    shed_s = {31: 1, 32: 2}  # from then on
    counts = [reading(c.at_s, c.elapsed / RATE_HZ, shed_s=shed_s.get(min(int(c.at_s), 32), 0)) for c in flowing(0, 90)]
    run = life(0, counts, ended_s=90, asked="stopped")
    full = Struck("journal_full", 25, 32)
    assert judged(run, struck=(full,))[0].violations == ()
    assert [gap.samples for gap in judged(run, struck=(full,))[1]] == [2000]
    assert not judged(run, struck=(Struck("tcp_stall", 25, 32),))[0].passed


FILES = [(f"r{number}", 100 + number * FILE_S + (number // 4) * 7) for number in range(8)]


def recorder_lives(*, lost_samples: int = 0) -> list[Life]:
    """The first four recordings were heard and marked before the kill; the last life hears the rest."""
    first = Counts(50, 4 * FILE_SAMPLES, 4 * FILE_SAMPLES, 0, 4 * FILE_SAMPLES, 0, 0, 0)
    captured = 4 * FILE_SAMPLES - lost_samples
    last = Counts(120, captured, captured, 0, captured, 0, 0, 0)
    done = frozenset(f"r{n}" for n in range(4))
    return [
        Life(0, 0, 60, "killed", -9, {"recorder": [first]}),
        Life(1, 61, 120, "stopped", 0, {"recorder": [last]}, done_before=done, closed=True),
    ]


def test_recordings_are_accounted_for_to_the_sample() -> None:
    done = frozenset(f"r{n}" for n in range(4))
    assert judge_recorder("recorder", recorder_lives(), FILES, done_at_end=done).violations == ()
    short = judge_recorder("recorder", recorder_lives(lost_samples=1), FILES, done_at_end=done)
    assert len(short.violations) == 2  # captured, analysed
    assert f"{4 * FILE_SAMPLES - 1} samples captured" in short.violations[0]


def test_pauses_between_recordings_are_lost_by_their_dates() -> None:
    lives = [replace(recorder_lives()[1], done_before=frozenset())]
    verdict = judge_recorder("recorder", lives, FILES, done_at_end=frozenset())
    assert any(
        f"0 samples lost in the last life, the recordings say {7 * FILE_RATE_HZ}" in v for v in verdict.violations
    )


def test_recordings_marked_but_never_heard_are_found() -> None:
    lives = recorder_lives()
    lives[0].counts["recorder"] = [Counts(50, FILE_RATE_HZ, FILE_RATE_HZ, 0, FILE_RATE_HZ, 0, 0, 0)]
    verdict = judge_recorder("recorder", lives, FILES, done_at_end=frozenset(f"r{n}" for n in range(4)))
    assert len(verdict.violations) == 1
    assert "marked 4 recordings" in verdict.violations[0]


def test_recordings_forgotten_are_found() -> None:
    verdict = judge_recorder("recorder", recorder_lives(), FILES, done_at_end=frozenset({"r0"}))
    assert "recorder: 3 recordings marked as heard were forgotten" in verdict.violations
