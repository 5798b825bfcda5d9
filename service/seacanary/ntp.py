"""Whether this machine's clock is disciplined, as the Linux kernel tells it."""

import ctypes
import sys
from dataclasses import dataclass

_STA_UNSYNC = 0x40
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class NtpState:
    """What the kernel knows of the system clock.

    Attributes:
        synchronised: whether an NTP or PTP daemon keeps it.
        estimated_error_s: the daemon's estimate, seconds.
        maximum_error_s: the bound, seconds; grows while nobody keeps the clock.
    """

    synchronised: bool
    estimated_error_s: float
    maximum_error_s: float


class _Timex(ctypes.Structure):
    """struct timex as glibc and musl declare it, up to `tai`, and its reserve."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_s", ctypes.c_long),
        ("time_us", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


def ntp_state() -> NtpState | None:
    """Ask adjtimex(2), which needs no privilege to read; None where it is not offered."""
    if sys.platform != "linux":
        return None
    timex = _Timex(modes=0)
    state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)))
    if state < 0:
        return None
    return NtpState(
        synchronised=state != _TIME_ERROR and not timex.status & _STA_UNSYNC,
        estimated_error_s=timex.esterror * 1e-6,
        maximum_error_s=timex.maxerror * 1e-6,
    )
