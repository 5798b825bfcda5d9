"""One soak from beginning to end: everything is started, struck, left in peace, ended in order, and read."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import Progress

from benchmarks.soaking import hydrophones as water
from benchmarks.soaking.plan import KINDS, Fault, plan
from benchmarks.soaking.reading import DoneFiles, Journalled, read_journal, streamed_ids
from benchmarks.soaking.receipts import Receipt, Receipts
from benchmarks.soaking.records import Life, Struck
from benchmarks.soaking.station_tree import LIVE, STATION, Places, tree
from benchmarks.soaking.storm import Storm, Targets
from benchmarks.soaking.supervising import Supervisor, now_since
from benchmarks.soaking.surroundings import EVIDENCE_BYTES, JOURNAL_BYTES, small_disk
from benchmarks.soaking.watching import Watch
from prometheus_server import PrometheusServer
from redis_server import RedisServer, free_port
from wall_clock import WallClock
from webhook_receiver import SECRET

STARTING_S = 240.0  # on a machine that has other things to do
LEAD_S = 8.0
QUIET_SHARE, QUIET_LEAST_S, QUIET_MOST_S = 0.1, 35.0, 180.0


@dataclass(slots=True)
class Soaked:
    """What a soak left to be judged.

    Attributes:
        seed: of the storm and of the sounds.
        seconds: it lasted.
        faults: planned.
        struck: that did strike, and moments at which the machine held the soak up.
        without: kinds that were left out, with the reason.
        lives: of the station.
        files: recordings made: path and start, seconds since 1970.
        journalled: the journal's content.
        stream: ids in Redis.
        receipts: of the webhook receiver.
        unsigned: requests without a valid signature.
        torn, missed: pages of metrics that were read again, or not at all.
        prometheus: what the real Prometheus says of the station.
        wrong_answers: reloads that came to something else than they should.
    """

    seed: int
    seconds: float
    faults: Sequence[Fault]
    struck: Sequence[Struck]
    without: dict[str, str]
    lives: Sequence[Life]
    files: Sequence[tuple[str, int]]
    journalled: Journalled
    stream: Sequence[str]
    receipts: Sequence[Receipt]
    unsigned: int
    torn: int
    missed: int
    prometheus: dict[str, object] = field(default_factory=dict)
    wrong_answers: Sequence[str] = ()


def soak(folder: Path, *, seconds: float, seed: int, progress: Progress) -> Soaked:
    """Run a soak of so many seconds, quiet end included.

    Raises:
        RuntimeError: the station does not come up at all.
    """
    with ExitStack() as opened:
        journal_disk = opened.enter_context(small_disk(folder / "journal", JOURNAL_BYTES))
        evidence_disk = opened.enter_context(small_disk(folder / "evidence", EVIDENCE_BYTES))
        redis = opened.enter_context(RedisServer(folder / "redis"))
        receipts = Receipts(folder / "receipts.jsonl")
        opened.callback(receipts.close)
        opened.enter_context(receipts.receiver)
        places = _places(folder, redis.url, receipts.receiver.url)
        prometheus = PrometheusServer(folder / "prometheus", station=STATION, metrics_port=places.metrics_port)
        opened.enter_context(prometheus)
        tcp = water.TcpHydrophone(water.sound(seed + 1, water.TCP_RATE_HZ), port=places.tcp_port)
        rtp = water.RtpHydrophone(water.sound(seed + 2, water.RTP_RATE_HZ), port=places.rtp_port)
        recorder = water.Recorder(water.sound(seed + 3, water.FILE_RATE_HZ), places.recordings)
        clock = _clock(folder)
        config = folder / "station.yaml"
        config.write_text(json.dumps(tree(places, seed=seed), indent=1))
        now_s = now_since(time.monotonic())
        supervisor = Supervisor(
            config,
            folder=folder,
            environment=clock.environment if clock else {},
            now_s=now_s,
            done_files=DoneFiles(places.journal),
        )
        targets = Targets(
            supervisor, tcp, rtp, recorder, redis, receipts, evidence_disk, journal_disk, clock, config, places, seed
        )
        without = targets.impossible()
        for sender in (tcp, rtp, recorder):
            opened.enter_context(sender.sending())
        watch = Watch(supervisor, port=places.metrics_port, now_s=now_s)
        supervisor.start()
        opened.callback(supervisor.stop)
        opened.enter_context(watch.watching())
        _until_up(supervisor, now_s)
        end_s = now_s() + seconds  # it has to be up first, however long that takes
        quiet_s = min(QUIET_MOST_S, max(QUIET_LEAST_S, QUIET_SHARE * seconds))
        possible = [kind for kind in KINDS if kind not in without]
        faults = plan(seed, begin_s=now_s() + LEAD_S, end_s=end_s - quiet_s, kinds=possible)
        storm = Storm(faults, targets, now_s=now_s)
        storm.begin()
        _wait(end_s - quiet_s, now_s, storm, progress, end_s=end_s)
        storm.end()
        recorder.present.clear()  # the last recording has time to be heard
        _until_up(supervisor, now_s)  # of the last life too
        end_s = max(end_s, now_s() + quiet_s)
        _wait(end_s, now_s, storm, progress, end_s=end_s)
        seen = _seen_by(prometheus, end_s)
        supervisor.stop()
        shutil.copy(places.journal, folder / "journal-at-end.db")  # its disk goes with the soak
        return Soaked(
            seed=seed,
            seconds=now_s(),
            faults=faults,
            struck=sorted([*storm.struck, *watch.busy], key=lambda fault: fault.began_s),
            without=without | {text.split(" ")[0]: text for text in storm.left_out},
            lives=supervisor.lives,
            files=recorder.files,
            journalled=read_journal(places.journal),
            stream=streamed_ids(redis.url),
            receipts=list(receipts.read()),
            unsigned=receipts.unsigned,
            torn=watch.torn,
            missed=watch.missed,
            prometheus=seen,
            wrong_answers=storm.wrong_answers,
        )


def _places(folder: Path, redis_url: str, receiver_url: str) -> Places:
    recordings = folder / "recordings"
    recordings.mkdir()
    return Places(
        folder=folder,
        journal=folder / "journal" / "journal.db",
        evidence=folder / "evidence" / "clips",
        recordings=recordings,
        tcp_port=free_port(),
        rtp_port=free_port(),
        metrics_port=free_port(),
        redis_url=redis_url,
        receiver_url=receiver_url,
        receiver_secret=SECRET,
    )


def _clock(folder: Path) -> WallClock | None:
    try:
        return WallClock(folder)
    except (OSError, subprocess.CalledProcessError):
        return None


def _until_up(supervisor: Supervisor, now_s: Callable[[], float]) -> None:
    """Return once the station has told of every hydrophone but the recorder, which takes its time.

    Raises:
        RuntimeError: it does not.
    """
    until_s = now_s() + STARTING_S
    while now_s() < until_s:
        if supervisor.lives and len(supervisor.lives[-1].counts) >= len(LIVE):
            return
        time.sleep(0.2)
    raise RuntimeError("the station did not begin to listen; its logs are life-*.log in the soak's folder")


def _wait(until_s: float, now_s: Callable[[], float], storm: Storm, progress: Progress, *, end_s: float) -> None:
    task = progress.task_ids[0] if progress.task_ids else progress.add_task("soaking", total=end_s)
    while now_s() < until_s:
        time.sleep(min(1.0, max(0.0, until_s - now_s())))
        progress.update(task, completed=now_s(), description=f"soaking, {len(storm.struck)} faults")


def _seen_by(prometheus: PrometheusServer, seconds: float) -> dict[str, object]:
    """The soak through the eyes of Prometheus."""
    over = f"[{round(seconds)}s]"
    up = prometheus.query(f'avg_over_time(up{{station="{STATION}"}}{over})')
    scrapes = prometheus.query(f'count_over_time(up{{station="{STATION}"}}{over})')
    alerts = prometheus.query(f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}{over}))')
    return {
        "up_share": round(float(up[0]["value"][1]), 3) if up else 0.0,
        "scrapes": int(float(scrapes[0]["value"][1])) if scrapes else 0,
        "rules_that_fired": sorted(alert["metric"]["alertname"] for alert in alerts),
    }
