"""benchmarks.cluster sends what an edge would, reads rates and latencies rightly, and says what it measured."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.cluster import FLEETS, WORKERS, table
from benchmarks.cluster_bytes import (
    COMPRESSIONS,
    FILTERS,
    average,
    compared,
    entropy_bytes,
    given_the_previous,
    stored_bytes,
)
from benchmarks.cluster_load import Offered, headline
from benchmarks.cluster_overhead import Turn, overhead
from benchmarks.cluster_reading import (
    Appended,
    concluded_first_ms,
    deciding_windows,
    latencies,
    quantiles_s,
    rate_per_s,
)
from benchmarks.cluster_records import (
    BOUT_WINDOWS,
    CYCLE_WINDOWS,
    EPOCH,
    STATION,
    Records,
    envelope_of,
    is_calling,
    marked,
)
from benchmarks.cluster_stand_in import CALL_MARK, SleepingGpuStandIn
from benchmarks.cluster_takeover import takeover
from rich.console import Console

from fakes import tiny_contract
from seacanary.audio import Window
from seacanary.cluster.envelope import DetectionEnvelope, ImageEnvelope
from seacanary.cluster.envelope_codec import decode, encode
from seacanary.cluster.inferring import Inferring
from seacanary.cluster.tracking import Tracking
from seacanary.guard import GuardSection
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceRule, PresenceSection

CONTRACT = tiny_contract()
HOP, LENGTH, RATE_HZ = CONTRACT.hop_samples, CONTRACT.window_samples, CONTRACT.sample_rate_hz
SIDE = (sum(rows.count for rows in CONTRACT.transform.rows), CONTRACT.transform.columns)


def image(number: int) -> ImageEnvelope:
    window = Window("h0", np.zeros(LENGTH, np.float32), EPOCH, EPOCH, number * HOP, number * HOP + LENGTH, RATE_HZ)
    pixels = np.random.default_rng(number).integers(0, 64, SIDE, np.uint8)
    return envelope_of(window, pixels, CONTRACT, number)


@pytest.fixture(scope="module")
def records() -> Records:
    return Records.of([image(0), image(1), image(2)], CONTRACT)


def judged(records: Records, hydrophone: int, number: int) -> Appended:
    """A hydrophone's detection, appended 100 ms after its image, which comes every 500 ms."""
    key, value = records.record(hydrophone, number)
    inferring = Inferring(SleepingGpuStandIn(CONTRACT, None), Metrics())
    (said,) = inferring.conclude([inferring.read(value)])
    return Appended(0, number, 500 * number + 100, key, encode(said))


def test_a_record_is_what_an_edge_would_have_sent(records: Records) -> None:
    """Byte for byte what encode() makes of the same window."""
    key, value = records.record(3, 5)
    said = decode(value)
    assert isinstance(said, ImageEnvelope)
    assert key == f"{STATION}/h3".encode()
    assert (said.hydrophone, said.number, said.first_sample, said.end_sample) == ("h3", 5, 5 * HOP, 5 * HOP + LENGTH)
    assert encode(said) == value


def test_records_survive_the_way_to_another_process(records: Records) -> None:
    again = Records.model_validate_json(records.model_dump_json())
    assert again.record(1, 2) == records.record(1, 2)


def test_the_stand_in_hears_calls_where_they_were_put(records: Records) -> None:
    heard = []
    for number in range(CYCLE_WINDOWS):
        said = decode(judged(records, 2, number).value)
        assert isinstance(said, DetectionEnvelope)
        heard.append(max(said.detection.probability.values()) > 0.5)
    assert heard == [is_calling(2, number) for number in range(CYCLE_WINDOWS)]
    assert sum(heard) == BOUT_WINDOWS


def test_the_stand_in_sleeps_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("benchmarks.cluster_stand_in.time.sleep", slept.append)
    images = [marked(image(number), CALL_MARK) for number in range(3)]
    assert len(SleepingGpuStandIn(CONTRACT, 2000.0).judge(images)) == 3
    assert slept == [3 / 2000.0]


