"""Intake: any arrival pattern gives the same windows, and every sample is somewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seacanary.audio import Arrival, AudioBlock, Window, read_only
from seacanary.intake import Gap, Intake, IntakeResult
from seacanary.ledger import LedgerTotals, Outcome

EPOCH = datetime(2026, 7, 1, tzinfo=UTC)
MODEL_HZ = 384_000
WINDOW, HOP = 1_920, 960  # 5 ms, cut every 2.5 ms: a real window scaled down
RATES_HZ = [8_000, 44_100, 48_000, 96_000, 250_000, 384_000, 500_000, 576_000]
Plain = tuple[bytes, int, int, datetime, float, float]


def intake(*, pad_at_end: bool = False) -> Intake:
    return Intake("h", sample_rate_hz=MODEL_HZ, window_samples=WINDOW, hop_samples=HOP, pad_at_end=pad_at_end)


def audio(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    return (0.5 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def block(
    samples: NDArray[np.float32],
    first: int = 0,
    *,
    rate_hz: int = MODEL_HZ,
    epoch: datetime = EPOCH,
    arrival: Arrival | None = None,
) -> AudioBlock:
    return AudioBlock("h", samples, first, rate_hz, epoch, arrival)


def cut_up(whole: AudioBlock, sizes: Sequence[int]) -> Iterable[AudioBlock]:
    """The block in pieces of these sizes, over and over."""
    done, turn = 0, 0
    while done < whole.samples.size:
        size = sizes[turn % len(sizes)]
        piece = whole.samples[done : done + size]
        yield block(piece, whole.first_sample + done, rate_hz=whole.sample_rate_hz, epoch=whole.epoch)
        done, turn = done + size, turn + 1


def heard(station: Intake, blocks: Iterable[AudioBlock]) -> IntakeResult:
    result = IntakeResult()
    for each in blocks:
        result += station.push(each)
    return result + station.end()


def plain(windows: Iterable[Window]) -> list[Plain]:
    return [
        (w.pcm.tobytes(), w.first_sample, w.end_sample, w.start, w.missing_fraction, w.clipped_fraction)
        for w in windows
    ]


def resolve_all(station: Intake, windows: Sequence[Window], fates: Random) -> set[tuple[datetime, int]]:
    """Resolve in any order with any outcome; return the samples that must count as analysed."""
    analysed: set[tuple[datetime, int]] = set()
    for window in fates.sample(windows, len(windows)):
        outcome = fates.choice(list(Outcome))
        station.ledger.resolve(window.epoch, window.first_sample, end_sample=window.end_sample, outcome=outcome)
        if outcome is Outcome.ANALYSED:
            analysed |= {(window.epoch, i) for i in range(window.first_sample, window.end_sample)}
    return analysed


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@settings(max_examples=12, deadline=None)
@given(length_s=st.floats(0.001, 0.03), sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=6))
def test_windows_do_not_depend_on_how_the_audio_arrived(rate_hz: int, length_s: float, sizes: list[int]) -> None:
    whole = block(audio(max(1, round(length_s * rate_hz))), rate_hz=rate_hz)
    at_once = heard(intake(pad_at_end=True), [whole])
    piecemeal = heard(intake(pad_at_end=True), cut_up(whole, sizes))
    assert plain(piecemeal.windows) == plain(at_once.windows)
    assert at_once.windows[0].first_sample == 0
    assert at_once.windows[-1].end_sample == whole.end_sample


@dataclass(frozen=True)
class Piece:
    """Audio after a pause."""

    lost: int
    count: int
    new_epoch: bool


PIECES = st.lists(st.builds(Piece, st.integers(0, 3_000), st.integers(1, 5_000), st.booleans()), min_size=1, max_size=5)


def stream(pieces: Sequence[Piece], rate_hz: int, *, scale: float) -> list[AudioBlock]:
    """The pieces as blocks; `scale` keeps their length in seconds alike at all rates."""
    blocks: list[AudioBlock] = []
    epoch, position = EPOCH, 0
    for seed, piece in enumerate(pieces):
        lost, count = round(piece.lost * scale), max(1, round(piece.count * scale))
        if piece.new_epoch and blocks:
            # Epochs are UTC, to the microsecond: the pause in samples is what rounds to `lost`.
            epoch, position = epoch + timedelta(microseconds=round((position + lost) * 1e6 / rate_hz)), 0
        else:
            position += lost
        blocks.append(block(audio(count, seed=seed), position, rate_hz=rate_hz, epoch=epoch))
        position += count
    return blocks


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@settings(max_examples=25, deadline=None)
@given(
    pieces=PIECES,
    sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=4),
    fates=st.randoms(use_true_random=False),
    pad=st.booleans(),
)
def test_gaps_anywhere_leave_no_window_astride_and_no_sample_unaccounted(
    rate_hz: int, pieces: list[Piece], sizes: list[int], fates: Random, pad: bool
) -> None:
    runs = stream(pieces, rate_hz, scale=rate_hz / MODEL_HZ)
    station = intake(pad_at_end=pad)
    result = heard(station, (piece for run in runs for piece in cut_up(run, sizes)))

    for window in result.windows:
        holders = [
            run
            for run in merged(runs)
            if run[0] == window.epoch and run[1] <= window.first_sample and window.end_sample <= run[2]
        ]
        assert len(holders) == 1
        assert window.end_sample > window.first_sample
    assert station.ledger.totals.balanced

    analysed = resolve_all(station, result.windows, fates)
    totals = station.ledger.totals
    assert totals.balanced
    assert totals.pending == 0
    assert totals.analysed == len(analysed)
    assert totals.captured == sum(run.samples.size for run in runs)
    assert totals.lost == sum(gap.end_sample - gap.first_sample for gap in result.gaps)
    assert plain(result.windows) == plain(heard(intake(pad_at_end=pad), runs).windows)


def merged(runs: Sequence[AudioBlock]) -> list[tuple[datetime, int, int]]:
    """(epoch, first, end) of each run, joining blocks that follow one another."""
    joined: list[tuple[datetime, int, int]] = []
    for run in runs:
        if joined and joined[-1][0] == run.epoch and joined[-1][2] == run.first_sample:
            joined[-1] = (run.epoch, joined[-1][1], run.end_sample)
        else:
            joined.append((run.epoch, run.first_sample, run.end_sample))
    return joined


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_window_holds_the_stream_at_the_place_it_names(rate_hz: int) -> None:
    """A click at stream sample s stands in each window at (s - first_sample) in the model's time."""
    count, clicks = rate_hz // 25, [rate_hz // 90, rate_hz // 40, rate_hz // 32]
    samples = np.zeros(count, np.float32)
    samples[clicks] = 0.5
    result = heard(intake(), [block(samples, 777, rate_hz=rate_hz)])
    found = 0
    for window in result.windows:
        for click in (777 + click for click in clicks):
            expected = (click - window.first_sample) * MODEL_HZ / rate_hz
            if 4 * MODEL_HZ / rate_hz < expected < WINDOW - 4 * MODEL_HZ / rate_hz:
                near = slice(max(0, int(expected - MODEL_HZ / 400)), int(expected + MODEL_HZ / 400))
                peak = near.start + int(np.argmax(window.pcm[near]))
                # first_sample is the last stream sample at or before pcm[0].
                assert abs(peak - expected) <= 1 + MODEL_HZ / rate_hz
                found += 1
    assert found >= 3


