import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from carriers import ListCarrier, away, first_away
from cluster_samples import image
from seacanary.cluster.image_spool import FILE, ImageSpool
from seacanary.cluster.shipping import Receipt, Shipping
from seacanary.cluster.spooling import Spooling
from seacanary.publishers.circuit import DeliveryPolicy

QUICK = DeliveryPolicy(first_wait_s=0.001, longest_wait_s=0.002)


@asynccontextmanager
async def shipping(
    folder: Path, carrier: ListCarrier, on_reach: Callable[[bool], None] = lambda _: None
) -> AsyncIterator[Spooling]:
    """A spool that is being written and shipped."""
    spooling = Spooling(ImageSpool.open(folder, bound_bytes=10**8))
    tasks = [
        asyncio.create_task(spooling.run()),
        asyncio.create_task(Shipping(spooling, carrier, policy=QUICK, on_reach=on_reach).run()),
    ]
    try:
        async with asyncio.timeout(30):
            yield spooling
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await spooling.aclose()


async def all_sent(spooling: Spooling) -> None:
    await spooling.flush()
    while not spooling.is_empty:
        await asyncio.sleep(0.002)


async def test_what_is_put_arrives_in_order(tmp_path: Path) -> None:
    carrier = ListCarrier()
    async with shipping(tmp_path, carrier) as spooling:
        for place in range(30):
            await spooling.put(image(place, hydrophone=f"h{place % 3}"))
        await all_sent(spooling)
    assert [item.number for item in carrier.arrived] == sorted({item.number for item in carrier.arrived})
    assert len(carrier.arrived) == 30


async def test_brokers_that_fail_at_any_point_lose_nothing_and_reorder_nothing(tmp_path: Path) -> None:
    rng = random.Random(3)

    def maybe() -> None:
        if rng.random() < 0.3:
            away()

    carrier = ListCarrier(before=maybe, after=maybe)
    async with shipping(tmp_path, carrier) as spooling:
        for place in range(60):
            await spooling.put(image(place, hydrophone=f"h{place % 2}"))
            if place % 7 == 0:
                await spooling.flush()
        await all_sent(spooling)
    assert len(carrier.arrived) > 60  # some arrived though nobody said so
    for name in ("h0", "h1"):
        numbers = [item.number for item in carrier.once if item.hydrophone == name]
        places = [item.first_sample for item in carrier.once if item.hydrophone == name]
        assert places == sorted(places)
        assert len(numbers) == 30


async def test_a_part_that_arrived_is_not_sent_again(tmp_path: Path) -> None:
    class Half(ListCarrier):
        async def send(self, parcel):  # type: ignore[no-untyped-def]  # as ListCarrier's
            arrived = parcel[: max(1, len(parcel) // 2)]
            self.arrived.extend(arrived)
            return Receipt(arrived)

    carrier = Half()
    async with shipping(tmp_path, carrier) as spooling:
        for place in range(20):
            await spooling.put(image(place))
        await all_sent(spooling)
    assert [item.number for item in carrier.arrived] == list(range(1, 21))


async def test_an_outage_is_told_once_and_its_end_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reached: list[bool] = []
    carrier = ListCarrier(before=first_away(5))
    with caplog.at_level("INFO"):
        async with shipping(tmp_path, carrier, reached.append) as spooling:
            await spooling.put(image(0))
            await all_sent(spooling)
            await spooling.put(image(1))
            await all_sent(spooling)
    assert reached == [False, True]
    assert [r.message for r in caplog.records if "brokers" in r.message] == [
        "brokers away, images wait on disk: nobody answers",
        "brokers reached",
    ]


async def test_what_did_not_arrive_waits_for_the_next_process(tmp_path: Path) -> None:
    async with shipping(tmp_path, ListCarrier(before=away)) as spooling:
        for place in range(4):
            await spooling.put(image(place))
        await spooling.flush()
    carrier = ListCarrier()
    async with shipping(tmp_path, carrier) as spooling:
        await all_sent(spooling)
    assert [item.number for item in carrier.arrived] == [1, 2, 3, 4]


async def test_a_disk_that_fails_for_a_while_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = ListCarrier()
    async with shipping(tmp_path, carrier) as spooling:
        full = sqlite3.connect(tmp_path / FILE)
        full.execute("CREATE TRIGGER full BEFORE INSERT ON envelopes BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        full.commit()
        await spooling.put(image(0))
        await spooling.put(image(1))
        while spooling.disk_failures < 2:
            await asyncio.sleep(0.01)
        assert not carrier.arrived
        full.execute("DROP TRIGGER full")
        full.commit()
        full.close()
        await all_sent(spooling)
    assert [item.number for item in carrier.arrived] == [1, 2]
    assert len([r for r in caplog.records if "cannot be spooled" in r.message]) == 1
