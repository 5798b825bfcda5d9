"""Overload: what a worker does when images come faster than it can judge them. Pure.

First batches grow, then the hop coarsens, then the oldest are shed, one rung after the other. A rung
is climbed when images wait too long and what waits does not shrink: after an outage a worker that
catches up judges everything, however long that takes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, Literal, TypeAlias

from seacanary.cluster.envelope import ImageEnvelope
from seacanary.cluster.section import WorkerSection
from seacanary.contract import ModelContract

# A rung is left when images wait less than this share of what it takes to climb it.
RELEASE: Final = 0.5
# Catching up means that waiting gets shorter by this share of the time that passes.
CATCHING_UP: Final = 0.05
# How long it is watched before the next rung is climbed, as a share of coarsen_after_s.
PATIENCE: Final = 1 / 3
# A partition of which nothing has come for so long was another's meanwhile, or is idle.
FORGOTTEN_AFTER_S: Final = 60.0
# An image that is older when the brokers get it comes out of a spool or a recording; a live one takes seconds.
LATE_S: Final = 60.0

Spared: TypeAlias = Literal["skipped", "shed"]


class Rung(IntEnum):
    """How far a worker goes. The number is the metric's."""

    KEEPING_UP = 0
    LARGER_BATCHES = 1
    EVERY_SECOND = 2
    EVERY_FOURTH = 3
    SHEDDING = 4


# Of so many images of a hydrophone one is judged; 0: none. What has waited at a station for hours waits for nobody,
# and goes first: whatever an edge drains, no live image of others is shed for it.
_LIVE: Final = {Rung.EVERY_SECOND: 2, Rung.EVERY_FOURTH: 4, Rung.SHEDDING: 0}
_LATE: Final = {Rung.EVERY_SECOND: 4, Rung.EVERY_FOURTH: 0, Rung.SHEDDING: 0}


@dataclass(frozen=True, slots=True)
class _Seen:
    """How long the oldest image had waited, and when that was."""

    now_s: float
    waiting_s: float


class Overload:
    """The rung that one partition is on."""

    def __init__(self, section: WorkerSection) -> None:
        self.rung = Rung.KEEPING_UP
        self._patience_s = PATIENCE * section.coarsen_after_s
        self._after_s = {
            Rung.LARGER_BATCHES: section.grow_after_s,
            Rung.EVERY_SECOND: section.coarsen_after_s,
            Rung.EVERY_FOURTH: 2 * section.coarsen_after_s,
            Rung.SHEDDING: section.shed_after_s,
        }
        self._since: _Seen | None = None
        self._latest_s = 0.0

    def seen(self, waiting_s: float, *, now_s: float) -> Rung:
        """Take note of a batch.

        Args:
            waiting_s: since the brokers took its oldest image.
            now_s: a clock that never goes back.

        Returns:
            The rung to treat it by.
        """
        now = _Seen(now_s, waiting_s)
        if now_s - self._latest_s > FORGOTTEN_AFTER_S:
            self.rung, self._since = Rung.KEEPING_UP, None
        self._latest_s = now_s
        if self._descends(now) or self._since is None:
            self._since = now
        elif now_s - self._since.now_s >= self._patience_s or self.rung is Rung.KEEPING_UP:
            self._climb(now, self._since)
        return self.rung

    def is_forgotten(self, now_s: float) -> bool:
        """Whether nothing has come for so long that it says nothing any more."""
        return now_s - self._latest_s > FORGOTTEN_AFTER_S

    def _descends(self, now: _Seen) -> bool:
        before = self.rung
        while self.rung and now.waiting_s < RELEASE * self._after_s[self.rung]:
            self.rung = Rung(self.rung - 1)
        return self.rung is not before

    def _climb(self, now: _Seen, since: _Seen) -> None:
        """One rung at most. Larger batches cost nobody anything, and are not waited for."""
        if self.rung is Rung.SHEDDING:
            return
        above = Rung(self.rung + 1)
        shorter_s = CATCHING_UP * (now.now_s - since.now_s)
        grows = above is Rung.LARGER_BATCHES or now.waiting_s > since.waiting_s - shorter_s
        if now.waiting_s >= self._after_s[above] and grows:
            self.rung = above
        if self.rung is above or above is not Rung.LARGER_BATCHES:
            self._since = now


def spared(image: ImageEnvelope, rung: Rung, *, appended: datetime, contract: ModelContract) -> Spared | None:
    """What becomes of an image instead of being judged; None: it is judged.

    The image and the rung alone decide, not what came before: who judges it again after a takeover
    skips the same ones, as long as it is on the same rung.

    Args:
        image: the next of its hydrophone.
        rung: of its partition.
        appended: when the brokers took it.
        contract: the model's, for its hop.
    """
    keeps = (_LATE if is_late(image, appended) else _LIVE).get(rung, 1)
    if keeps == 0:
        return "shed"
    return "skipped" if hops_before(image, contract) % keeps else None


def is_late(image: ImageEnvelope, appended: datetime) -> bool:
    """Whether it has waited elsewhere before the brokers got it; a station's wrong clock, if known, is allowed for."""
    seconds = (image.end_sample - image.first_sample) / image.sample_rate_hz + (image.clock.broker_ahead_s or 0.0)
    return appended - image.start > timedelta(seconds=LATE_S + seconds)


def hops_before(image: ImageEnvelope, contract: ModelContract) -> int:
    """How many hops of the model lie before its window in the stream, to the nearest."""
    model_sample, hop = image.first_sample * contract.sample_rate_hz, image.sample_rate_hz * contract.hop_samples
    return (2 * model_sample + hop) // (2 * hop)
