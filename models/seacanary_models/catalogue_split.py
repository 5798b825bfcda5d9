"""Which part of the work each recording serves: drawn by site, so that no site, stream or loop is in two."""

import hashlib
from collections.abc import Mapping
from itertools import accumulate
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seacanary_models.catalogue import Catalogue

SplitPart = Literal["train", "validation", "test"]
PARTS: tuple[SplitPart, ...] = get_args(SplitPart)


class SplitRule(BaseModel):
    """How sites are shared out.

    A site's part follows from seed and name alone: recordings and sites that join later move nobody, and the
    shares hold on average over many sites. With few of them, pin what must not be left to chance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(1, ge=0)
    shares: tuple[float, float, float] = Field((0.7, 0.15, 0.15), description="of sites, in the order of PARTS")
    pinned: Mapping[str, SplitPart] = Field(default_factory=dict, description="sites whose part is decided by hand")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError(f"shares must not be negative and sum up to 1, got {self.shares}")
        return self

    def part_of(self, site: str) -> SplitPart:
        """The part that all recordings of a site serve."""
        if site in self.pinned:
            return self.pinned[site]
        digest = hashlib.sha256(f"{self.seed} {site}".encode()).digest()
        drawn = int.from_bytes(digest[:8]) / 2**64
        ends = zip(PARTS, accumulate(self.shares), strict=True)
        last_used = max(range(len(PARTS)), key=lambda k: (self.shares[k] > 0, k))
        return next((part for part, end in ends if drawn < end), PARTS[last_used])  # sums may end just below 1


def split(catalogue: Catalogue, rule: SplitRule) -> dict[str, SplitPart]:
    """Part of every recording, by its id."""
    return {entry.id: rule.part_of(entry.site) for entry in catalogue.entries}


def hours_by_part(catalogue: Catalogue, rule: SplitRule) -> Mapping[SplitPart, float]:
    """Hours of usable recording in each part: how near the shares came."""
    hours: dict[SplitPart, float] = dict.fromkeys(PARTS, 0.0)
    for entry in catalogue.entries:
        hours[rule.part_of(entry.site)] += entry.usable_s / 3600
    return hours
