"""A station reads its configuration again while it runs: what changes, what is refused, and that nothing is lost."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile

from fakes import EPOCH, write_tiny_model
from redis_server import RedisServer, free_port
from seacanary.events import AlertEvent, ConditionEvent, Event, PresenceEvent
from seacanary.simulation import CallBouts, Scene
from webhook_receiver import OTHER_SECRET, SECRET, Receiver, Reply, always
from whole_station import PATIENT, journalled, sampled, streamed, whole_station

pytestmark = pytest.mark.system

EVERYTHING = ["presence", "alerts", "reviews", "conditions"]
RATE_HZ = 8000
AUDIO_S = 1200  # longer than the slowest machine takes for a test
RELOADS, SEED = 50, 7
HURRIED = {"first_wait_s": 0.05, "longest_wait_s": 0.2, "recheck_s": 0.2}

Tree = dict[str, Any]


def webhook(receiver: Receiver, **fields: object) -> Tree:
    return {
        "kind": "webhook",
        "name": "pager",
        "url": receiver.url,
        "secret": SECRET,
        "allow_private_networks": True,
        "events": EVERYTHING,
        "delivery": HURRIED,
        **fields,
    }


class Asked:
    """A running station, and the file it reads."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self._folder, self._port, self._process = folder, port, process
        self.file = folder / "station.json"

    @property
    def health(self) -> Tree:
        with urlopen(f"http://127.0.0.1:{self._port}/health", timeout=10) as answer:
            said: Tree = json.load(answer)
        return said

    def write(self, tree: Mapping[str, object] | str) -> None:
        journal = {"path": str(self._folder / "journal.db")}
        self.file.write_text(tree if isinstance(tree, str) else json.dumps({"journal": journal, **tree}))

    def reloaded(self, tree: Mapping[str, object] | str) -> Tree:
        """Write the file, ask for it to be read, and wait for what comes of it."""
        self.write(tree)
        asked = self.health["configuration"]["asked"]
        self._process.send_signal(signal.SIGHUP)
        until(lambda: self.health["configuration"]["latest"]["number"] > asked)
        latest: Tree = self.health["configuration"]["latest"]
        return latest

    def counted(self, outcome: str) -> float:
        return sampled(self._port, "seacanary_config_reloads_total", outcome=outcome)


def until(holds: Callable[[], bool], within_s: float = 150.0) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.05)


@contextmanager
def running(
    folder: Path, tree: Tree, *, as_it_starts: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Iterator[Asked]:
    port = free_port()
    tree["metrics"] = {"port": port}
    with whole_station(folder, tree) as process:
        asked = Asked(folder, port, process)
        if as_it_starts is not None:
            until(lambda: takes_hang_ups(process))
            as_it_starts(process)

        def is_up() -> bool:
            assert process.poll() is None
            try:
                return "configuration" in asked.health
            except OSError:
                return False

        until(is_up)
        yield asked


def barking(folder: Path) -> Tree:
    """A recording in real time with half a second of a call every four seconds, and the model that hears it."""
    pcm = np.random.default_rng(3).normal(0, 0.01, AUDIO_S * RATE_HZ)
    for second in range(0, AUDIO_S, 4):
        pcm[second * RATE_HZ : second * RATE_HZ + RATE_HZ // 2] = 0.9
    (folder / "recordings").mkdir()
    soundfile.write(folder / "recordings" / f"{EPOCH:%Y%m%d_%H%M%S}.wav", pcm, RATE_HZ)
    return {
        "station": {"name": "changing"},
        "model": {"path": str(write_tiny_model(folder / "model"))},
        "sources": [{"kind": "files", "path": str(folder / "recordings"), "name": "h1", "pace": "realtime"}],
        "presence": {"rule": {"k": 1, "n": 2, "hold_s": 0.5}},
    }


def ids(events: Sequence[Event]) -> list[str]:
    return [str(event.id) for event in events]


def taken(receiver: Receiver) -> list[str]:
    return [request.id for request in receiver.taken]


def assert_told(told: Sequence[str], folder: Path, publisher: str) -> None:
    """It had every event of the journal once, in order, but for those that the station knows to be left to send."""
    events, unsent = ids(journalled(folder)), summary_of(folder)["unsent"][publisher]
    assert told == events[: len(told)]
    assert len(told) >= len(events) - unsent > 0


def conditions(folder: Path) -> list[tuple[str, str]]:
    return [(event.condition, event.change) for event in journalled(folder) if isinstance(event, ConditionEvent)]


@pytest.mark.timeout(600)
def test_publishers_and_rules_change_under_a_station_that_goes_on(tmp_path: Path) -> None:
    tree = barking(tmp_path)
    with Receiver(always(Reply(503))) as unwell, Receiver() as well:
        tree["publishers"] = [webhook(unwell)]
        with running(tmp_path, tree) as station:
            until(lambda: len(unwell.received) > 2)  # in the middle of its retries

            tree["publishers"] = [webhook(well)]
            station.write(tree)
            answer = reload_command(station.file)
            assert (answer.returncode, answer.stdout) == (0, "changed: publisher pager changed: url\n"), answer.stderr
            until(lambda: len(well.taken) > 2)

            tree["publishers"] = []
            assert station.reloaded(tree)["changes"] == ["publisher pager removed"]
            before = len(well.received)
            until(lambda: len(journalled(tmp_path)) > before + 2)
            assert len(well.received) == before
            assert "pager" not in station.health["publishers"]

            tree["publishers"] = [webhook(well)]
            tree["alerts"] = {"rules": [{"name": "watch", "rate_limit": {"messages": 1000}, "cooldown_s": 0}]}
            assert station.reloaded(tree)["changes"] == ["alert rule watch added", "publisher pager added"]
            until(lambda: any(isinstance(event, AlertEvent) for event in journalled(tmp_path)))
            until(lambda: station.health["publishers"].get("pager", {"waiting": 3})["waiting"] < 3)
        assert unwell.taken == []
        assert_told(taken(well), tmp_path, "pager")


@pytest.mark.timeout(600)
def test_a_request_that_comes_while_the_station_starts_is_carried_out(tmp_path: Path) -> None:
    tree = barking(tmp_path)
    with running(tmp_path, tree, as_it_starts=lambda process: process.send_signal(signal.SIGHUP)) as station:
        until(lambda: station.health["configuration"]["latest"]["number"] == 1)


def takes_hang_ups(process: subprocess.Popen[bytes]) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGHUP - 1) & 1)


