"""When a worker is too slow: what it does, in which order, and that nothing is lost in silence."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cluster_samples import HOP, WINDOW, end, image, lost
from fakes import EPOCH, tiny_contract
from seacanary.cluster.envelope import EdgeClock, ImageEnvelope, LostEnvelope
from seacanary.cluster.overload import FORGOTTEN_AFTER_S, Overload, Rung, hops_before, is_late, spared
from seacanary.cluster.section import WorkerSection
from seacanary.cluster.thinning import Thinning, Waiting
from seacanary.metrics import Metrics

SECTION = WorkerSection(batch_images=8, batch_images_most=32)
CONTRACT = tiny_contract()


def rungs(waits: Sequence[float], *, every_s: float = 1.0) -> list[Rung]:
    """A partition's rungs as its images have waited so long, batch after batch."""
    overload = Overload(SECTION)
    return [overload.seen(waiting_s, now_s=1000 + place * every_s) for place, waiting_s in enumerate(waits)]


def changes(found: Sequence[Rung]) -> list[Rung]:
    return [rung for before, rung in itertools.pairwise([Rung.KEEPING_UP, *found]) if rung is not before]


def test_waiting_that_grows_climbs_one_rung_after_the_other_and_descends_again() -> None:
    up, down = [float(s) for s in range(700)], [float(s) for s in range(700, -1, -10)]
    found = rungs(up + down)
    names = ["LARGER_BATCHES", "EVERY_SECOND", "EVERY_FOURTH", "SHEDDING"]
    assert [rung.name for rung in changes(found)] == [*names, *names[-2::-1], "KEEPING_UP"]
    first = [found.index(Rung[name]) for name in names]
    assert first[0] == SECTION.grow_after_s
    for begun, after_s in zip(first[1:], (30, 60, 600), strict=True):
        assert after_s <= begun <= after_s + 10


@given(start_s=st.floats(600, 20_000), share=st.floats(0.06, 0.9), every_s=st.floats(0.1, 8))
def test_an_outage_that_is_caught_up_with_costs_no_image(start_s: float, share: float, every_s: float) -> None:
    """Workers were away for hours; now waiting gets shorter, however slowly."""
    found = rungs([start_s - share * every_s * place for place in range(300)], every_s=every_s)
    assert max(found) <= Rung.LARGER_BATCHES


@given(waits=st.lists(st.floats(0, 2000), max_size=200), every_s=st.floats(0.1, 20))
def test_a_rung_is_climbed_only_above_its_wait_and_never_two_at_once(waits: list[float], every_s: float) -> None:
    after_s = {
        1: SECTION.grow_after_s,
        2: SECTION.coarsen_after_s,
        3: 2 * SECTION.coarsen_after_s,
        4: SECTION.shed_after_s,
    }
    before = Rung.KEEPING_UP
    for waiting_s, rung in zip(waits, rungs(waits, every_s=every_s), strict=True):
        if rung > before:
            assert rung == before + 1
            assert waiting_s >= after_s[rung]
        if rung:
            assert waiting_s >= after_s[rung] / 2
        before = rung


def test_waiting_between_the_two_bounds_of_a_rung_changes_nothing() -> None:
    waits = [40.0] * 30 + [16.0, 29.0, 16.0, 40.0] * 20
    assert changes(rungs(waits)) == [Rung.LARGER_BATCHES, Rung.EVERY_SECOND]


def test_what_was_long_ago_does_not_count() -> None:
    overload = Overload(SECTION)
    for second in range(200):
        overload.seen(900.0, now_s=second)
    assert overload.rung is Rung.SHEDDING
    assert overload.is_forgotten(200 + FORGOTTEN_AFTER_S)
    assert overload.seen(900.0, now_s=200 + FORGOTTEN_AFTER_S) is Rung.KEEPING_UP


