"""Which evidence goes when room is needed: pure decisions on sizes, ages and a disk's state.

The order:
1. age: what is older than `max_age_days`;
   then, only for as long as bytes are to be freed,
2. quota: clips of species that hold more than their share of what may be kept, the species with
   the most clips first, oldest clips first, down to the share: rare events outlive common ones;
3. the oldest of all species;
   then only for `max_bytes` and `min_free_bytes`, as a headroom that is reckoned may be wrong:
4. the newest clip of each species;
5. clips whose verified copy is required and not there, oldest first, and only for free space.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Cause = Literal["age", "size", "headroom", "quota"]

# Without a word of the site: so much is left free, or this share of a disk that is smaller than that asks for.
LEAST_FREE_BYTES, LEAST_FREE_SHARE = 2 << 30, 0.1
# Evidence stops below this share of min_free_bytes and goes on when all of it is free.
STOP_SHARE = 0.5
# A disk is called low below this share of the free space wanted, until all of it is free.
LOW_SHARE = 0.9
# The fill rate is that of the last day; over less than an hour it says nothing. A burst, such as an
# update of the system or the spool filling after the first start, is no rate to delete evidence for.
RATE_OVER_S, RATE_LEAST_S = 86_400.0, 3600.0


class EvidenceRetention(BaseModel):
    """How long evidence is kept, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_age_days: float | None = Field(None, gt=0, description="older clips are deleted; null: none for its age")
    max_bytes: int | None = Field(None, gt=0, description="most bytes of evidence; null: as much as the disk holds")
    min_free_bytes: int | None = Field(
        None,
        ge=0,
        description="free space to leave; evidence stops when only half of it is left; null: 2 GiB, but a tenth of a "
        "disk under 20 GiB",
    )
    min_headroom_hours: float = Field(
        24.0, ge=0, description="hours, at the rate the disk really fills, until only min_free_bytes are left"
    )
    species_quota: dict[str, float] = Field(
        default_factory=dict,
        description="share of the evidence kept, 0 to 1, by species; the others share the rest equally",
    )
    require_copy: bool = Field(
        False, description="delete only what has a verified copy; lack of free space overrules it, age and size do not"
    )
    interval_s: float = Field(60.0, gt=0, description="seconds between two looks at the disk")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        for species, share in self.species_quota.items():
            if not 0 <= share <= 1:
                raise ValueError(f"species_quota of {species} must lie between 0 and 1, got {share}")
        if sum(self.species_quota.values()) > 1 + 1e-9:
            raise ValueError(f"species_quota must add up to 1 at most, got {sum(self.species_quota.values()):g}")
        return self

    def least_free_bytes(self, space: "DiskSpace") -> float:
        """Free space to leave on this disk."""
        if self.min_free_bytes is not None:
            return self.min_free_bytes
        if space.disk_bytes is None:
            return LEAST_FREE_BYTES
        return min(LEAST_FREE_BYTES, LEAST_FREE_SHARE * space.disk_bytes)

    def wanted_free_bytes(self, space: "DiskSpace") -> float:
        """Free space below which evidence is deleted."""
        return self.least_free_bytes(space) + self.min_headroom_hours * (space.fill_bytes_per_hour or 0.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """One event's evidence on the disk.

    Attributes:
        stem: its name.
        species: of the event.
        onset: UTC.
        size_bytes: of all its files.
        copied: whether a verified copy of all of them is elsewhere.
    """

    stem: str
    species: str
    onset: datetime
    size_bytes: int
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Deletion:
    """A clip that is to go, and why."""

    clip: Kept
    cause: Cause


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """What is free, how fast it becomes less, and how large the disk is; None: not known yet."""

    free_bytes: int
    fill_bytes_per_hour: float | None = None
    disk_bytes: int | None = None

    def headroom_hours(self, rule: EvidenceRetention) -> float:
        """Hours until only the least free space is left; infinite while the disk does not fill."""
        left = max(0.0, self.free_bytes - rule.least_free_bytes(self))
        return left / self.fill_bytes_per_hour if self.fill_bytes_per_hour else inf


def deletions(
    kept: Sequence[Kept], space: DiskSpace, *, rule: EvidenceRetention, now: datetime
) -> tuple[Deletion, ...]:
    """What is to be deleted, in this order; no more than is needed.

    Args:
        kept: all evidence there is.
        space: of the disk it lies on.
        rule: the site's word.
        now: UTC.
    """
    free_to_go = {clip.stem for clip in kept if clip.copied or not rule.require_copy}
    by_age = sorted(kept, key=lambda clip: (clip.onset, clip.stem))
    oldest = None if rule.max_age_days is None else now - timedelta(days=rule.max_age_days)
    too_old = {clip.stem for clip in kept if oldest and clip.onset < oldest} & free_to_go
    aged = [clip for clip in by_age if clip.stem in too_old]
    rest = [clip for clip in by_age if clip.stem not in too_old]
    room = _Room.needed(rest, replace(space, free_bytes=space.free_bytes + _bytes(aged)), rule=rule)
    return (*(Deletion(clip, "age") for clip in aged), *_until_there_is(room, rest, free_to_go, rule.species_quota))


@dataclass(frozen=True, slots=True)
class _Room:
    """Bytes to be freed.

    Attributes:
        size_bytes: to keep to max_bytes.
        free_bytes: for min_free_bytes.
        headroom_bytes: for min_free_bytes and the hours of headroom, reckoned from the fill rate.
    """

    size_bytes: float
    free_bytes: float
    headroom_bytes: float

    @property
    def hard_bytes(self) -> float:
        """What no reckoning is needed for."""
        return max(self.size_bytes, self.free_bytes)

    @classmethod
    def needed(cls, kept: Sequence[Kept], space: DiskSpace, *, rule: EvidenceRetention) -> Self:
        """What is over max_bytes, and what is short of the free space wanted."""
        over = 0 if rule.max_bytes is None else _bytes(kept) - rule.max_bytes
        least, wanted = rule.least_free_bytes(space), rule.wanted_free_bytes(space)
        return cls(over, least - space.free_bytes, wanted - space.free_bytes)


def _until_there_is(
    room: _Room, by_age: Sequence[Kept], free_to_go: set[str], quota: Mapping[str, float]
) -> Iterator[Deletion]:
    freed, gone = 0, set[str]()
    any_bytes = max(room.size_bytes, room.headroom_bytes)
    allowed = _allowances(by_age, max(0.0, _bytes(by_age) - any_bytes), quota)
    loose = [clip for clip in by_age if clip.stem in free_to_go]
    newest = {clip.species: clip.stem for clip in by_age}
    steps: tuple[tuple[Iterable[Kept], Cause | None, float], ...] = (
        (_over_quota(loose, by_age, allowed, set(newest.values())), "quota", any_bytes),
        ((clip for clip in loose if newest[clip.species] != clip.stem), None, any_bytes),
        (loose, None, room.hard_bytes),
        (by_age, "headroom", room.free_bytes),
    )
    for clips, cause, needed_bytes in steps:
        for clip in clips:
            if freed >= needed_bytes:
                break
            if clip.stem not in gone:
                yield Deletion(clip, cause or ("headroom" if freed < room.headroom_bytes else "size"))
                gone.add(clip.stem)
                freed += clip.size_bytes


def _allowances(kept: Sequence[Kept], budget_bytes: float, quota: Mapping[str, float]) -> dict[str, float]:
    """Bytes each species may hold of so many; without a quota it has an equal part of what is left."""
    present = {clip.species for clip in kept}
    others = present - quota.keys()
    left = max(0.0, 1.0 - sum(quota[species] for species in present & quota.keys()))
    equal = left / len(others) if others else 0.0
    return {species: quota.get(species, equal) * budget_bytes for species in present}


def _over_quota(
    loose: Sequence[Kept], kept: Sequence[Kept], allowed: Mapping[str, float], spared: set[str]
) -> Iterator[Kept]:
    """Clips beyond each species' allowance, common species first, oldest clips first."""
    clips = {species: [c for c in kept if c.species == species] for species in allowed}
    for species in sorted(clips, key=lambda name: (-len(clips[name]), name)):
        held = _bytes(clips[species])
        for clip in loose:
            if held <= allowed[species]:
                break
            if clip.species == species and clip.stem not in spared:
                yield clip
                held -= clip.size_bytes


def _bytes(clips: Iterable[Kept]) -> int:
    return sum(clip.size_bytes for clip in clips)


class FillRate:
    """How fast a disk fills, whoever writes: what became less, and what was deleted here meanwhile."""

    def __init__(self) -> None:
        self._seen = deque[tuple[float, float]]()  # monotonic seconds, bytes written since the start
        self._free_bytes: int | None = None

    def observe(self, now_s: float, *, free_bytes: int, deleted_bytes: int) -> float | None:
        """Take a look at the disk.

        Args:
            now_s: on a monotonic clock.
            free_bytes: before anything is deleted in this round.
            deleted_bytes: deleted here since the last look.

        Returns:
            Bytes per hour, 0 if it does not fill; None before RATE_LEAST_S have passed.
        """
        before = self._free_bytes if self._free_bytes is not None else free_bytes
        written = self._seen[-1][1] if self._seen else 0.0
        self._seen.append((now_s, written + before + deleted_bytes - free_bytes))
        self._free_bytes = free_bytes
        while now_s - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        if last_s - first_s < RATE_LEAST_S:
            return None
        return max(0.0, (last - first) / (last_s - first_s) * 3600)


@dataclass(frozen=True, slots=True)
class DiskVerdict:
    """Whether the disk is low, and whether evidence has stopped, with the reason as a sentence."""

    low: bool = False
    stopped: bool = False
    detail: str = ""

    def after(self, space: DiskSpace, *, rule: EvidenceRetention, fault: str | None) -> "DiskVerdict":
        """The next verdict, with hysteresis.

        Args:
            space: after the deletions.
            rule: the site's word.
            fault: why the folder cannot be written at all; None if it can.
        """
        wanted = rule.wanted_free_bytes(space)
        low = space.free_bytes < wanted * (1.0 if self.low else LOW_SHARE)
        least = rule.least_free_bytes(space) * (1.0 if self.stopped else STOP_SHARE)
        stopped = fault is not None or space.free_bytes < least
        return DiskVerdict(low, stopped, fault or _detail(space, wanted))


def _detail(space: DiskSpace, wanted_bytes: float) -> str:
    return (
        f"{space.free_bytes / 1e9:.2f} GB free, {wanted_bytes / 1e9:.2f} GB wanted; "
        "free some space, or lower the evidence's max_bytes, min_free_bytes or min_headroom_hours"
    )