def test_a_rate_leaves_out_the_ramp_and_counts_what_came_after_it() -> None:
    slow = [Appended(0, place, 1000 * place, b"", b"") for place in range(3)]
    fast = [Appended(0, 3 + place, 2000 + 10 * place, b"", b"") for place in range(1, 18)]
    assert rate_per_s(slow + fast, ramp=0.15) == pytest.approx(100.0, rel=0.02)


def test_latencies_go_from_the_image_and_from_the_image_that_decided(records: Records) -> None:
    windows = range(2 * CYCLE_WINDOWS)
    images = [Appended(0, number, 500 * number, *records.record(0, number)) for number in windows]
    detections = [judged(records, 0, number) for number in windows]
    tracking, stored, events = tracker(), None, []
    for detection in detections:
        said = decode(detection.value)
        assert isinstance(said, DetectionEnvelope)
        step = tracking.take(said, stored=stored)
        assert step is not None
        stored = step.stored
        events += [
            Appended(0, 0, 500 * said.number + 250, b"", event.model_dump_json().encode()) for event in step.events
        ]
    assert {json.loads(event.value)["kind"] for event in events} >= {"started", "ended"}
    found = latencies(images, detections + detections[:3], events + events[:1], tracker())
    assert set(found.detections_s) == {0.1}
    assert len(found.detections_s) == len(images)
    assert set(found.events_s) == {0.25}
    assert len(found.events_s) == len(events) == len(deciding_windows(detections, tracker()))


def tracker() -> Tracking:
    return Tracking(CONTRACT, presence=PresenceSection(rule=PresenceRule(hold_s=0.8)), guard=GuardSection())


def test_quantiles_of_nothing_are_none() -> None:
    assert quantiles_s([]) == {"p50_s": None, "p99_s": None, "max_s": None}
    assert quantiles_s([0.1, 0.2, 0.3])["p50_s"] == 0.2


def test_a_takeover_lasts_until_the_last_hydrophone() -> None:
    changelog = [Appended(0, n, at_ms, key, b"") for n, (key, at_ms) in enumerate([(b"a", 900), (b"b", 950)])]
    changelog += [
        Appended(0, 2, 12_000, b"a", b""),
        Appended(0, 3, 13_500, b"b", b""),
        Appended(0, 4, 14_000, b"a", b""),
    ]
    first_ms = concluded_first_ms(changelog, after_ms=2000)
    assert first_ms == {b"a": 12_000, b"b": 13_500}
    said = takeover([at_ms - 1000 for at_ms in first_ms.values()], states=2)
    assert said["takeover_s"] == 12.5


def test_overhead_is_the_median_of_the_pairs() -> None:
    bare = [Turn(1000, 500), Turn(500, 500), Turn(1000, 500)]
    faust = [Turn(800, 600), Turn(400, 600), Turn(200, 900)]
    said = overhead(bare, faust)
    assert said["faust_overhead"] == 0.25
    assert said["overhead"]["processor_time_overhead"] == 0.2  # type: ignore[index]


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_loses_nothing_and_needs_no_more_than_a_byte_a_pixel(name: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 16), np.uint8)
    filtered = FILTERS[name](pixels)
    assert filtered.dtype == np.uint8
    assert filtered.size == pixels.size
    assert undone(name, filtered, pixels.shape) == pixels.tobytes()


