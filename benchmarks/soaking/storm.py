"""Lets the faults of a plan strike, each lane in a thread of its own, and notes what really happened."""

import json
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soaking.hydrophones import Recorder, RtpHydrophone, TcpHydrophone
from benchmarks.soaking.plan import KINDS, Fault
from benchmarks.soaking.receipts import Receipts
from benchmarks.soaking.records import Struck
from benchmarks.soaking.reloads import asked_before, outcome_of
from benchmarks.soaking.station_tree import Places, spoilt, tree
from benchmarks.soaking.supervising import Supervisor
from benchmarks.soaking.surroundings import Disk
from redis_server import RedisServer
from wall_clock import WallClock

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Targets:
    """All that can be struck."""

    supervisor: Supervisor
    tcp: TcpHydrophone
    rtp: RtpHydrophone
    recorder: Recorder
    redis: RedisServer
    receipts: Receipts
    evidence: Disk
    journal: Disk
    clock: WallClock | None
    config: Path
    places: Places
    seed: int

    def impossible(self) -> dict[str, str]:
        """Kinds of fault that this machine cannot make, with the reason."""
        without: dict[str, str] = {}
        if not self.evidence.small:
            without["evidence_full"] = "no tmpfs can be mounted here"
        if not self.journal.small:
            without["journal_full"] = "no tmpfs can be mounted here"
        if self.clock is None:
            without["clock_step"] = "no C compiler to build the preloaded clock with"
        return without


class Storm:
    """Strikes.

    Attributes:
        struck: what did, in order of its end.
        left_out: what could not, with the reason.
        wrong_answers: reloads that came to something else than they should.
    """

    def __init__(self, faults: Sequence[Fault], targets: Targets, *, now_s: Callable[[], float]) -> None:
        self._faults, self._at, self._now_s = faults, targets, now_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.struck: list[Struck] = []
        self.left_out: list[str] = []
        self.wrong_answers: list[str] = []

    def begin(self) -> None:
        """Start every lane."""
        for lane in sorted({KINDS[fault.kind].lane for fault in self._faults}):
            faults = [fault for fault in self._faults if KINDS[fault.kind].lane == lane]
            thread = threading.Thread(target=self._run, args=(faults,), name=f"storm-{lane}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Let what has begun end; nothing more strikes."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            if self._over.wait(max(0.0, fault.at_s - self._now_s())):
                return
            began_s = self._now_s()
            try:
                detail = getattr(self, f"_{fault.kind}")(fault)
            except OSError as exc:
                detail, fault_failed = None, f"{fault.kind} at {began_s:.0f} s: {exc}"
                self.left_out.append(fault_failed)
            if detail is not None:
                with self._lock:
                    self.struck.append(Struck(fault.kind, began_s, self._now_s(), detail))

    def _wait(self, fault: Fault) -> None:
        self._over.wait(fault.lasts_s)

    def _kill(self, _: Fault) -> str | None:
        return "SIGKILL" if self._at.supervisor.signal(signal.SIGKILL) else None

    def _freeze(self, fault: Fault) -> str | None:
        if not self._at.supervisor.signal(signal.SIGSTOP):
            return None
        self._wait(fault)
        self._at.supervisor.signal(signal.SIGCONT)
        return "SIGSTOP, SIGCONT"

    def _tcp_stall(self, fault: Fault) -> str:
        self._at.tcp.stalled.set()
        self._wait(fault)
        self._at.tcp.stalled.clear()
        return "connected, but nothing came"

    def _tcp_gone(self, fault: Fault) -> str:
        self._at.tcp.present.clear()
        self._wait(fault)
        self._at.tcp.present.set()
        return "hung up, and refused callers"

    def _rtp_lossy(self, fault: Fault) -> str:
        return self._rtp_absent(fault, "datagrams were lost")

    def _rtp_gone(self, fault: Fault) -> str:
        return self._rtp_absent(fault, "the sender was off the network")

    def _rtp_absent(self, fault: Fault, detail: str) -> str:
        self._at.rtp.present.clear()
        self._wait(fault)
        self._at.rtp.present.set()
        return detail

    def _recorder_off(self, fault: Fault) -> str:
        self._at.recorder.present.clear()
        self._wait(fault)
        self._at.recorder.present.set()
        return "no recordings were made"

    def _redis_down(self, fault: Fault) -> str:
        self._at.redis.kill()
        self._wait(fault)
        self._at.redis.start()
        return "SIGKILL; started again with its append-only file"

    def _redis_frozen(self, fault: Fault) -> str:
        process = self._at.redis._process  # no other has its id
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        self._wait(fault)
        process.send_signal(signal.SIGCONT)
        return "SIGSTOP, SIGCONT: connected, but no answer"

    def _receiver_down(self, fault: Fault) -> str:
        self._at.receipts.receiver.__exit__()
        self._wait(fault)
        self._at.receipts.receiver.__enter__()
        return "connections refused"

    def _receiver_500(self, fault: Fault) -> str:
        return self._receiving(fault, "500")

    def _receiver_slow(self, fault: Fault) -> str:
        return self._receiving(fault, "slow")

    def _receiving(self, fault: Fault, mode: str) -> str:
        self._at.receipts.mode = mode
        self._wait(fault)
        self._at.receipts.mode = "well"
        return f"answered: {mode}"

    def _evidence_full(self, fault: Fault) -> str:
        return self._full(self._at.evidence, fault)

    def _journal_full(self, fault: Fault) -> str:
        return self._full(self._at.journal, fault)

    def _full(self, disk: Disk, fault: Fault) -> str:
        disk.fill()
        self._wait(fault)
        disk.empty()
        return "not a byte was free"

    def _clock_step(self, fault: Fault) -> str:
        clock = self._at.clock
        assert clock is not None
        before_s = clock.offset_s
        choices = [offset_s for offset_s in (-HOUR_S, 0, HOUR_S) if abs(offset_s - before_s) == HOUR_S]
        clock.step(choices[int(fault.draw * len(choices))])
        return f"{(clock.offset_s - before_s) / HOUR_S:+.0f} h, now {clock.offset_s / HOUR_S:+.0f} h off"

    def _reload_good(self, fault: Fault) -> str | None:
        cooldown_s = round(fault.draw * 3)
        good = json.dumps(tree(self._at.places, seed=self._at.seed, cooldown_s=cooldown_s), indent=1)
        return self._reload(good, f"cooldown of the rule {cooldown_s} s", right="applied")

    def _reload_bad(self, fault: Fault) -> str | None:
        kept = self._at.config.read_text()
        try:
            return self._reload(spoilt(json.loads(kept), fault.draw), "a spoilt file, then mended", right="refused")
        finally:
            _replace(self._at.config, kept)

    def _reload(self, text: str, detail: str, *, right: str) -> str | None:
        """Change the file and say so, as an operator would; None: nobody there takes it."""
        pid, port = self._at.supervisor.pid, self._at.places.metrics_port
        asked = None if pid is None else asked_before(pid, port)
        if asked is None:
            return None
        _replace(self._at.config, text)
        self._at.supervisor.signal(signal.SIGHUP)
        outcome = outcome_of(asked, port, is_over=self._over)
        if outcome not in (right, None):
            self.wrong_answers.append(f"reload at {self._now_s():.0f} s ({detail}) was {outcome}, not {right}")
        return f"{detail}: {outcome or 'no answer'}"


def _replace(path: Path, text: str) -> None:
    """As editors do: a whole file takes the place of the other."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
