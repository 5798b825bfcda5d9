"""The self-test with the model that ships: it follows the noise, and a station beside it never hears of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from event_samples import event
from fakes import EPOCH, ListPublisher
from seacanary.audio import AudioBlock
from seacanary.batching import BatchingSection, FeedEnded
from seacanary.detection import Detector, DetectorSection
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.journal import Journal
from seacanary.journalling import Journalling
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceSection
from seacanary.publishers.delivery import Delivery, DeliveryPolicy
from seacanary.selftest import SelfTest, SelfTestSection, Trial
from seacanary.simulation import Ambient, CallBouts, Recorder, Scene, Soundscape
from seacanary.sources import Source
from seacanary.sources.simulated import SimulatedSection, SimulatedSource

pytestmark = [pytest.mark.system, pytest.mark.slow]

RATE_HZ = 384_000
NONE = CallBouts(bouts_per_min=0)
STILL = Scene(seed=5, ambient=Ambient(wind_m_s=2, traffic=0.1), whistle=NONE, beluga_click=NONE, porpoise_click=NONE)
STORM = STILL.model_copy(
    update={"seed": 6, "ambient": Ambient(wind_m_s=20, traffic=1), "recorder": Recorder(self_noise_dbfs=-60)}
)


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    detector = Detector.load(DetectorSection(sessions=1))
    yield detector
    detector.close()


def made(detector: Detector, section: SelfTestSection) -> tuple[SelfTest, Metrics]:
    metrics = Metrics()
    test = SelfTest(
        section,
        detector=detector,
        presence=PresenceSection(),
        guard=GuardSection(),
        metrics=metrics,
        live_windows=lambda: 0,
    )
    return test, metrics


def recall(metrics: Metrics, call_type: str, hydrophone: str = "h1") -> float | None:
    labels = {"hydrophone": hydrophone, "call_type": call_type, "snr_db": "25"}
    return metrics.registry.get_sample_value("seacanary_selftest_recall_ratio", labels)


@pytest.mark.timeout(120)
async def test_recall_falls_when_the_simulated_noise_rises(detector: Detector) -> None:
    test, metrics = made(detector, SelfTestSection(snr_db=(25.0,), recall_over=4))
    position = 0
    recalls: list[dict[str, float | None]] = []
    for scene in (STILL, STORM):
        soundscape = Soundscape(scene, sample_rate_hz=RATE_HZ)
        for _ in range(12):
            samples = soundscape.render(5 * RATE_HZ).samples
            test.hear(AudioBlock("h1", samples, position, RATE_HZ, EPOCH))
            position += samples.size
            assert await test.once() is not None
        recalls.append({name: recall(metrics, name) for name in ("whistle", "beluga_click", "porpoise_click")})
    await test.aclose()
    still, storm = recalls
    # Of whistles the shipped model hears 6 of 8 at this level: four trials may well be two.
    assert (still["whistle"] or 0.0) >= 0.5
    for call_type in ("beluga_click", "porpoise_click"):
        assert (still[call_type] or 0.0) >= 0.75
        assert (storm[call_type] or 0.0) <= 0.25
    assert sum(r or 0.0 for r in storm.values()) < sum(r or 0.0 for r in still.values()) - 1


class Tapped:
    """A source whose blocks the self-test hears too."""

    def __init__(self, source: Source, test: SelfTest) -> None:
        self._source, self._test = source, test

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        async for block in self._source.blocks():
            self._test.hear(block)
            yield block

    async def aclose(self) -> None:
        await self._source.aclose()


@pytest.mark.timeout(120)
async def test_no_call_of_the_self_test_reaches_the_journal_or_a_publisher(detector: Detector, tmp_path: Path) -> None:
    """A station's stages live beside a self-test that hears its calls, on one detector, for half a minute."""
    section = SimulatedSection(hydrophones=("h1",), scene=STILL, sample_rate_hz=RATE_HZ, seconds=25)
    test, metrics = made(detector, SelfTestSection(snr_db=(25.0,)))
    publisher = ListPublisher()
    async with await Journal.open(tmp_path / "journal.db") as journal:
        journalling = Journalling(metrics, on_events=lambda _: None, give_up=lambda: False)
        feed = Feed("sea", Tapped(SimulatedSource(section), test), partial(station_hydrophone, detector), patient=False)

        async def take(conclusion: Conclusion) -> None:
            if not isinstance(conclusion.item, FeedEnded):
                await journalling.take(journal, conclusion.events, feed.hydrophone("h1"))

        batching = BatchingSection()
        listening = Listening([feed], detector=detector, batching=batching, metrics=metrics, tell=take)
        delivery = asyncio.create_task(
            Delivery(journal, publisher, policy=DeliveryPolicy(), on_change=lambda _: None).run()
        )
        trials = await trials_while(asyncio.create_task(listening.run()), test)
        states, head = await journal.states(), journal.head
        await journal.append([event(1)])  # what is journalled does get there
        await asyncio.wait_for(journal.wait_delivered(publisher.name, 1), 5)
        delivery.cancel()
    outcomes = Counter(trial.outcome for trial in trials)
    totals = feed.hydrophone("h1").intake.ledger.totals
    assert outcomes["heard"] >= 2
    assert head == 0
    assert [entry.event for entry in publisher.received] == [event(1)]
    assert not [key for key in states if "selftest" in key]
    assert totals.captured == 25 * RATE_HZ
    assert (totals.shed, totals.lost) == (0, 0)


def station_hydrophone(detector: Detector, name: str) -> Hydrophone:
    return Hydrophone(
        name,
        station="station",
        contract=detector.contract,
        presence=PresenceSection(),
        guard=GuardSection(),
        pad_at_end=False,
    )


async def trials_while(running: asyncio.Task[None], test: SelfTest) -> list[Trial]:
    """One trial after the other as long as there is live audio."""
    trials = []
    while not running.done():
        trial = await test.once()
        trials += [trial] if trial else []
        await asyncio.sleep(1.0)
    await running
    await test.aclose()
    return trials
