"""What the flags of `seacanary init` have answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Given:
    """One answer for each question; None, or nothing: it is asked.

    Attributes:
        name: of the station.
        position: degrees north, east.
        sources: each as in a configuration.
        model: folder of the model, or "bundled".
        jsonl: file for events, or "none".
        redis: URL, or "none".
        redis_password_file: file of its password.
        webhook: URL, or "none".
        webhook_secret_file: file of its secret.
        webhook_private: whether it may be in our own network.
        notify_file: file of a channel's URL, or "none".
        species: that alerts tell of, separated by commas.
        state: folder of journal and events.
    """

    name: str | None = None
    position: str | None = None
    sources: Sequence[str] = ()
    model: str | None = None
    jsonl: str | None = None
    redis: str | None = None
    redis_password_file: Path | None = None
    webhook: str | None = None
    webhook_secret_file: Path | None = None
    webhook_private: bool | None = None
    notify_file: str | None = None
    species: str | None = None
    state: Path = Path("state")


NONE = "none"


def read_or_none(said: str) -> str | None:
    """An answer that may be: nothing of that kind."""
    return None if said in ("", NONE) else said
