from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seacanary.evidence.retention import Deletion, DiskSpace, DiskVerdict, EvidenceRetention, FillRate, Kept, deletions

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PLENTY = DiskSpace(10**15)


def clip(age_h: float, size: int = 10, *, species: str = "beluga", copied: bool = False) -> Kept:
    return Kept(f"{species}-{age_h}", species, NOW - timedelta(hours=age_h), size, copied)


def rule(**changes: object) -> EvidenceRetention:
    return EvidenceRetention.model_validate({"min_free_bytes": 0, "min_headroom_hours": 0, **changes})


def told(found: Sequence[Deletion]) -> list[tuple[str, str]]:
    return [(deletion.clip.stem, deletion.cause) for deletion in found]


def test_without_limits_nothing_goes() -> None:
    assert deletions([clip(10_000), clip(1)], PLENTY, rule=rule(), now=NOW) == ()


def test_what_is_too_old_goes_first_and_may_be_all_that_goes() -> None:
    kept = [clip(1), clip(49), clip(50), clip(48)]
    found = deletions(kept, PLENTY, rule=rule(max_age_days=2, max_bytes=20), now=NOW)
    assert told(found) == [("beluga-50", "age"), ("beluga-49", "age")]


def test_common_species_give_way_to_rare_ones_however_old_these_are() -> None:
    kept = [*(clip(n) for n in range(1, 9)), clip(500, species="porpoise"), clip(400, species="narwhal")]
    found = deletions(kept, PLENTY, rule=rule(max_bytes=60), now=NOW)
    assert told(found) == [("beluga-8", "quota"), ("beluga-7", "quota"), ("beluga-6", "quota"), ("beluga-5", "quota")]


def test_a_quota_decides_who_gives_way() -> None:
    kept = [*(clip(n) for n in range(1, 6)), *(clip(n, species="porpoise") for n in range(11, 16))]
    found = deletions(kept, PLENTY, rule=rule(max_bytes=50, species_quota={"beluga": 0.2}), now=NOW)
    assert [deletion.clip.species for deletion in found] == ["beluga"] * 4 + ["porpoise"]


def test_a_quota_deletes_nothing_while_there_is_room() -> None:
    kept = [clip(n) for n in range(1, 6)]
    assert deletions(kept, PLENTY, rule=rule(max_bytes=50, species_quota={"beluga": 0.0}), now=NOW) == ()


def test_then_the_oldest_of_all_go_and_the_newest_of_a_species_last() -> None:
    kept = [clip(9, species="porpoise"), clip(5), clip(4), clip(3, copied=True)]
    found = deletions(kept, DiskSpace(0), rule=rule(min_free_bytes=1000), now=NOW)
    assert [deletion.clip.stem for deletion in found] == ["beluga-5", "beluga-4", "porpoise-9", "beluga-3"]


def test_headroom_is_counted_at_the_rate_the_disk_fills() -> None:
    kept = [clip(n) for n in range(1, 6)]
    site = rule(min_free_bytes=100, min_headroom_hours=10)
    assert not deletions(kept, DiskSpace(125, None), rule=site, now=NOW)
    assert not deletions(kept, DiskSpace(125, 2.5), rule=site, now=NOW)
    assert len(deletions(kept, DiskSpace(125, 4.0), rule=site, now=NOW)) == 2  # 140 wanted, 125 free, 10 each
    assert DiskSpace(125, 2.5).headroom_hours(site) == 10
    assert DiskSpace(125, 0.0).headroom_hours(site) == DiskSpace(125, None).headroom_hours(site) == inf
    assert DiskSpace(50, 1.0).headroom_hours(site) == 0


def test_a_headroom_that_is_only_reckoned_never_costs_the_last_clip_of_a_species_nor_one_without_its_copy() -> None:
    kept = [*(clip(n) for n in range(1, 4)), clip(9, species="porpoise"), clip(8, species="narwhal", copied=True)]
    flood = DiskSpace(10**9, 10.0**12)
    site = rule(min_free_bytes=100, min_headroom_hours=24)
    assert [d.clip.stem for d in deletions(kept, flood, rule=site, now=NOW)] == ["beluga-3", "beluga-2"]
    copies = rule(min_free_bytes=100, min_headroom_hours=24, require_copy=True)
    assert deletions(kept, flood, rule=copies, now=NOW) == ()


