"""How patiently a far side is asked: the policy, and the circuit that says when it may be asked again."""

import random
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CircuitState = Literal["closed", "open", "half_open"]


class DeliveryPolicy(BaseModel):
    """How patiently events are delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    batch: int = Field(200, ge=1, le=1000, description="events handed over at once, at most")
    timeout_s: float = Field(10.0, gt=0, description="longest wait for one acknowledgement")
    first_wait_s: float = Field(0.5, gt=0, description="upper bound of the first wait after a failure")
    longest_wait_s: float = Field(30.0, gt=0, description="upper bound of any wait after a failure")
    longest_retry_after_s: float = Field(
        3600.0, ge=0, description="longest wait that the far side may ask for (Retry-After)"
    )
    opens_after: int = Field(
        5, ge=1, description="failures in a row after which the far side is only probed, once per wait"
    )
    give_up_s: float | None = Field(
        None, gt=0, description="age at which an event that still fails becomes a dead letter; null: never"
    )
    recheck_s: float = Field(
        15.0,
        gt=0,
        description="idle time after which the far side is asked for losses, and dead letters to be tried again "
        "are looked for",
    )


class PatientPolicy(DeliveryPolicy):
    """How patiently a far side is asked that takes one event at a time and may be away for hours."""

    batch: Literal[1] = Field(1, description="events handed over at once")
    timeout_s: float = Field(15.0, gt=0, description="longest wait for one acknowledgement")
    first_wait_s: float = Field(1.0, gt=0, description="upper bound of the first wait after a failure")
    longest_wait_s: float = Field(900.0, gt=0, description="upper bound of any wait after a failure")
    give_up_s: float | None = Field(
        86_400.0, gt=0, description="age at which an event that still fails becomes a dead letter; null: never"
    )


class Circuit:
    """The breaker of one far side.

    Closed while it answers; open after a number of failures in a row; half open while
    a single probe is on its way, which closes it or opens it again. Pure: who asks
    does the waiting.

    Source: full jitter while closed, M. Brooker (2015), Exponential Backoff And Jitter,
    AWS Architecture Blog; at least half of the wait while open, so that a probe
    is never followed by the next at once.
    """

    def __init__(self, policy: DeliveryPolicy, *, jitter: Callable[[float, float], float] = random.uniform) -> None:
        """Begin closed; `jitter(low, high)` draws a wait."""
        self._policy, self._jitter = policy, jitter
        self._failures = 0
        self.state: CircuitState = "closed"

    def asking(self) -> None:
        """A request is about to be made."""
        if self.state == "open":
            self.state = "half_open"

    def answered(self) -> None:
        """It answered, be it with a refusal."""
        self._failures, self.state = 0, "closed"

    def failed(self) -> None:
        """It did not answer, or asks for patience."""
        self._failures += 1
        if self.state == "half_open" or self._failures >= self._policy.opens_after:
            self.state = "open"

    def wait_s(self, after_s: float | None = None) -> float:
        """Seconds until it may be asked again.

        Args:
            after_s: how long it asked to be left alone, if it did.
        """
        policy = self._policy
        longest_s = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** min(self._failures - 1, 60))
        wait_s = self._jitter(longest_s / 2 if self.state == "open" else 0.0, longest_s)
        if after_s is None:
            return wait_s
        # Asked for by one, Retry-After is often asked for of many: they should not all come back at once.
        asked_s = min(after_s, policy.longest_retry_after_s) + self._jitter(0.0, policy.first_wait_s)
        return max(wait_s, asked_s)