def test_a_last_window_that_would_hold_no_new_sample_of_the_stream_is_not_cut() -> None:
    # A sample at 44.1 kHz is 8.7 at the model's rate, so a run may end within
    # a sample of its last window.
    for count in range(540, 560):
        windows = heard(intake(), [block(audio(count), rate_hz=44_100)]).windows
        ends = [window.end_sample for window in windows]
        assert ends == sorted(set(ends))
        assert ends[-1] == count


@pytest.mark.parametrize("rate_hz", [44_100, 250_000, 500_000, 576_000])
def test_between_two_rates_a_window_names_every_sample_it_touches(rate_hz: int) -> None:
    windows = heard(intake(), [block(audio(rate_hz // 20), rate_hz=rate_hz)]).windows
    for index, window in enumerate(windows[:-1]):
        assert window.first_sample == HOP * index * rate_hz // MODEL_HZ
        assert window.end_sample == -(-(HOP * index + WINDOW) * rate_hz // MODEL_HZ)


def test_a_window_begins_at_the_time_of_its_first_sample() -> None:
    result = heard(intake(), [block(audio(4 * WINDOW), 384)])
    assert [w.start - EPOCH for w in result.windows[:2]] == [
        timedelta(milliseconds=1),
        timedelta(milliseconds=3.5),
    ]


def test_a_run_shorter_than_a_window_is_unobserved_unless_it_ends_a_recording() -> None:
    short = block(audio(WINDOW - 1))
    live, recording = intake(), intake(pad_at_end=True)
    assert heard(live, [short]).windows == ()
    assert live.ledger.totals == LedgerTotals(elapsed=1_919, captured=1_919, unobserved=1_919)
    (window,) = heard(recording, [short]).windows
    assert window.end_sample == WINDOW - 1
    assert window.missing_fraction == pytest.approx(1 / WINDOW)


def test_a_short_run_before_a_gap_is_unobserved_even_in_a_recording() -> None:
    station = intake(pad_at_end=True)
    result = heard(station, [block(audio(WINDOW - 1)), block(audio(WINDOW), WINDOW)])
    assert [window.first_sample for window in result.windows] == [WINDOW]
    assert result.gaps == (Gap("h", EPOCH, WINDOW - 1, WINDOW, "lost_samples"),)
    assert station.ledger.totals.unobserved == WINDOW - 1


def test_samples_heard_before_are_dropped_and_counted() -> None:
    samples = audio(5 * WINDOW)
    clean, repeating = intake(), intake()
    expected = heard(clean, [block(samples)])
    again = [
        block(samples[:3_000]),
        block(samples[2_000:2_500], 2_000),
        block(samples[2_900:5_000], 2_900),
        block(samples[5_000:], 5_000),
    ]
    assert plain(heard(repeating, again).windows) == plain(expected.windows)
    assert repeating.repeated_samples == 600
    assert repeating.ledger.totals == clean.ledger.totals


def test_between_epochs_the_loss_is_measured_in_utc() -> None:
    station = intake()
    later = EPOCH + timedelta(seconds=2)
    result = heard(station, [block(audio(MODEL_HZ)), block(audio(WINDOW), 100, epoch=later)])
    assert result.gaps == (Gap("h", EPOCH, MODEL_HZ, 2 * MODEL_HZ + 100, "new_epoch"),)
    assert station.ledger.totals.lost == MODEL_HZ + 100
    assert result.windows[-1].epoch == later


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
@pytest.mark.parametrize("stepped_at_s", [5.0, 11.0], ids=["while heard", "while away"])
def test_between_epochs_a_step_of_the_clock_is_no_loss_and_hides_none(step_s: float, stepped_at_s: float) -> None:
    rate_hz, pause_s = 8_000, 3.0

    def arrival(now_s: float) -> Arrival:
        return Arrival(EPOCH.timestamp() + now_s + (step_s if now_s > stepped_at_s else 0.0), 50.0 + now_s)

    station = intake()
    for second in range(10):
        heard = block(audio(rate_hz), second * rate_hz, rate_hz=rate_hz, arrival=arrival(second + 1.0))
        station.push(heard)
    back = arrival(10 + pause_s + 1)
    epoch = datetime.fromtimestamp(back.system_s - 1, UTC)
    station.push(block(audio(rate_hz), rate_hz=rate_hz, epoch=epoch, arrival=back))
    assert station.ledger.totals.lost == pause_s * rate_hz


def test_an_epoch_that_begins_before_the_last_one_ended_loses_nothing() -> None:
    station = intake()
    early = EPOCH + timedelta(seconds=0.5)
    result = heard(station, [block(audio(MODEL_HZ)), block(audio(WINDOW), epoch=early)])
    assert result.gaps == (Gap("h", EPOCH, MODEL_HZ, MODEL_HZ, "new_epoch"),)
    assert station.ledger.totals.lost == 0


def test_each_recording_of_a_series_is_padded() -> None:
    later = EPOCH + timedelta(hours=1)
    result = heard(intake(pad_at_end=True), [block(audio(50)), block(audio(70), epoch=later)])
    assert [(window.epoch, window.end_sample) for window in result.windows] == [(EPOCH, 50), (later, 70)]


def test_a_new_rate_is_a_new_run_with_a_new_resampler() -> None:
    station = intake()
    slow = audio(48_000, seed=3)
    # Positions count in the block's own rate: one second is 48 000 of the new samples.
    result = heard(station, [block(audio(MODEL_HZ)), block(slow, 48_000, rate_hz=48_000)])
    assert [gap.reason for gap in result.gaps] == ["rate_changed"]
    assert station.ledger.totals.lost == 0
    after = [window for window in result.windows if window.sample_rate_hz == 48_000]
    alone = heard(intake(), [block(slow, 48_000, rate_hz=48_000)]).windows
    assert plain(after) == plain(alone)


def test_windows_of_an_ended_epoch_may_be_resolved_late() -> None:
    station = intake()
    (old,) = station.push(block(audio(WINDOW))).windows
    (new,) = station.push(block(audio(WINDOW), epoch=EPOCH + timedelta(days=1))).windows
    assert (old.first_sample, old.end_sample) == (new.first_sample, new.end_sample)
    station.ledger.resolve(new.epoch, new.first_sample, end_sample=new.end_sample, outcome=Outcome.ANALYSED)
    station.ledger.resolve(old.epoch, old.first_sample, end_sample=old.end_sample, outcome=Outcome.SHED)
    station.end()
    totals = station.ledger.totals
    assert (totals.analysed, totals.shed, totals.pending) == (WINDOW, WINDOW, 0)


def test_the_clock_learns_from_arrivals() -> None:
    station = intake()
    for second in range(1, 100):
        arrival = Arrival(EPOCH.timestamp() + 1.0001 * second, 7.0 + 1.0001 * second)
        station.push(block(np.zeros(8_000, np.float32), (second - 1) * 8_000, rate_hz=8_000, arrival=arrival))
    assert station.clock is not None
    assert station.clock.drift_ppm == pytest.approx(-100, abs=1)


def test_an_intake_that_heard_nothing_is_balanced() -> None:
    station = intake()
    assert station.end() == IntakeResult()
    assert station.clock is None
    assert station.ledger.totals == LedgerTotals()


@pytest.mark.parametrize(
    "wrong",
    [
        block(np.zeros(0, np.float32)),
        block(np.zeros(4, np.float64)),
        block(np.zeros(4, np.int16)),
        block(np.zeros((2, 2), np.float32)),
        block(np.zeros(4, np.float32), rate_hz=0),
        AudioBlock("another", np.zeros(4, np.float32), 0, MODEL_HZ, EPOCH),
    ],
)
def test_a_block_that_breaks_its_contract_is_refused(wrong: AudioBlock) -> None:
    with pytest.raises(ValueError, match="h"):
        intake().push(wrong)


def test_a_block_after_the_end_is_refused() -> None:
    station = intake()
    station.end()
    with pytest.raises(ValueError, match="after end"):
        station.push(block(audio(1)))


def test_no_loss_is_told_between_recordings_of_which_one_is_undated() -> None:
    intake = Intake("h1", sample_rate_hz=8000, window_samples=64, hop_samples=32, pad_at_end=True)
    samples = read_only(np.zeros(100, np.float32))
    undated = datetime(1970, 1, 1, tzinfo=UTC)
    intake.push(AudioBlock("h1", samples, 0, 8000, undated, time_known=False))
    intake.push(AudioBlock("h1", samples, 0, 8000, datetime(2026, 5, 1, tzinfo=UTC)))
    assert intake.ledger.totals.lost == 0
    assert intake.ledger.totals.elapsed == 200