def test_a_small_disk_is_asked_for_a_tenth_of_it_unless_the_site_says_otherwise() -> None:
    small = DiskSpace(10**9, disk_bytes=4 * 10**9)
    assert EvidenceRetention().least_free_bytes(small) == 4e8
    assert not DiskVerdict().after(small, rule=EvidenceRetention(), fault=None).stopped
    assert EvidenceRetention().least_free_bytes(DiskSpace(10**9, disk_bytes=10**12)) == 2 << 30
    assert EvidenceRetention(min_free_bytes=2 << 30).least_free_bytes(small) == 2 << 30


def test_what_has_no_copy_yet_stays_unless_the_disk_has_no_room() -> None:
    kept = [clip(100), clip(99, copied=True), clip(1)]
    held = rule(max_age_days=1, max_bytes=5, require_copy=True)
    assert told(deletions(kept, PLENTY, rule=held, now=NOW)) == [("beluga-99", "age")]
    short = rule(min_free_bytes=15, require_copy=True)
    found = told(deletions(kept, DiskSpace(0), rule=short, now=NOW))
    assert found == [("beluga-99", "quota"), ("beluga-100", "headroom")]


@st.composite
def shelves(draw: st.DrawFn) -> list[Kept]:
    ages = draw(st.lists(st.integers(0, 200), unique=True, max_size=25))
    species = st.sampled_from(["beluga", "porpoise", "narwhal"])
    return [clip(age, draw(st.integers(1, 40)), species=draw(species), copied=draw(st.booleans())) for age in ages]


RULES = st.builds(
    rule,
    max_age_days=st.none() | st.floats(0.1, 10),
    max_bytes=st.none() | st.integers(1, 500),
    min_free_bytes=st.integers(0, 600),
    min_headroom_hours=st.floats(0, 20),
    species_quota=st.dictionaries(st.sampled_from(["beluga", "porpoise"]), st.floats(0, 0.5)),
    require_copy=st.booleans(),
)
SPACES = st.builds(DiskSpace, st.integers(0, 600), st.none() | st.floats(0, 50))


@given(kept=shelves(), space=SPACES, site=RULES, seed=st.randoms())
def test_enough_goes_and_no_more_and_nothing_that_must_stay(
    kept: list[Kept], space: DiskSpace, site: EvidenceRetention, seed: object
) -> None:
    found = deletions(kept, space, rule=site, now=NOW)
    gone = [deletion.clip for deletion in found]
    assert len({c.stem for c in gone}) == len(gone)
    left = [c for c in kept if c not in gone]
    loose_left = [c for c in left if c.copied or not site.require_copy]

    def over(clips: Sequence[Kept]) -> bool:
        return site.max_bytes is not None and sum(c.size_bytes for c in clips) > site.max_bytes

    def free(freed: Sequence[Kept]) -> int:
        return space.free_bytes + sum(c.size_bytes for c in freed)

    def short(freed: Sequence[Kept]) -> bool:
        return free(freed) < site.wanted_free_bytes(space)

    newest = {c.species: c.stem for c in sorted(left, key=lambda c: (c.onset, c.stem))}
    assert not over(left) or not loose_left  # all that may go for its size has gone
    assert free(gone) >= site.least_free_bytes(space) or not left
    assert not short(gone) or {c.stem for c in loose_left} <= set(newest.values())
    needed = [deletion for deletion in found if deletion.cause != "age"]
    if needed:  # without the last of them it would not be enough
        assert over([*left, gone[-1]]) or short(gone[:-1])
    for number, deletion in enumerate(found):
        if site.require_copy and not deletion.clip.copied:
            assert deletion.cause == "headroom"
            assert free(gone[:number]) < site.least_free_bytes(space)
            assert not loose_left


@given(kept=shelves(), space=SPACES, site=RULES, data=st.data())
def test_the_order_of_the_folder_does_not_matter_and_what_is_done_is_done(
    kept: list[Kept], space: DiskSpace, site: EvidenceRetention, data: st.DataObject
) -> None:
    found = deletions(kept, space, rule=site, now=NOW)
    assert deletions(data.draw(st.permutations(kept)), space, rule=site, now=NOW) == found
    gone = {deletion.clip.stem for deletion in found}
    freed = sum(deletion.clip.size_bytes for deletion in found)
    after = DiskSpace(space.free_bytes + freed, space.fill_bytes_per_hour)
    assert deletions([c for c in kept if c.stem not in gone], after, rule=site, now=NOW) == ()


