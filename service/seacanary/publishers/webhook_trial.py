"""A trial of a webhook: one signed event that says it is a test, past the journal."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from seacanary.errors import DeliveryError, DeliveryRetryable
from seacanary.event_ids import named_by
from seacanary.events import ConditionEvent
from seacanary.publishers.webhook import Answer, Webhook, judge
from seacanary.publishers.webhook_section import WebhookSection


@dataclass(frozen=True, slots=True)
class Trial:
    """What a test event came to.

    Attributes:
        in_words: for people.
        exit_code: 0 taken, 1 refused or not well, 2 no answer.
    """

    in_words: str
    exit_code: int


async def try_webhook(section: WebhookSection, station: str, *, at: datetime) -> Trial:
    """Post one test event, once.

    Raises:
        ConfigError: the secret cannot be read.
    """
    event = trial_event(station, section.name, at=at)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with aclosing(Webhook(section)) as webhook:
        try:
            async with asyncio.timeout(section.delivery.timeout_s):
                answer = await webhook.post(event)
        except TimeoutError:
            return Trial(f"{section.place} has not answered within {section.delivery.timeout_s:g} s", 2)
        except DeliveryRetryable as exc:
            return Trial(f"no answer: {exc}", 2)
    return _verdict(answer, section.place, event_id=str(event.id), took_s=loop.time() - began_s)


def _verdict(answer: Answer, place: str, *, event_id: str, took_s: float) -> Trial:
    try:
        judge(answer, place=place)
    except DeliveryError as exc:
        again = isinstance(exc, DeliveryRetryable)
        fate = "would be tried again" if again else "would become a dead letter at once"
        return Trial(f"{exc} (after {took_s:.2f} s); an event {fate}", 1)
    return Trial(f"{place} answers {answer.in_words} after {took_s:.2f} s: event {event_id} is taken", 0)


def trial_event(station: str, publisher: str, *, at: datetime) -> ConditionEvent:
    """An event that says of itself that it is a test."""
    return ConditionEvent(
        id=named_by(station, "webhook_test", publisher, at.isoformat()),
        station=station,
        condition="webhook_test",
        change="begun",
        since=at,
        at=at,
        detail=f"This is a test of the webhook {publisher}. Nothing happened at station {station}.",
    )