def test_every_hydrophone_keeps_every_second_or_fourth_window_wherever_its_run_began() -> None:
    for shift in (0, 100, 700, 123_456_789):
        images = [moved(image(place), shift) for place in range(400)]
        hops = [hops_before(one, CONTRACT) for one in images]
        assert [later - earlier for earlier, later in itertools.pairwise(hops)] == [1] * 399
        for rung, share in ((Rung.EVERY_SECOND, 2), (Rung.EVERY_FOURTH, 4)):
            fates = Counter(fate(one, rung) for one in images)
            assert fates == {None: 400 // share, "skipped": 400 - 400 // share}
    assert {fate(one, Rung.LARGER_BATCHES) for one in images} == {None}
    assert {fate(one, Rung.SHEDDING) for one in images} == {"shed"}


def test_at_another_rate_than_the_models_windows_are_counted_all_the_same() -> None:
    for rate_hz in (44_100, 96_000, 9_600):
        hop = HOP * rate_hz / CONTRACT.sample_rate_hz
        placed = [
            replace(image(0), first_sample=int(place * hop), end_sample=int(place * hop) + 1, sample_rate_hz=rate_hz)
            for place in range(1000)
        ]
        assert [hops_before(one, CONTRACT) for one in placed] == list(range(1000))


def test_what_comes_out_of_a_spool_goes_before_what_is_live() -> None:
    late = EPOCH + timedelta(hours=3)
    images = [image(place) for place in range(8)]
    assert Counter(fate(one, Rung.EVERY_SECOND, at=late) for one in images) == {None: 2, "skipped": 6}
    assert {fate(one, Rung.EVERY_FOURTH, at=late) for one in images} == {"shed"}
    assert {fate(one, Rung.LARGER_BATCHES, at=late) for one in images} == {None}


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_station_whose_clock_is_known_to_be_wrong_is_not_late_for_it(ahead_s: float) -> None:
    wrong = replace(image(0), clock=EdgeClock(broker_ahead_s=ahead_s))
    arrived = wrong.start + timedelta(seconds=ahead_s + 2)
    assert not is_late(wrong, arrived)
    assert is_late(wrong, arrived + timedelta(minutes=2))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"batch_images_most": 16}, "batch_images_most"),
        ({"coarsen_after_s": 1}, "must be less than coarsen_after_s"),
        ({"shed_after_s": 50}, "half of shed_after_s"),
    ],
)
def test_rungs_that_are_out_of_order_are_refused(fields: dict[str, float], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        WorkerSection.model_validate(fields)


def test_an_image_that_is_not_judged_leaves_a_stretch_in_its_place() -> None:
    metrics = Metrics()
    thinning = Thinning(SECTION, CONTRACT, metrics)
    thinning.brokers_told(EPOCH.timestamp() + 1000, now_s=1000)
    at = EPOCH + timedelta(seconds=898)  # and 2 s on the way
    items = [*(replace(image(place), number=place, start=at) for place in range(8)), lost(0, 5), end()]
    for second in range(200):
        waited_s = 100.0 + second
        batch = [Waiting(item, 3, EPOCH.timestamp() + 1000 + second - waited_s) for item in items]
        said = thinning.thinned(batch, now_s=1000 + second)
    assert thinning.rung(1199) is Rung.EVERY_FOURTH
    assert thinning.batch_images(1199) == 32
    kept = [isinstance(item, ImageEnvelope) for item in said]
    assert kept == [place % 4 == 0 for place in range(8)] + [False, False]
    assert said[8:] == items[8:]
    gone = said[1]
    assert isinstance(gone, LostEnvelope)
    assert (gone.number, gone.lost.reason) == (1, "skipped")
    assert (gone.lost.first_sample, gone.lost.end_sample) == (HOP, HOP + WINDOW)
    assert metrics.registry.get_sample_value("seacanary_worker_degraded_images_total", {"outcome": "skipped"}) > 100
    assert thinning.rung(1200 + FORGOTTEN_AFTER_S) is Rung.KEEPING_UP


def test_before_brokers_have_told_the_time_nothing_is_spared() -> None:
    thinning = Thinning(SECTION, CONTRACT, Metrics())
    for second in range(100):
        thinning.thinned([Waiting(image(0), 0, 0.0)], now_s=second)
    assert thinning.rung(100) is Rung.KEEPING_UP


@dataclass
class Worker:
    """A simulated worker over one partition: a batch takes so long for each image judged, and a little for others.

    Its broker's clock is its own.
    """

    judged_per_s: float
    thinning: Thinning = field(default_factory=lambda: Thinning(SECTION, CONTRACT, Metrics()))
    now_s: float = EPOCH.timestamp()
    longest_wait_s: float = 0.0
    fates: Counter[tuple[str, str]] = field(default_factory=Counter)

    def work(self, queue: Sequence[Waiting]) -> None:
        self.thinning.brokers_told(self.now_s, now_s=self.now_s)
        begin = 0
        while begin < len(queue):
            self.now_s = max(self.now_s, queue[begin].appended_s)
            taken = queue[begin : begin + self.thinning.batch_images(self.now_s)]
            taken = [one for one in taken if one.appended_s <= self.now_s]
            said = self.thinning.thinned(taken, now_s=self.now_s)
            judged = sum(isinstance(item, ImageEnvelope) for item in said)
            self.now_s += judged / self.judged_per_s + 0.0005 * len(taken)
            for one, item in zip(taken, said, strict=True):
                fate = item.lost.reason if isinstance(item, LostEnvelope) else "judged"
                self.fates[item.hydrophone, fate] += 1
                if item.hydrophone == "live":
                    self.longest_wait_s = max(self.longest_wait_s, self.now_s - one.appended_s)
            begin += len(taken)


def live(per_s: float, seconds: float) -> list[Waiting]:
    """Images that reach the brokers as they are made."""
    one = image(0, hydrophone="live")
    starts = [EPOCH + timedelta(seconds=place / per_s) for place in range(round(per_s * seconds))]
    placed = [replace(moved(one, place * HOP), start=start) for place, start in enumerate(starts)]
    return [Waiting(item, 0, item.start.timestamp()) for item in placed]


def drained(per_s: float, count: int, *, from_s: float) -> list[Waiting]:
    """Hours of spool, all sent within moments."""
    one = replace(image(0, hydrophone="spool"), start=EPOCH - timedelta(hours=2))
    return [Waiting(moved(one, place * HOP), 0, EPOCH.timestamp() + from_s + place / per_s) for place in range(count)]


def in_order(*queues: Sequence[Waiting]) -> list[Waiting]:
    return sorted((one for queue in queues for one in queue), key=lambda one: one.appended_s)


@pytest.mark.parametrize(("load", "shed"), [(0.8, False), (1.5, False), (3.5, False), (30.0, True)])
def test_whatever_the_load_each_image_is_judged_or_said_not_to_be(load: float, shed: bool) -> None:
    worker = Worker(judged_per_s=1)
    queue = live(load, 1200)
    worker.work(queue)
    assert sum(worker.fates.values()) == len(queue)
    assert (worker.fates["live", "skipped"] > 0) is (load > 1)
    assert (worker.fates["live", "shed"] > 0) is shed
    assert worker.longest_wait_s < (700 if shed else 150)


def test_hours_of_spool_never_shed_what_is_live() -> None:
    worker = Worker(judged_per_s=4)
    worker.work(in_order(live(1.6, 1200), drained(40, 6000, from_s=30)))
    assert worker.fates["live", "shed"] == 0
    assert worker.fates["live", "judged"] >= 1.6 * 1200 / 2
    assert worker.longest_wait_s < 200
    assert worker.fates["spool", "judged"] > 0


def test_hours_of_spool_are_judged_whole_where_there_is_time() -> None:
    worker = Worker(judged_per_s=40)
    worker.work(in_order(live(1.6, 300), drained(30, 4000, from_s=30)))
    assert worker.fates == {("live", "judged"): 480, ("spool", "judged"): 4000}


def test_workers_that_were_away_for_an_hour_judge_all_that_waited() -> None:
    queue = live(1.6, 3 * 3600)
    worker = Worker(judged_per_s=3.2, now_s=EPOCH.timestamp() + 3600)
    worker.work(queue)
    assert worker.fates == {("live", "judged"): len(queue)}


def moved(one: ImageEnvelope, samples: int) -> ImageEnvelope:
    return replace(one, first_sample=one.first_sample + samples, end_sample=one.end_sample + samples)


def fate(one: ImageEnvelope, rung: Rung, *, at: object = None) -> str | None:
    appended = one.start + timedelta(seconds=2) if at is None else at
    return spared(one, rung, appended=appended, contract=CONTRACT)  # type: ignore[arg-type]