@given(kept=shelves(), space=SPACES, site=RULES)
def test_within_a_species_the_old_go_before_the_new(
    kept: list[Kept], space: DiskSpace, site: EvidenceRetention
) -> None:
    onsets = defaultdict(list)
    for deletion in deletions(kept, space, rule=site, now=NOW):
        onsets[deletion.clip.species, deletion.clip.copied or not site.require_copy].append(deletion.clip.onset)
    for of_one_kind in onsets.values():
        assert of_one_kind == sorted(of_one_kind)


@given(kept=shelves(), max_bytes=st.integers(1, 500))
def test_a_species_within_an_equal_share_loses_nothing_to_size(kept: list[Kept], max_bytes: int) -> None:
    found = deletions(kept, PLENTY, rule=rule(max_bytes=max_bytes), now=NOW)
    total, present = sum(c.size_bytes for c in kept), {c.species for c in kept}
    newest = {c.species: c.size_bytes for c in sorted(kept, key=lambda c: c.onset)}
    share = min(total, max_bytes) / max(1, len(present))
    if all(size <= share for size in newest.values()):  # else the last clip of a species is spared at others' cost
        held = {name: sum(c.size_bytes for c in kept if c.species == name) for name in present}
        assert all(held[deletion.clip.species] > share for deletion in found)


def test_the_fill_rate_is_what_others_write_too() -> None:
    rate, free, answers = FillRate(), 100_000, []
    for minute in range(25 * 60):
        answers.append(rate.observe(minute * 60.0, free_bytes=free, deleted_bytes=0 if minute % 2 else 4))
        free = free - 5 + (0 if minute % 2 == 0 else 4)  # 5 bytes a minute are written, 4 deleted here every other
    assert answers[59] is None
    assert answers[60] is not None
    assert answers[-1] == pytest.approx(300, rel=0.02)


def test_a_disk_that_gets_emptier_does_not_fill() -> None:
    rate = FillRate()
    assert [rate.observe(t * 3600.0, free_bytes=1000 + t, deleted_bytes=0) for t in range(3)] == [None, 0.0, 0.0]


def test_an_old_rate_is_forgotten() -> None:
    rate = FillRate()
    for hour in range(24):
        rate.observe(hour * 3600.0, free_bytes=10_000 - hour * 100, deleted_bytes=0)
    for hour in range(24, 49):
        last = rate.observe(hour * 3600.0, free_bytes=7_700, deleted_bytes=0)
    assert last == 0.0


def test_a_burst_is_no_rate() -> None:
    rate = FillRate()
    assert rate.observe(0.0, free_bytes=10**10, deleted_bytes=0) is None
    assert rate.observe(600.0, free_bytes=10**9, deleted_bytes=0) is None


def test_evidence_stops_at_half_and_goes_on_when_all_of_it_is_free() -> None:
    site, verdict = rule(min_free_bytes=100), DiskVerdict()
    seen = []
    for free in (100, 95, 89, 95, 60, 49, 60, 99, 100, 60):
        verdict = verdict.after(DiskSpace(free), rule=site, fault=None)
        seen.append((verdict.low, verdict.stopped))
    low, stopped = zip(*seen, strict=True)
    assert low == (False, False, True, True, True, True, True, True, False, True)
    assert stopped == (False, False, False, False, False, True, True, True, False, False)


def test_a_folder_that_cannot_be_written_stops_evidence_at_once() -> None:
    verdict = DiskVerdict().after(DiskSpace(10**12), rule=rule(), fault="read-only")
    assert (verdict.low, verdict.stopped, verdict.detail) == (False, True, "read-only")
    assert not verdict.after(DiskSpace(10**12), rule=rule(), fault=None).stopped


@pytest.mark.parametrize("quota", [{"beluga": 1.2}, {"beluga": 0.7, "porpoise": 0.4}, {"beluga": -0.1}])
def test_shares_must_be_shares(quota: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="species_quota"):
        rule(species_quota=quota)
