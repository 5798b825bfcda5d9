"""WorkerHealth: ready with its share of the partitions, by Faust's word and by the brokers'."""

import pytest

from seacanary.cluster.watchdog_judgement import Answer, Place, Standing
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.cluster.worker_health import GroupState, WorkerHealth

ME, OTHER = "me", "other"
WORKING = GroupState({"infer": 2, "deliver": 0}, rebalancing=False, recovering=False)


def answer(owners: dict[Place, str | None], *members: str) -> Answer:
    return Answer({place: Standing(0, 10, 5, owner) for place, owner in owners.items()}, frozenset(members))


ALL_OWNED = answer({Place("infer", 0): ME, Place("infer", 1): ME, Place("deliver", 0): OTHER}, ME, OTHER)


def unready(group: GroupState, *looks: tuple[Answer | None, float]) -> tuple[str, ...]:
    health = WorkerHealth(WorkerConfig(), model_id="tiny")
    for look in looks:
        health.looked(*look)
    health.post(ME, group, [])
    assert health.read().is_alive
    return health.read().unready


def test_a_worker_is_ready_with_its_share_even_if_others_have_all_of_a_stage() -> None:
    assert unready(WORKING, (ALL_OWNED, 0.0)) == ()


def test_a_spare_worker_is_ready() -> None:
    spare = GroupState({"infer": 0}, rebalancing=False, recovering=False)
    assert unready(spare, (answer({Place("infer", 0): OTHER}, ME, OTHER), 0.0)) == ()


@pytest.mark.parametrize(
    ("group", "looks", "reason"),
    [
        (GroupState({"infer": 0}, rebalancing=False, recovering=False), [], "no partition is assigned to it yet"),
        (GroupState({"infer": 2}, rebalancing=True, recovering=False), [], "partitions are being shared out anew"),
        (GroupState({"infer": 2}, rebalancing=False, recovering=True), [], "tables are being restored from Kafka"),
        (WORKING, [(None, 0.0)], "no broker answers"),
        (
            WORKING,
            [(answer({Place("infer", 0): OTHER}, OTHER), 0.0)],
            "the brokers do not count it among the workers of its group",
        ),
        (
            WORKING,
            [(answer({Place("deliver", 0): None}, ME), 0.0)],
            "it has no partition of deliver, and nobody has 1 of them",
        ),
        (WORKING, [(ALL_OWNED, 31.0)], "records wait, and nothing has moved for 31 s"),
    ],
)
def test_a_worker_that_does_not_do_its_share_says_why(
    group: GroupState, looks: list[tuple[Answer | None, float]], reason: str
) -> None:
    assert unready(group, *looks) == (reason,)


def test_a_worker_that_waits_for_its_brokers_is_starting() -> None:
    health = WorkerHealth(WorkerConfig(), model_id="tiny").read()
    assert health.is_alive
    assert health.unready == ("it is starting",)
    assert health.details["roles"] == ["infer", "track", "deliver", "fleet"]
