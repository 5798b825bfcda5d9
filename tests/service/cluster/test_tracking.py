"""Images through infer and track, without Kafka: the station's events, however often records come and wherever."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from cluster_scene import GUARD, PRESENCE, RUN, Scene, by_id, make_scene
from seacanary.cluster.clock_watch import ClockState
from seacanary.cluster.envelope import DetectionEnvelope, EdgeClock, EndEnvelope, Envelope
from seacanary.cluster.envelope_codec import decode, encode
from seacanary.cluster.fleet_counting import BookState
from seacanary.cluster.inferring import Inferring
from seacanary.cluster.state import RUNS_REMEMBERED, TrackState, TrackStateRefused
from seacanary.cluster.tracking import Tracking, WrongContract
from seacanary.detection import DetectorSection
from seacanary.events import ConditionEvent, PresenceEvent
from seacanary.image_detection import ImageJudge
from seacanary.metrics import Metrics


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("model"), seconds=20.0)


@pytest.fixture(scope="module")
def detections(scene: Scene) -> list[Envelope]:
    """What infer sends on, hydrophones interleaved, through bytes and back."""
    judge = ImageJudge.load(DetectorSection(path=scene.model, sessions=1))
    inferring = Inferring(judge, Metrics())
    turns = itertools.zip_longest(*scene.sent.values())
    items = [inferring.read(encode(item)) for turn in turns for item in turn if item is not None]
    said = inferring.conclude(items)
    judge.close()
    return [decode(encode(item)) for item in said]


class Workers:
    """Some Trackings over one Table."""

    def __init__(self, scene: Scene, count: int = 1) -> None:
        contract = ImageJudge.load(DetectorSection(path=scene.model, sessions=1)).contract
        self.trackings = [Tracking(contract, presence=PRESENCE, guard=GUARD) for _ in range(count)]
        self.table: dict[str, bytes] = {}
        self.events: list[PresenceEvent] = []
        self.conditions: list[ConditionEvent] = []
        self.repeated = 0

    def take(self, item: Any, *, worker: int = 0, stores: bool = True) -> None:
        """One record at one worker; one that does not store has been killed in time."""
        step = self.trackings[worker].take(item, stored=self.table.get(item.hydrophone))
        if step is None:
            self.repeated += 1
            return
        self.events += step.events
        self.conditions += step.conditions
        if stores:
            self.table[item.hydrophone] = step.stored


def test_the_events_are_the_stations(scene: Scene, detections: list[Envelope]) -> None:
    workers = Workers(scene)
    for item in detections:
        workers.take(item)
    assert len(workers.events) > 30
    assert {event.kind for event in workers.events} == {"started", "updated", "ended"}
    assert by_id(workers.events) == by_id(scene.events)
    for name in scene.sent:
        assert [e for e in workers.events if e.hydrophone == name] == [e for e in scene.events if e.hydrophone == name]


def test_a_hydrophone_may_move_between_workers_at_any_record(scene: Scene, detections: list[Envelope]) -> None:
    workers = Workers(scene, 3)
    random = np.random.default_rng(2)
    for item in detections:
        workers.take(item, worker=int(random.integers(3)))
    assert workers.events == _in_order(scene, detections)


def test_records_that_come_again_change_nothing(scene: Scene, detections: list[Envelope]) -> None:
    workers = Workers(scene)
    random = np.random.default_rng(3)
    for place, item in enumerate(detections):
        workers.take(item)
        if random.random() < 0.02:
            for again in detections[max(0, place - 60) : place + 1]:
                workers.take(again)
    assert workers.repeated > 300
    assert workers.events == _in_order(scene, detections)


def test_a_record_that_comes_again_after_a_takeover_has_its_state_stored_again(
    scene: Scene, detections: list[Envelope]
) -> None:
    """A disk may hold a state that never reached the changelog; the record must not be acknowledged without it."""
    workers = Workers(scene, 2)
    own: list[Any] = [item for item in detections if item.hydrophone == "h0"][:9]
    for item in own:
        workers.take(item)
    stored = workers.table["h0"]
    back = workers.trackings[1]
    first, second = (back.take(item, stored=stored) for item in own[:2])
    assert first is not None
    assert (first.events, first.stored) == ([], stored)
    assert second is None


def test_what_was_not_stored_is_concluded_again_with_the_same_events(scene: Scene, detections: list[Envelope]) -> None:
    workers = Workers(scene, 2)
    random = np.random.default_rng(4)
    for item in detections:
        if random.random() < 0.3:
            workers.take(item, worker=int(random.integers(2)), stores=False)
        workers.take(item, worker=int(random.integers(2)))
    assert len(workers.events) > len(scene.events)
    assert by_id(workers.events) == by_id(scene.events)


def test_an_end_sent_again_does_not_end_what_began_since(scene: Scene, detections: list[Envelope]) -> None:
    own = [item for item in detections if item.hydrophone == "h0"]
    half = len(own) // 2
    end = EndEnvelope(
        station=own[0].station, run=own[0].run, number=own[half - 1].number, hydrophone="h0", reason="station_stopped"
    )
    once, twice = Workers(scene), Workers(scene)
    sent = [*own[: half - 1], end, *own[half:]]
    for place, item in enumerate(sent):
        once.take(item)
        twice.take(item)
        if place % 7 == 0 and place > half:
            twice.take(end)
    assert twice.repeated > 10
    assert once.events == twice.events


def test_silence_ends_only_presences_whose_hold_has_passed(scene: Scene, detections: list[Envelope]) -> None:
    started = next(e for e in scene.events if e.hydrophone == "h0")
    own = [item for item in detections if item.hydrophone == "h0"]
    for silent_s, ends in ((0.5, False), (0.9, True)):
        workers = Workers(scene)
        for item in own:
            workers.take(item)
            if workers.events:
                break
        assert [e.id for e in workers.events if e.species == started.species] == [started.id]
        workers.take(_silence(own[-1].number, own[0], silent_s=silent_s))
        assert [e.reason for e in workers.events if e.reason] == (["lost_coverage"] if ends else [])


def test_a_detection_of_another_model_is_refused(scene: Scene, detections: list[Envelope]) -> None:
    item = next(item for item in detections if isinstance(item, DetectionEnvelope))
    with pytest.raises(WrongContract, match="same model everywhere"):
        Workers(scene).take(replace(item, contract_sha256="0" * 64))


def test_a_table_that_cannot_be_read_is_not_taken_for_empty(scene: Scene, detections: list[Envelope]) -> None:
    workers = Workers(scene)
    workers.table["h0"] = b"\0"
    with pytest.raises(TrackStateRefused):
        workers.take(next(item for item in detections if item.hydrophone == "h0"))


def test_states_know_which_of_them_is_the_newer() -> None:
    run, next_run = RUN, RUN + timedelta(days=1)
    chain = [TrackState()]
    for at, number in ((run, 0), (run, 1), (run, 7), (next_run, 0), (next_run, 3)):
        chain.append(chain[-1].after(at, number, follower={}, hours=BookState(), clock=ClockState()))
    for place, state in enumerate(chain):
        assert [state.is_before(other) for other in chain] == [other > place for other in range(len(chain))]


def test_runs_are_forgotten_oldest_first() -> None:
    state = TrackState()
    runs = [f"2026-05-{day:02}T00:00:00Z" for day in range(1, RUNS_REMEMBERED + 2)]
    for run in runs:
        at = TrackState.model_validate({"concluded": [{"run": run, "number": 0}]}).concluded[0].run
        state = state.after(at, 5, follower={}, hours=BookState(), clock=ClockState())
    again = TrackState.decoded(state.encoded())
    assert again == state
    known = [again.has(concluded.run, 5) for concluded in again.concluded]
    assert known == [True] * RUNS_REMEMBERED
    assert not again.has(again.concluded[-1].run, 6)


def _silence(number: int, like: Envelope, *, silent_s: float) -> EndEnvelope:
    return EndEnvelope(
        station=like.station, run=like.run, number=number, hydrophone="h0", reason="lost_coverage", silent_s=silent_s
    )


def _in_order(scene: Scene, detections: list[Envelope]) -> list[PresenceEvent]:
    workers = Workers(scene)
    for item in detections:
        workers.take(item)
    assert by_id(workers.events) == by_id(scene.events)
    return workers.events


def with_clock(item: Envelope, clock: EdgeClock) -> Envelope:
    return replace(item, clock=clock) if isinstance(item, DetectionEnvelope) else item


def test_a_wrong_clock_is_told_of_each_hydrophone_and_alters_no_presence(
    scene: Scene, detections: list[Envelope]
) -> None:
    """Over takeovers and repeats too: an hour off in the middle third, right again in the last."""
    third = len(detections) // 3
    wrong, right = EdgeClock(True, 0.01, -3600.0), EdgeClock(True, 0.01, 0.0)
    workers = Workers(scene, 2)
    for place, item in enumerate(detections):
        said = with_clock(item, wrong if third <= place < 2 * third else right)
        workers.take(said, worker=place // 7 % 2, stores=place % 5 != 0)
        workers.take(said, worker=place // 7 % 2)
    assert by_id(workers.events) == by_id(scene.events)
    told = {event.id: event for event in workers.conditions}
    assert {(event.hydrophone, event.change) for event in told.values()} == {
        (name, change) for name in scene.sent for change in ("begun", "ended")
    }
    assert len(told) == 2 * len(scene.sent)
    assert all("3600 s ahead" in event.detail for event in told.values() if event.change == "begun")
