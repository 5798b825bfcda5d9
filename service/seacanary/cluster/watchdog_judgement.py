"""Judging whether a worker is stuck, from looks at the brokers and at the worker. No I/O, no clock in here.

Faust is known to stop silently (its issues 175, 523, 629): its consumer reads no more while its heartbeat goes on;
it comes back from an outage without a place in the group; a rebalance ends with partitions that nobody has.
Each of these shows at the brokers as records that wait while offsets stand still.

Time counts only between looks that follow one another as they should, and for what the brokers say only while they
answer: neither a broker outage nor a pause of the whole process (SIGSTOP, a machine asleep) makes anybody stuck.
What has stood still keeps its count over an outage. A worker that does not come back afterwards is therefore found.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

# A loop that has been quiet for this share of the limit is why something else stands still.
LOOP_EXPLAINS = 0.5
# What others may do meanwhile: of one partition, that its stage works off a long backlog of other partitions first;
# of partitions without an owner, a rebalance, in which Faust waits for its members for 60 s.
PARTITION_PATIENCE = 5
OWNER_PATIENCE = 2

Reason = Literal["loop", "outside", "standstill", "partition", "idle"]


class Place(NamedTuple):
    """A partition of the topic that a stage reads."""

    stage: str
    partition: int

    def __str__(self) -> str:
        return f"{self.stage}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition has been worked off.

    Attributes:
        begin: offset of the oldest record that is still there.
        end: offset of the record that comes next.
        committed: offset of the first record that is not acknowledged; None: none ever was.
        owner: client id of the group's member that has it; None: nobody.
    """

    begin: int
    end: int
    committed: int | None = None
    owner: str | None = None

    @property
    def next(self) -> int:
        """Offset of the oldest record that waits, if one does."""
        return max(self.begin, self.committed or 0)

    @property
    def waiting(self) -> int:
        """Records that are not acknowledged."""
        return max(0, self.end - self.next)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the brokers say.

    Attributes:
        standings: of the partitions of this worker's stages that have a leader.
        members: client ids of the group's members.
    """

    standings: Mapping[Place, Standing]
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """What the worker says of itself; one object, made on its loop.

    Attributes:
        beats: how often its loop has come round.
        taken: offset of the record that each partition's agent expects next.
        prepared: records read to be able to begin: of changelogs, and to fill a journal.
    """

    beats: int = 0
    taken: Mapping[Place, int] = field(default_factory=dict)
    prepared: int = 0


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why a worker cannot go on.

    Attributes:
        reason: of a small set, for metrics.
        places: where records wait.
        waiting: how many.
        quiet_s: how long nothing has moved, seconds that count.
    """

    reason: Reason
    places: tuple[Place, ...]
    waiting: int
    quiet_s: float

    def __str__(self) -> str:
        said = {
            "loop": "its event loop does not come round",
            "outside": "it is no member of the group, while brokers answer",
            "standstill": "nothing is taken or acknowledged there, while brokers answer",
            "partition": "nothing is acknowledged there, while other partitions may go on",
            "idle": "no worker has these partitions",
        }[self.reason]
        where = f"; {self.waiting} records wait in {', '.join(map(str, self.places))}" if self.places else ""
        return f"{said}, for {self.quiet_s:.0f} s{where}"


class _Suspicion(NamedTuple):
    """Something that may be stuck: it is, if its signature stays the same for too long."""

    reason: Reason
    key: Hashable
    signature: Hashable
    limit_s: float
    places: tuple[Place, ...] = ()


@dataclass(slots=True)
class _Stillness:
    signature: Hashable
    quiet_s: float = 0.0


