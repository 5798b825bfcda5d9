import logging

from seacanary.cluster.log_limits import MOST_KINDS, LogLimit


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def record(text: str, *args: object, name: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, text, args, None)


def test_what_repeats_itself_comes_once_a_while_with_a_count() -> None:
    clock = Clock()
    limit = LogLimit("aiokafka", every_s=30, monotonic_s=clock)
    passed = [limit.filter(record("no broker %s", n)) for n in range(5)]
    assert passed == [True, False, False, False, False]
    assert limit.filter(record("something else"))
    clock.now_s += 31
    again = record("no broker %s", 9)
    assert limit.filter(again)
    assert again.getMessage() == "no broker 9 (and 4 more like it)"


def test_other_loggers_are_left_alone() -> None:
    limit = LogLimit("aiokafka")
    assert all(limit.filter(record("same", name=name)) for name in ("seacanary", "aiokafkaesque") for _ in range(3))


def test_kinds_are_not_remembered_without_end() -> None:
    limit = LogLimit("aiokafka")
    for n in range(3 * MOST_KINDS):
        assert limit.filter(record(f"kind {n}"))
    assert len(limit._let_through_s) <= MOST_KINDS
