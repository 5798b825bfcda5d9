"""Notification channels: whether their URLs are any channel's; a message is sent only if that was asked for."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime

from seacanary.doctor.findings import Finding, broken, ok
from seacanary.errors import ConfigError, DeliveryError
from seacanary.events import JournalEntry
from seacanary.publishers.notify import Notify, NotifySection
from seacanary.publishers.webhook_trial import trial_event

SEND_S = 30.0


def channel(section: NotifySection, station: str, *, send: bool) -> Iterator[Finding]:
    """One channel.

    Args:
        section: of the configuration.
        station: its name, for a test message.
        send: whether to send one.
    """
    name = f"channel {section.name}"
    scheme = ""
    try:
        scheme = section.secret_url().partition("://")[0]
        if send:
            asyncio.run(_send(section, station))
    except (ConfigError, ValueError) as exc:
        yield broken(
            name,
            str(exc),
            means="the station does not start with it",
            remedy="correct url or url_file; github.com/caronc/apprise/wiki has every channel's form",
        )
    except (DeliveryError, TimeoutError) as exc:
        yield broken(
            name,
            f"a test message was not taken: {exc or 'no answer'}",
            means="people do not hear of alerts by this channel; they wait in the journal",
            remedy="compare its tokens, addresses and rights with the service's own settings; and its network",
        )
    else:
        sent = "took a test message" if send else "is well-formed; --send would send a test message to people"
        yield ok(name, f"{scheme}:// {sent}")


async def _send(section: NotifySection, station: str) -> None:
    at = datetime.now(UTC)
    entry = JournalEntry(
        sequence=1, entry_ms=round(at.timestamp() * 1000), entry_step=0,
        event=trial_event(station, section.name, at=at),
    )  # fmt: skip
    async with aclosing(Notify(section)) as notify, asyncio.timeout(SEND_S):
        await notify.publish([entry])
