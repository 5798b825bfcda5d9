"""The exception tree: what machines do wrong. What the sea does is data."""

from typing import TypeVar


class SeaCanaryError(Exception):
    """Root of every error this project raises on purpose.

    Attributes:
        may_pass: whether the same may go well later, though nobody has changed anything.
    """

    may_pass = False


ErrorT = TypeVar("ErrorT", bound=SeaCanaryError)


def lasting(error: ErrorT) -> ErrorT:
    """The same error, where its like may pass and this one does not."""
    error.may_pass = False
    return error


def first_of(group: BaseExceptionGroup[SeaCanaryError]) -> SeaCanaryError:
    """The first error of a group, however deeply a task group has wrapped it."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


class ConfigError(SeaCanaryError):
    """A configuration was refused; the message names field, value and remedy."""


class ModelRefused(SeaCanaryError):
    """A model file is missing, damaged, or breaks its contract."""


class ProviderRefused(ModelRefused):
    """The execution provider asked for is not what the session really got."""


class SourceError(SeaCanaryError):
    """Something is wrong with a hydrophone feed."""


class SourceLost(SourceError):
    """The feed broke or could not be opened now; reopening may help."""


class SourceUnusable(SourceError):
    """The feed can never work as configured; reopening cannot help."""


class JournalError(SeaCanaryError):
    """The journal cannot be read or written."""

    may_pass = True


class DeliveryError(SeaCanaryError):
    """An event could not be delivered."""


class DeliveryRetryable(DeliveryError):
    """The far side is unwell; back off and try again.

    Attributes:
        after_s: how long it asked to be left alone, seconds; None: it did not say.
    """

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class DeliveryRejected(DeliveryError):
    """The far side will never accept this event; it belongs in the dead letters."""


class DeliveryLost(DeliveryError):
    """The far side no longer holds what it once acknowledged; deliver it again.

    Attributes:
        held_until: sequence up to which it still holds everything, 0 if nothing.
        keeps: how many of the newest entries it would keep at all; None: every one.
    """

    def __init__(self, message: str, *, held_until: int, keeps: int | None) -> None:
        super().__init__(message)
        self.held_until, self.keeps = held_until, keeps
