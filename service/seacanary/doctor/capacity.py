"""CPU headroom, measured against the load, and memory."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

from seacanary.doctor.apart import START_S, apart
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.doctor.measuring import AUDIO_S, Measured, measured
from seacanary.doctor.subject import Subject
from seacanary.wiring import waits_for_us

MEASURE_S = 45.0
LIMIT_S = START_S + MEASURE_S + 5
# Beyond this share of what was measured, a busy minute of the machine costs windows.
BUSY = 0.7
MIB = 2**20
# Below this, one burst of evidence or one log rotation is enough to be killed by the kernel.
LEAST_BYTES = 128 * MIB
SCARCE_SHARE = 0.1
CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def capacity(subject: Subject) -> Iterator[Finding]:
    """Measure, and compare with what the configuration asks for."""
    role = subject.config.role if subject.config else "station"
    try:
        result = apart(partial(measured, subject.model, role), limit_s=MEASURE_S)
    except TimeoutError:
        yield _far_too_slow()
        return
    if role == "worker":
        yield ok("CPU", f"judges the images of {result.hydrophones:.0f} hydrophones in real time as it is loaded now")
    else:
        yield headroom(result.hydrophones, _load(subject), running=bool(subject.running))
    yield from memory(result, running=bool(subject.running))


def headroom(capacity: float, load: int, *, running: bool) -> Finding:
    """What a measured capacity means for a load.

    Args:
        capacity: hydrophones that can be carried in real time, beside what runs now.
        load: hydrophones of the configuration; 0: none that must be kept up with.
        running: whether they are being analysed while this was measured.
    """
    if not load:
        return ok("CPU", f"the machine carries {capacity:.1f} hydrophones in real time")
    if running:
        seen = f"while it runs with {load} hydrophones, the machine has room for {capacity:.1f} more"
        share = load / (load + capacity)
    else:
        seen = f"the machine carries {capacity:.1f} hydrophones in real time, the configuration has {load}"
        share = load / capacity
    if share <= BUSY:
        return ok("CPU", f"{seen}: {share:.0%} of it is used")
    remedy = (
        "fewer hydrophones on this machine, a faster one, more model.sessions where it has more cores, an int8 model, "
        "or images sent to workers (docs/kafka.md)"
    )
    if share <= 1:
        means = "a busy minute of the machine costs windows, which count as unobserved"
        return warning("CPU", f"{seen}: {share:.0%} of it is used", means=means, remedy=remedy)
    means = "the audio comes faster than it is analysed: windows are shed all the time, and count as unobserved"
    return broken("CPU", f"{seen}: {share:.0%} of it is asked for", means=means, remedy=remedy)


def memory(result: Measured, *, running: bool, look: Callable[[], tuple[int, int]] | None = None) -> Iterator[Finding]:
    """What is left of the memory, against what the model was seen to take.

    Args:
        result: of the measurement.
        running: whether the process has its memory already.
        look: gives total and available memory, bytes; None: of this machine or container.
    """
    total, available = (look or available_bytes)()
    need = LEAST_BYTES if running else LEAST_BYTES + result.peak_bytes
    seen = (
        f"{available / MIB:,.0f} MiB of {total / MIB:,.0f} MiB are available; "
        f"a run of the model took {result.peak_bytes / MIB:,.0f} MiB"
    )
    remedy = "stop what else runs here, give the container a higher limit, fewer model.sessions, or more memory"
    if available < need:
        means = "the kernel kills the process when the memory is used up, or the machine swaps and audio is lost"
        yield broken("memory", seen, means=means, remedy=remedy)
    elif available < need + SCARCE_SHARE * total:
        yield warning("memory", seen, means="it is enough for now, with little to spare", remedy=remedy)
    else:
        yield ok("memory", seen)


def available_bytes() -> tuple[int, int]:
    """Total and available memory of this machine, or of the container if that has less."""
    machine = psutil.virtual_memory()
    total, available = int(machine.total), int(machine.available)
    for limit_file, used_file in CGROUPS:
        try:
            limit, used = int(limit_file.read_text()), int(used_file.read_text())
        except (OSError, ValueError):  # no such version of cgroups, or "max"
            continue
        if limit < total:
            return limit, min(available, max(0, limit - used))
    return total, available


def _load(subject: Subject) -> int:
    """Hydrophones that must be kept up with; recordings wait."""
    live = [source for source in subject.sources if not waits_for_us(source)]
    return sum(max(1, len(source.hydrophone_names)) for source in live)


def _far_too_slow() -> Finding:
    return broken(
        "CPU",
        f"{AUDIO_S:g} s of audio were not analysed within {MEASURE_S:g} s",
        means="the machine is far too slow for this model, or something else takes all of it",
        remedy="see `top` for what takes the CPU; otherwise a faster machine, or workers (docs/kafka.md)",
    )
