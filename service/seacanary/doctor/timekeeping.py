"""The system clock, and whether anybody keeps it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from seacanary.doctor.findings import Finding, broken, ok, unknown, warning
from seacanary.doctor.subject import Subject
from seacanary.ntp import NtpState, ntp_state

# No station ran before: a board without a battery wakes up in 1970 or at its image's build.
FIRST_YEAR = 2026
# Two stations that are to agree on which of them heard a click first need better; presence does not.
ERROR_S = 0.5
KEEP = (
    "install and start chrony (apt install chrony; `chronyc tracking` shows it), and let UDP port 123 out, or give it "
    "a GPS receiver where there is no network"
)


def timekeeping(
    subject: Subject,
    *,
    ntp: Callable[[], NtpState | None] = ntp_state,
    now_s: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """What the kernel says of the clock, and what running streams saw of it.

    Args:
        subject: with the process that may be running.
        ntp: asks the kernel.
        now_s: the system clock.
    """
    now = datetime.fromtimestamp(now_s(), UTC)
    if now.year < FIRST_YEAR:
        yield broken(
            "clock",
            f"it says {now:%Y-%m-%d %H:%M} UTC",
            means="every event is dated wrongly, TLS refuses certificates, and time jumps when the clock is set",
            remedy=f"set it (timedatectl set-time), give the board a battery, and {KEEP}",
        )
    yield _kept(ntp())
    for hydrophone, stream in subject.running.detail("streams").items():
        if stream.get("clock_steps"):
            yield warning(
                f"clock at {hydrophone}",
                f"it was stepped {stream['clock_steps']} times while the station ran",
                means="times before and after a step do not fit together",
                remedy="let one daemon alone keep the clock, by slewing it (chrony does after its start)",
            )


def _kept(state: NtpState | None) -> Finding:
    if state is None:
        return unknown(
            "clock",
            "the kernel does not say whether anybody keeps it",
            means="how wrong times may be is not known",
            remedy="see `timedatectl` or `chronyc tracking` on the machine itself: some containers may not ask",
        )
    if not state.synchronised:
        return warning(
            "clock",
            f"nobody keeps it; it may be wrong by {state.maximum_error_s:.1f} s and more",
            means="times of events drift, by seconds a day, and cannot be compared with other stations'",
            remedy=KEEP,
        )
    if state.maximum_error_s > ERROR_S:
        return warning(
            "clock",
            f"it is kept, and may be wrong by {state.maximum_error_s:.2f} s",
            means="times of events are no better than that",
            remedy="name nearer time servers in chrony.conf; see `chronyc sources`",
        )
    return ok("clock", f"kept by NTP or PTP, wrong by {state.maximum_error_s * 1e3:.0f} ms at most")
