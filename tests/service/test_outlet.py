import threading
import time

from seacanary.outlet import Outlet


def test_everything_goes_out_in_order() -> None:
    seen: list[int] = []
    outlet = Outlet(seen.append, most=1000)
    for number in range(500):
        outlet.put(number)
    outlet.close(5)
    assert seen == list(range(500))
    assert outlet.dropped == 0


def test_a_sink_that_blocks_holds_nobody_up_and_what_is_dropped_is_counted() -> None:
    free, seen = threading.Event(), []

    def sink(number: int) -> None:
        free.wait(10)
        seen.append(number)

    outlet = Outlet(sink, most=3)
    began = time.monotonic()
    for number in range(100):
        outlet.put(number)
    outlet.close(0.05)
    assert time.monotonic() - began < 5
    free.set()
    outlet.close(5)
    assert seen[-3:] == [97, 98, 99]
    assert len(seen) + outlet.dropped == 100


def test_a_reader_that_has_gone_is_not_written_to_again() -> None:
    tried: list[int] = []

    def sink(number: int) -> None:
        tried.append(number)
        raise BrokenPipeError

    outlet = Outlet(sink, most=10)
    outlet.put(1)
    outlet.close(5)
    outlet.put(2)
    assert tried == [1]
    assert outlet.dropped == 2
