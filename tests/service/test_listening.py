"""The whole path from blocks to events, with a real ONNX stand-in model and a quick 8 kHz stream."""

import asyncio
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fakes import EPOCH, ScriptedSource, blocks_of, tiny_contract, write_tiny_model
from seacanary.audio import AudioBlock, read_only
from seacanary.batching import BatchingSection
from seacanary.detection import Detector, DetectorSection
from seacanary.events import PresenceEvent
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.ledger import LedgerTotals
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceRule, PresenceSection

RATE_HZ = 8000
PRESENCE = PresenceSection(rule=PresenceRule(hold_s=0.5, update_s=5.0))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(DetectorSection(path=write_tiny_model(tmp_path_factory.mktemp("model"))))


def make(name: str) -> Hydrophone:
    return Hydrophone(
        name, station="test", contract=tiny_contract(), presence=PRESENCE, guard=GuardSection(), pad_at_end=True
    )


def listen(
    detector: Detector, sources: Sequence[Sequence[AudioBlock]], *, queue: int = 8, patient: bool = True
) -> tuple[list[PresenceEvent], list[Detection], dict[str, LedgerTotals]]:
    events: list[PresenceEvent] = []
    detections: list[Detection] = []

    async def tell(conclusion: Conclusion) -> None:
        events.extend(conclusion.events)
        if isinstance(conclusion.item, Detection):
            detections.append(conclusion.item)

    feeds = [Feed(f"s{i}", ScriptedSource(blocks), make, patient) for i, blocks in enumerate(sources)]
    batching = BatchingSection(max_windows=3, deadline_s=0, queue_windows=queue)
    listening = Listening(feeds, detector=detector, batching=batching, metrics=Metrics(), tell=tell)
    asyncio.run(listening.run())
    return events, detections, {n: h.intake.ledger.totals for n, h in listening.hydrophones.items()}


def calls(seconds: float, *, loud: Sequence[tuple[float, float]], seed: int = 0) -> NDArray[np.float32]:
    """Quiet noise with loud stretches (start_s, end_s), which the stand-in model takes for calls."""
    pcm = np.random.default_rng(seed).normal(0, 0.01, round(seconds * RATE_HZ)).astype(np.float32)
    for start_s, end_s in loud:
        pcm[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)] = 0.9
    return pcm


BOUTS = calls(6.0, loud=[(0.45, 1.0), (2.4, 2.9), (3.0, 3.2), (5.6, 6.0)])


def test_calls_become_presences_with_onsets_to_the_column(detector: Detector) -> None:
    events, _, ledgers = listen(detector, [blocks_of(BOUTS, [1000] * 20)])
    beluga = [e for e in events if e.species == "beluga"]
    assert [(e.kind, e.reason) for e in beluga] == [
        ("started", None),
        ("ended", "quiet"),
        ("started", None),
        ("ended", "quiet"),
        ("started", None),
        ("ended", "stream_ended"),
    ]
    onsets = [e.onset_sample / RATE_HZ for e in beluga if e.kind == "started"]
    assert onsets == pytest.approx([0.45, 2.4, 5.6], abs=64 / RATE_HZ)
    offsets = [(e.offset_sample or 0) / RATE_HZ for e in beluga if e.kind == "ended"]
    assert offsets == pytest.approx([1.0, 3.2, 6.0], abs=64 / RATE_HZ)
    assert ledgers["h1"].balanced
    assert (ledgers["h1"].analysed, ledgers["h1"].pending) == (BOUTS.size, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 9000), max_size=40))
def test_events_and_ledger_do_not_depend_on_how_the_audio_arrived(detector: Detector, sizes: list[int]) -> None:
    assert listen(detector, [blocks_of(BOUTS, sizes)])[::2] == listen(detector, [blocks_of(BOUTS, [])])[::2]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, BOUTS.size - 1), st.integers(1, 4000)), max_size=6))
def test_gaps_anywhere_balance_and_no_window_straddles_one(detector: Detector, cuts: list[tuple[int, int]]) -> None:
    kept = np.ones(BOUTS.size, bool)
    for first, length in cuts:
        kept[first : first + length] = False
    edges = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False]))))
    blocks = [
        AudioBlock("h1", read_only(BOUTS[first:end].copy()), int(first), RATE_HZ, EPOCH)
        for first, end in edges.reshape(-1, 2)
    ]
    events, detections, ledgers = listen(detector, [blocks])
    for detection in detections:
        assert kept[detection.first_sample : detection.end_sample].all()
    if blocks:
        totals = ledgers["h1"]
        assert totals.balanced
        assert totals.captured == kept.sum()
        assert totals.pending == totals.shed == 0
    kinds = [e.kind for e in events if e.species == "beluga"]
    assert kinds[::2] == ["started"] * len(kinds[::2])
    assert kinds[1::2] == ["ended"] * len(kinds[::2])


def test_hydrophones_do_not_disturb_each_other(detector: Detector) -> None:
    quiet = calls(6.0, loud=[], seed=2)
    together, _, ledgers = listen(
        detector, [blocks_of(BOUTS, [777] * 60), blocks_of(quiet, [1300] * 40, hydrophone="h2")]
    )
    alone, _, _ = listen(detector, [blocks_of(BOUTS, [])])
    assert together == alone
    assert all(totals.balanced and not totals.pending for totals in ledgers.values())


def test_what_inference_has_no_time_for_is_shed_counted_and_unobserved(detector: Detector) -> None:
    events, detections, ledgers = listen(detector, [blocks_of(BOUTS, [])], queue=2, patient=False)
    totals = ledgers["h1"]
    assert totals.shed > 0
    assert totals.balanced
    assert totals.pending == 0
    assert len(detections) < 90
    assert not any(e.reason == "quiet" for e in events)


def test_a_model_that_fails_leaves_windows_unobserved_and_the_station_listening(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = detector.detect, iter([True, True, False, True])

    def flaky(windows: object) -> list[Detection]:
        if next(failures, False):
            raise RuntimeError("device lost")
        return real(windows)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr(detector, "detect", flaky)
    _, detections, ledgers = listen(detector, [blocks_of(BOUTS, [])])
    assert detections
    assert ledgers["h1"].unobserved > 0
    assert ledgers["h1"].balanced
    assert ledgers["h1"].pending == 0


def test_who_listens_along_hears_every_block_before_it_is_analysed(detector: Detector) -> None:
    blocks, heard = blocks_of(BOUTS, [1000] * 20), list[AudioBlock]()

    class Neighbour:
        @property
        def has_room(self) -> bool:
            return len(heard) % 3 != 0 or next(asked) > 2  # makes the feed wait now and then

        def hear(self, block: AudioBlock, *, live: bool) -> None:
            assert not live
            heard.append(block)

    asked = itertools.count()

    async def tell(_: Conclusion) -> None:
        assert heard

    listening = Listening(
        [Feed("s", ScriptedSource(blocks), make, patient=True)],
        detector=detector,
        batching=BatchingSection(),
        metrics=Metrics(),
        tell=tell,
        audience=Neighbour(),
    )
    asyncio.run(listening.run())
    assert heard == list(blocks)