@pytest.mark.timeout(600)
def test_a_bad_file_changes_nothing_and_what_needs_a_restart_waits_for_it(tmp_path: Path) -> None:
    tree = barking(tmp_path)
    with Receiver() as well:
        tree["publishers"] = [webhook(well)]
        with running(tmp_path, tree) as station:
            digest = station.health["config"]
            assert station.reloaded(tree)["outcome"] == "applied"

            refused = station.reloaded({**tree, "publishers": [], "presence": {"rule": {"hold": 1}}})
            assert refused["outcome"] == "refused"
            assert "presence.rule.hold: unknown field" in refused["reason"]
            assert station.reloaded("publishers: [")["outcome"] == "refused"
            assert station.health["config"] == digest
            assert "pager" in station.health["publishers"]
            answer = reload_command(station.file)
            assert answer.returncode == 2
            assert "not valid YAML" in answer.stderr

            partly = station.reloaded({**tree, "guard": {"duty": 0.9}, "presence": {"rule": {"hold_s": 0.4}}})
            assert (partly["outcome"], partly["restart"]) == ("partly", ["guard.duty"])
            assert set(partly["changes"]) == {
                "presence.rule.k: 1 -> 3", "presence.rule.n: 2 -> 6", "presence.rule.hold_s: 0.5 -> 0.4",
            }  # fmt: skip
            assert station.health["config"] != digest
            assert station.reloaded(tree)["outcome"] == "applied"
            assert station.health["config"] == digest
            assert [station.counted(outcome) for outcome in ("applied", "partly", "refused")] == [2, 1, 2]
            assert conditions(tmp_path) == [
                ("config_refused", "begun"), ("config_refused", "ended"),
                ("config_needs_restart", "begun"), ("config_needs_restart", "ended"),
            ]  # fmt: skip
        assert_told(taken(well), tmp_path, "pager")


def reload_command(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seacanary.cli", "reload", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,  # a busy machine takes minutes to import it all
        env=os.environ | {"COLUMNS": "200"},
    )


SCENE = Scene(
    seed=3,
    whistle=CallBouts(bouts_per_min=10, calls_per_bout=(2, 4), snr_db=(14, 26)),  # presences begin and end
    beluga_click=CallBouts(bouts_per_min=0),
    porpoise_click=CallBouts(bouts_per_min=0),
)


