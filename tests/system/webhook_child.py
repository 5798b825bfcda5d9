"""A process that makes events and delivers them to a webhook, to be killed by test_webhook_faults.

Usage: webhook_child.py JOURNAL URL EVENTS POLICY, with POLICY as JSON. It makes events 1 to EVENTS, of two
hydrophones in turn, leaves out what the journal holds already, and ends once all are delivered.
"""

import asyncio
import sys
from contextlib import aclosing, suppress
from pathlib import Path

from event_samples import event
from seacanary.journal import Journal
from seacanary.publishers.circuit import PatientPolicy
from seacanary.publishers.delivery import Delivery
from seacanary.publishers.webhook import Webhook
from seacanary.publishers.webhook_section import WebhookSection
from webhook_receiver import SECRET

BETWEEN_EVENTS_S = 0.02


async def deliver(path: Path, url: str, *, events: int, policy: PatientPolicy) -> None:
    section = WebhookSection.model_validate(
        {"url": url, "secret": SECRET, "allow_private_networks": True, "events": ["presence"], "delivery": policy}
    )
    async with await Journal.open(path) as journal, aclosing(Webhook(section)) as webhook:
        delivery = Delivery(journal, webhook, policy=section.delivery, on_change=lambda _: None)
        running = asyncio.create_task(delivery.run())
        for number in range(1, events + 1):
            if await journal.append([event(number, hydrophone=("north", "south")[number % 2])]):
                await asyncio.sleep(BETWEEN_EVENTS_S)
        await delivery.drain(3600)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


if __name__ == "__main__":
    journal_path, to_url, count, policy_json = sys.argv[1:]
    patience = PatientPolicy.model_validate_json(policy_json)
    asyncio.run(deliver(Path(journal_path), to_url, events=int(count), policy=patience))
