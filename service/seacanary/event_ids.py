"""Deterministic event ids: the same fact always has the same name."""

from uuid import UUID, uuid5

# uuid5(NAMESPACE_DNS, "events.seacanary.org"): fixed for ever, or ids change.
EVENT_NAMESPACE = UUID("6d700aa5-30cb-5474-80c0-fd40d8b4a838")


def named_by(*parts: str) -> UUID:
    """UUIDv5 of what an event is about."""
    return uuid5(EVENT_NAMESPACE, "\x1f".join(parts))
