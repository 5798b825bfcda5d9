"""The split: no site in two parts, nobody moved by newcomers, shares about right."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seacanary_models.catalogue import CatalogueEntry, make_catalogue
from seacanary_models.catalogue_split import PARTS, SplitRule, hours_by_part, split

pytestmark = pytest.mark.torch
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
SITES = st.dictionaries(NAMES, st.integers(1, 4), min_size=1, max_size=10)  # site -> recordings


def recordings(sites: dict[str, int]) -> list[CatalogueEntry]:
    made = []
    for site, count in sites.items():
        for number in range(count):
            name = f"{site}/{number}"
            digest = hashlib.sha256(name.encode()).hexdigest()
            made.append(
                CatalogueEntry(
                    id=name,
                    file=name,
                    sha256=digest,
                    sample_rate_hz=48_000,
                    duration_s=3600.0,
                    site=site,
                    group=f"stream of {site}",
                    licence="MIT",
                    simulated=False,
                )
            )
    return made


@settings(deadline=None, max_examples=50)
@given(SITES, st.integers(0, 1000))
def test_no_site_and_no_group_is_in_two_parts(sites: dict[str, int], seed: int) -> None:
    catalogue = make_catalogue(recordings(sites))
    parts = split(catalogue, SplitRule(seed=seed))
    for site in sites:
        assert len({parts[e.id] for e in catalogue.entries if e.site == site}) == 1
    for group in {e.group for e in catalogue.entries}:
        assert len({parts[e.id] for e in catalogue.entries if e.group == group}) == 1
    assert set(parts) == {e.id for e in catalogue.entries}


@settings(deadline=None, max_examples=50)
@given(SITES, SITES, st.integers(0, 1000))
def test_adding_recordings_moves_nobody(before: dict[str, int], added: dict[str, int], seed: int) -> None:
    grown = {site: max(before.get(site, 0), added.get(site, 0)) for site in added | before}
    rule = SplitRule(seed=seed)
    old = split(make_catalogue(recordings(before)), rule)
    assert old.items() <= split(make_catalogue(recordings(grown)), rule).items()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.tuples(*[st.integers(0, 5)] * 3).filter(any))
def test_shares_are_honoured_over_many_sites(seed: int, weights: tuple[int, int, int]) -> None:
    shares = (weights[0] / sum(weights), weights[1] / sum(weights), weights[2] / sum(weights))
    rule = SplitRule(seed=seed, shares=shares)
    drawn = [rule.part_of(f"site {number}") for number in range(400)]
    for part, share in zip(PARTS, shares, strict=True):
        assert abs(drawn.count(part) / 400 - share) < 0.13  # over five standard deviations
        assert share > 0 or part not in drawn


def test_another_seed_is_another_split() -> None:
    sites = [f"site {number}" for number in range(50)]
    assert [SplitRule(seed=1).part_of(s) for s in sites] != [SplitRule(seed=2).part_of(s) for s in sites]


def test_the_split_does_not_change_with_the_version_of_anything() -> None:
    assert [SplitRule(seed=1).part_of(name) for name in ("bay", "cove", "fjord", "sound", "strait")] == [
        "train",
        "test",
        "validation",
        "train",
        "train",
    ]


def test_pinned_sites_stay_where_they_were_put() -> None:
    rule = SplitRule(shares=(1, 0, 0), pinned={"bay": "test"})
    assert (rule.part_of("bay"), rule.part_of("cove")) == ("test", "train")


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.5, -0.5, 0.0)])
def test_shares_must_be_shares(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="sum up to 1"):
        SplitRule(shares=shares)


def test_hours_are_counted_by_part() -> None:
    catalogue = make_catalogue(recordings({"bay": 3, "cove": 1}))
    rule = SplitRule(pinned={"bay": "validation", "cove": "train"})
    assert hours_by_part(catalogue, rule) == {"train": 1.0, "validation": 3.0, "test": 0.0}