class StuckJudge:
    """Gets looks in the order of their time, and says when it is enough."""

    def __init__(self, name: str, *, limit_s: float, longest_step_s: float) -> None:
        """Begin.

        Args:
            name: the worker's client id in the group.
            limit_s: how long nothing may move where records wait.
            longest_step_s: what counts between two looks at most: how far apart they are if all is well.
        """
        self._name, self._limit_s, self._longest_step_s = name, limit_s, longest_step_s
        self._latest_s: float | None = None
        self._still: dict[Hashable, _Stillness] = {}

    def judge(self, at_s: float, progress: Progress, answer: Answer | None) -> Stuck | None:
        """Take one look.

        Args:
            at_s: when, on a clock that never goes back.
            progress: the worker's word.
            answer: the brokers' word; None: they gave none.

        Returns:
            What is stuck, the worst of it; None: nothing is.
        """
        step_s = 0.0 if self._latest_s is None else min(at_s - self._latest_s, self._longest_step_s)
        self._latest_s = at_s
        loop = self._of_loop(progress)
        suspicions = [loop, *(self._of_answer(progress, answer) if answer else ())]
        found = [suspicion for suspicion in suspicions if self._is_due(suspicion, step_s)]
        if answer is not None:
            known = {suspicion.key for suspicion in suspicions}
            self._still = {key: still for key, still in self._still.items() if key in known}
        if not found:
            return None
        explained = self._still[loop.key].quiet_s >= LOOP_EXPLAINS * self._limit_s
        return self._stuck(loop if explained else found[0], answer)

    def quiet_s(self) -> float:
        """How long the most suspicious thing has stood still."""
        return max((still.quiet_s for still in self._still.values()), default=0.0)

    def _is_due(self, suspicion: _Suspicion, step_s: float) -> bool:
        still = self._still.get(suspicion.key)
        if still is None or still.signature != suspicion.signature:
            self._still[suspicion.key] = _Stillness(suspicion.signature)
            return False
        still.quiet_s += step_s
        return still.quiet_s >= suspicion.limit_s

    def _of_loop(self, progress: Progress) -> _Suspicion:
        return _Suspicion("loop", "loop", progress.beats, self._limit_s)

    def _of_answer(self, progress: Progress, answer: Answer) -> Iterator[_Suspicion]:
        if answer.standings and self._name not in answer.members:
            yield _Suspicion("outside", "outside", None, self._limit_s)
        ours = {place: standing for place, standing in answer.standings.items() if standing.owner == self._name}
        for stage in sorted({place.stage for place in ours}):
            yield from self._of_stage(stage, ours, progress)
        yield from self._of_partitions(ours, progress)
        yield from self._of_ownerless(answer, {place.stage for place in ours})

    def _of_stage(self, stage: str, ours: Mapping[Place, Standing], progress: Progress) -> Iterator[_Suspicion]:
        """Records wait, and no partition of the stage moves."""
        standings = {place: standing for place, standing in sorted(ours.items()) if place.stage == stage}
        waiting = tuple(place for place, standing in standings.items() if standing.waiting)
        if waiting:
            moves = [(place, s.committed, progress.taken.get(place)) for place, s in standings.items()]
            signature = (*moves, progress.prepared)
            yield _Suspicion("standstill", ("stage", stage), signature, self._limit_s, waiting)

    def _of_partitions(self, ours: Mapping[Place, Standing], progress: Progress) -> Iterator[_Suspicion]:
        """One partition is left out, or is worked on and never acknowledged."""
        limit_s = PARTITION_PATIENCE * self._limit_s
        for place, standing in ours.items():
            if standing.waiting:
                signature = (standing.committed, progress.prepared)
                yield _Suspicion("partition", place, signature, limit_s, (place,))

    def _of_ownerless(self, answer: Answer, own_stages: set[str]) -> Iterator[_Suspicion]:
        """Nobody has a partition. Who has nothing of its stage should; else the first of the members leaves."""
        is_first = self._name == min(answer.members, default=self._name)
        for place, standing in answer.standings.items():
            if standing.waiting and standing.owner is None and (is_first or place.stage not in own_stages):
                limit_s = OWNER_PATIENCE * self._limit_s
                yield _Suspicion("idle", ("idle", place), standing.committed, limit_s, (place,))

    def _stuck(self, suspicion: _Suspicion, answer: Answer | None) -> Stuck:
        quiet_s = self._still[suspicion.key].quiet_s
        standings = answer.standings if answer else {}
        waiting = sum(standings[place].waiting for place in suspicion.places)
        return Stuck(suspicion.reason, suspicion.places, waiting, quiet_s)
