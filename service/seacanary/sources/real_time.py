"""Real-time priority for threads that capture, where it is granted (RLIMIT_RTPRIO; systemd's LimitRTPRIO)."""

import os
import resource

# Above all that is not real-time, below the kernel's own threads for sound and timers (50 and more).
PRIORITY = 10


def ask_for_real_time() -> bool:
    """Let the calling thread go before all ordinary ones; what it starts does not inherit it.

    It must be granted by a limit: that root may do anything is no wish to have it.

    Returns:
        False where it is not granted: the thread shares the processor as all others do.
    """
    granted, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if granted == 0:
        return False
    priority = PRIORITY if granted == resource.RLIM_INFINITY else min(PRIORITY, granted)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:  # a seccomp filter, or a group of processes without a share of real time
        return False
    return True
