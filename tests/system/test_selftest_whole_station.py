"""The self-test inside a whole station: when the sea grows loud the metrics say so, and nobody else hears of it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from monitoring_servers import until
from redis_server import RedisServer, free_port
from seacanary.events import AlertEvent, Event, PresenceEvent
from seacanary.simulation import Ambient, CallBouts, Recorder, Scene, Soundscape
from webhook_receiver import SECRET, Received, Receiver
from whole_station import PATIENT, journalled, sampled, streamed, whole_station

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

RATE_HZ = 384_000
NONE = CallBouts(bouts_per_min=0)
STILL = Scene(seed=5, ambient=Ambient(wind_m_s=2, traffic=0.1), whistle=NONE, beluga_click=NONE, porpoise_click=NONE)
STORM = STILL.model_copy(
    update={"seed": 6, "ambient": Ambient(wind_m_s=20, traffic=1), "recorder": Recorder(self_noise_dbfs=-60)}
)
STILL_S, STORM_S, RISE_S = 20, 20, 2
CALL = {"hydrophone": "quay", "call_type": "porpoise_click"}
WITHIN_S = 90.0


@dataclass(frozen=True)
class Tried:
    """What is known after a run in which the self-test heard its calls, and then missed them.

    Attributes:
        heard: trials whose call was heard.
        journalled: events in the journal.
        streamed: events in Redis.
        posted: webhooks.
        log: what the station printed.
    """

    heard: float
    journalled: list[Event]
    streamed: list[Event]
    posted: list[Received]
    log: str


def storm_to_come(path: Path) -> None:
    """A recording to lie under the still sea, again and again: nothing for a while, then a storm that rises."""
    storm = Soundscape(STORM, sample_rate_hz=RATE_HZ).render(STORM_S * RATE_HZ).samples.copy()
    storm[: RISE_S * RATE_HZ] *= np.linspace(0, 1, RISE_S * RATE_HZ, dtype=np.float32)
    silence = np.zeros(STILL_S * RATE_HZ, np.float32)
    soundfile.write(path, np.concatenate([silence, storm]), RATE_HZ, subtype="PCM_16")


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    folder, port = tmp_path_factory.mktemp("quay"), free_port()
    storm_to_come(folder / "storm.wav")

    def recall() -> float:
        return sampled(port, "seacanary_selftest_recall_ratio", **CALL)

    def heard() -> float:
        return sampled(port, "seacanary_selftest_calls_total", outcome="heard", **CALL)

    with RedisServer(folder / "redis") as redis, Receiver() as receiver:
        tree = {
            "station": {"name": "harbour"},
            "supervision": PATIENT,
            "sources": [
                {
                    "kind": "simulated",
                    "hydrophones": ["quay"],
                    "sample_rate_hz": RATE_HZ,
                    "scene": STILL.model_dump(mode="json"),
                    "background": str(folder / "storm.wav"),
                }
            ],
            "publishers": [
                {"kind": "redis_streams", "url": redis.url},
                {
                    "kind": "webhook",
                    "url": receiver.url,
                    "secret": SECRET,
                    "allow_private_networks": True,
                    "events": ["presence", "alerts", "reviews", "conditions"],
                },
            ],
            "alerts": {"rules": [{"name": "anything"}]},
            "evidence": {"path": str(folder / "evidence")},
            "selftest": {"interval_s": 0.5, "call_types": ["porpoise_click"], "snr_db": [25.0], "recall_over": 2},
            "metrics": {"port": port},
        }
        with whole_station(folder, tree):
            until(lambda: recall() == 1.0 and heard() >= 2, "its calls are heard", within_s=WITHIN_S)
            until(lambda: recall() == 0.0, "they are drowned by the storm", within_s=WITHIN_S)
            count = heard()
        log = (folder / "station.log").read_text()
        yield Tried(count, journalled(folder), streamed(redis.url), list(receiver.taken), log)


def test_no_call_of_the_self_test_is_journalled_or_alerted_of(tried: Tried) -> None:
    assert tried.heard >= 2
    assert [event for event in tried.journalled if isinstance(event, PresenceEvent | AlertEvent)] == []


def test_redis_and_the_webhook_get_no_more_than_the_journal(tried: Tried) -> None:
    assert tried.streamed == tried.journalled
    assert [request.id for request in tried.posted] == [str(event.id) for event in tried.journalled]


def test_the_self_tests_names_appear_nowhere(tried: Tried) -> None:
    said = [event.model_dump_json() for event in tried.journalled] + [request.body.decode() for request in tried.posted]
    assert "selftest" not in "".join(said) + tried.log