def undone(name: str, filtered: np.ndarray[Any, Any], shape: tuple[int, int]) -> bytes:
    if name == "by_columns":
        return filtered.T.tobytes()
    if name == "average":
        raw = np.zeros(shape, np.uint8)
        for row, column in np.ndindex(shape):
            before = int(raw[row, column - 1]) if column else 0
            below = int(raw[row - 1, column]) if row else 0
            raw[row, column] = (int(filtered[row, column]) + (before + below) // 2) % 256
        return raw.tobytes()
    axis = {"none": None, "sub": 1, "up": 0}[name]
    return (filtered if axis is None else np.cumsum(filtered, axis=axis, dtype=np.uint8)).tobytes()


def test_compressions_are_compared_on_the_same_pixels() -> None:
    flat = [np.zeros((64, 64), np.uint8)]
    found = compared(flat)
    assert found.keys() == FILTERS.keys()
    assert all(sizes.keys() == COMPRESSIONS.keys() for sizes in found.values())
    assert found["none"]["deflate_rle"] < found["none"]["deflate_huffman"] < 64 * 64
    assert entropy_bytes(flat) == 0
    assert entropy_bytes([np.arange(256, dtype=np.uint8).reshape(16, 16)]) == 256
    assert np.array_equal(average(flat[0]), flat[0])


def test_half_an_image_is_known_from_the_one_before_but_for_its_floor() -> None:
    noise = np.random.default_rng(3).integers(20, 40, (32, 192), np.uint8)
    louder = np.arange(32, dtype=np.uint8)[:, np.newaxis]
    first, second = noise[:, :128], noise[:, 64:] + louder
    new = len(COMPRESSIONS["deflate_rle"](second[:, 64:].tobytes()))
    assert new < given_the_previous([first, second]) < new + 100


def test_only_the_topics_own_segments_count(tmp_path: Path) -> None:
    for name, size in (
        ("a.images-0/0.log", 10),
        ("a.images-11/5.log", 7),
        ("a.images-0/0.index", 99),
        ("b.images-0/0.log", 5),
    ):
        path = tmp_path / "node-1" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    assert stored_bytes(tmp_path, "a.images") == 17


def offered(*, workers: int, per_s: float, kept_up: bool, p99_s: float) -> Mapping[str, Any]:
    quantiles = {"p50_s": 0.1, "p99_s": p99_s, "max_s": 1.0}
    row = Offered(workers, 100, per_s, per_s, per_s, kept_up, quantiles, quantiles, 10, 0.5, 0.3, 0.1)
    return asdict(row)


def test_the_headline_latency_is_two_workers_at_the_most_they_kept_up_with() -> None:
    rows = [
        offered(workers=1, per_s=400, kept_up=True, p99_s=0.1),
        offered(workers=2, per_s=100, kept_up=True, p99_s=0.2),
        offered(workers=2, per_s=200, kept_up=True, p99_s=0.3),
        offered(workers=2, per_s=400, kept_up=False, p99_s=9.0),
    ]
    assert headline(rows)["p99_latency_s"] == 0.3
    none_kept = headline([offered(workers=2, per_s=50, kept_up=False, p99_s=7.0)])
    assert none_kept["p99_latency_s"] == 7.0
    assert none_kept["p99_latency_at"] == {"workers": 2, "offered_per_s": 50, "kept_up": False}


def test_the_table_shows_every_part_and_names_the_stand_in() -> None:
    row = offered(workers=2, per_s=390.6, kept_up=False, p99_s=3.0)
    results = {
        "machine": "a machine",
        "date": "2026-11-21",
        "bytes_per_hydrophone_second": 61_440,
        "bytes": {"target": 65_536},
        **overhead([Turn(1000, 500)], [Turn(800, 600)]),
        **{f"messages_per_s_{n}_worker{'s' if n > 1 else ''}": 100 * n for n in WORKERS},
        "offered_loads": [row],
        "fleet_hydrophones_kept_up": 150,
        "fleet": {"tried": [row]},
        **takeover([11_000, 12_340], states=4),
    }
    console = Console(width=200, record=True)
    console.print(table(results))
    text = console.export_text()
    for said in (
        "61440 (60.0 KiB)",
        "0.25",
        "400",
        "not kept up",
        f"fleet of {FLEETS[0]}",
        "12.34",
        "stand-in",
        "assumed",
    ):
        assert said in text