class Whims:
    """A person who cannot leave the file alone; seeded."""

    def __init__(self, base: Tree, publishers: Sequence[Tree], seed: int) -> None:
        self._base, self._publishers, self._draw = base, publishers, random.Random(seed)

    def next(self) -> tuple[str, Mapping[str, object] | str]:
        """What should come of the next file, and the file."""
        draw, tree = self._draw, self.good()
        kind = draw.choice(["applied"] * 6 + ["partly", "refused", "refused", "refused"])
        if kind == "partly":
            tree |= {"guard": {"duty": 0.9}}
        if kind == "refused":
            wrong: list[Mapping[str, object] | str] = [
                "station: {name: [",
                tree | {"presence": {"rule": {"hold_s": -1}}},
                tree | {"alerts": {"rules": [{"name": "x", "species": ["nessie"]}]}},
                tree | {"publishers": [{"kind": "webhook", "name": "all", "url": "nowhere"}]},
                tree | {"no_such_section": 1},
            ]
            return kind, draw.choice(wrong)
        return kind, tree

    def good(self) -> Tree:
        """Any rules, thresholds and publishers."""
        draw = self._draw
        rules = [
            {"name": name, "cooldown_s": draw.choice([0, 1]), "rate_limit": {"messages": draw.choice([100, 1000])}}
            for name in draw.sample(["one", "two", "three"], draw.randrange(4))
        ]
        publishers = [
            each | ({"secret": draw.choice([SECRET, OTHER_SECRET])} if each["kind"] == "webhook" else {})
            for each in draw.sample(self._publishers, draw.randint(1, len(self._publishers)))
        ]
        hold_s = draw.choice([0.6, 1.0, 2.0])
        rule = {"k": draw.choice([1, 2]), "n": draw.choice([2, 4]), "hold_s": hold_s, "update_s": draw.choice([1, 3])}
        enter = draw.choice([0.5, 0.7])
        presence = {"rule": rule, "thresholds": {"whistle": {"enter": enter, "leave": enter - 0.2}}}
        return {**self._base, "alerts": {"rules": rules}, "publishers": publishers, "presence": presence}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_fifty_reloads_good_and_bad_lose_no_sample_and_neither_lose_nor_double_an_event(tmp_path: Path) -> None:
    draw, outcomes = random.Random(SEED), Counter[str]()
    with ExitStack() as opened:
        redis = opened.enter_context(RedisServer(tmp_path / "redis"))
        frail = opened.enter_context(Receiver(lambda _: Reply(503 if draw.random() < 0.3 else 204, after_s=0.05)))
        steady = opened.enter_context(Receiver(lambda _: Reply(after_s=draw.uniform(0.0, 0.3))))
        lines = tmp_path / "events.jsonl"
        publishers = [
            webhook(frail, name="frail"),
            webhook(steady, name="steady"),
            {"kind": "redis_streams", "url": redis.url},
            {"kind": "jsonl", "path": str(lines)},
        ]
        tree: Tree = {
            "station": {"name": "restless"},
            "supervision": PATIENT,
            "sources": [
                {
                    "kind": "simulated",
                    "hydrophones": ["north"],
                    "sample_rate_hz": 384_000,
                    "scene": SCENE.model_dump(mode="json"),
                }
            ],
            "publishers": publishers,
            "presence": {"rule": {"k": 1, "n": 2, "hold_s": 1.0, "update_s": 1.0}},
        }
        with running(tmp_path, tree) as station:
            tree["metrics"] = {"port": station._port}
            whims = Whims(tree, publishers, SEED)
            until(lambda: any(isinstance(event, PresenceEvent) for event in journalled(tmp_path)), within_s=300)
            for _ in range(RELOADS):
                expected, file = whims.next()
                report = station.reloaded(file)
                assert report["outcome"] == expected, report
                outcomes[expected] += 1
                time.sleep(draw.uniform(0.0, 3.0))
            assert station.reloaded(tree)["outcome"] == "applied"
            until(lambda: all(said["waiting"] == 0 for said in station.health["publishers"].values()))
        events = ids(journalled(tmp_path))
        ledger = summary_of(tmp_path)["ledger"]["north"]
        told = {
            "frail": taken(frail),
            "steady": taken(steady),
            "redis": ids(streamed(redis.url)),
            "jsonl": [json.loads(line)["id"] for line in lines.read_text().splitlines()],
        }
    kinds = Counter(event.kind for event in journalled(tmp_path))
    print(f"reloads {dict(outcomes)}; events {dict(kinds)}; ledger {ledger}")  # noqa: T201  # shown by pytest -s
    assert summary_of(tmp_path)["balanced"]
    assert (ledger["lost"], ledger["pending"]) == (0, 0)
    assert len(set(events)) == len(events) > 50
    assert kinds["alerted"] > 5
    for name, known in told.items():
        assert_told(known, tmp_path, name)


def summary_of(folder: Path) -> Tree:
    """The closing line of a run."""
    lines = (folder / "station.log").read_text(errors="replace").splitlines()
    summary: Tree = next(json.loads(line) for line in reversed(lines) if line.startswith('{"type": "summary"'))
    return summary
