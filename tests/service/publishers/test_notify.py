"""Notify: through Apprise to a real HTTP receiver; what its URL holds stays out of every line and message."""

import asyncio
import base64
import io
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from alert_samples import presence, review, rule
from json_channel import JsonChannel
from seacanary.alerts.book import AlertBook
from seacanary.errors import ConfigError, DeliveryRetryable
from seacanary.events import AlertEvent, Event, JournalEntry
from seacanary.publishers.notify import Notify, NotifySection

PNG = b"\x89PNG\r\n\x1a\nsimulated picture"


@pytest.fixture
def channel() -> Iterator[JsonChannel]:
    with JsonChannel() as running:
        yield running


def section(channel: JsonChannel, **fields: object) -> NotifySection:
    return NotifySection.model_validate({"url": channel.url} | fields)


def entry(event: Event, sequence: int = 1) -> JournalEntry:
    return JournalEntry(sequence=sequence, entry_ms=1, entry_step=0, event=event)


def alert(seconds: float = 10) -> AlertEvent:
    [heard] = AlertBook(rule(), "station").take(entry(presence("started", seconds)))
    return heard


async def test_an_alert_arrives_with_title_text_and_links(channel: JsonChannel) -> None:
    notify = Notify(section(channel), links=lambda told: {"confirm": f"https://s/{told.rule}"})
    await notify.publish([entry(alert())])
    await notify.aclose()
    [message] = channel.messages
    assert message["title"] == "beluga heard at north"
    assert "2026-05-01 12:00:10 UTC" in message["message"]
    assert "confirm: https://s/beluga-watch" in message["message"]
    assert message["attachments"] == []


async def test_other_events_arrive_as_messages_too(channel: JsonChannel) -> None:
    notify = Notify(section(channel, events=["presence", "reviews"]))
    events = [presence("started", 5), review(9, presence("started", 5).id, "confirmed")]
    await notify.publish([entry(event) for event in events if notify.carries(event)])
    assert channel.titles == ["beluga started at north", "beluga at north confirmed"]


def test_it_carries_what_is_selected(channel: JsonChannel) -> None:
    notify = Notify(section(channel, rules=["beluga-watch"]))
    assert notify.carries(alert())
    assert not notify.carries(presence("started", 5))
    assert not notify.carries(alert().model_copy(update={"rule": "another"}))


async def test_a_picture_that_is_there_is_attached(channel: JsonChannel, tmp_path: Path) -> None:
    path = tmp_path / "beluga.png"
    path.write_bytes(PNG)
    await Notify(section(channel), picture=lambda _: path).publish([entry(alert())])
    [attached] = channel.messages[0]["attachments"]
    assert attached["filename"] == "beluga.png"
    assert base64.b64decode(attached["base64"]) == PNG


async def test_a_picture_may_be_waited_for_but_not_for_long(channel: JsonChannel, tmp_path: Path) -> None:
    path = tmp_path / "beluga.png"
    notify = Notify(section(channel, picture_wait_s=0.3), picture=lambda _: path)
    await notify.publish([entry(alert(1))])
    sending = asyncio.create_task(notify.publish([entry(alert(2))]))
    await asyncio.sleep(0.1)
    path.write_bytes(PNG)
    await sending
    assert [len(message["attachments"]) for message in channel.messages] == [0, 1]


@pytest.mark.parametrize("status", [400, 401, 500, 503])
async def test_what_the_channel_does_not_take_is_tried_again(channel: JsonChannel, status: int) -> None:
    channel.status = status
    notify = Notify(section(channel))
    with pytest.raises(DeliveryRetryable, match=f"error={status}"):
        await notify.publish([entry(alert())])
    channel.status = 200
    await notify.publish([entry(alert())])
    assert len(channel.messages) == 1


async def test_a_channel_that_is_away_is_tried_again() -> None:
    with JsonChannel() as channel:
        notify = Notify(section(channel))
    with pytest.raises(DeliveryRetryable, match="onnection"):
        await notify.publish([entry(alert())])


async def test_an_attempt_that_takes_long_is_waited_for_and_not_repeated(channel: JsonChannel) -> None:
    channel.delay_s = 0.6
    notify = Notify(section(channel))
    told = alert()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await notify.publish([entry(told)])
    await notify.publish([entry(told)])
    assert len(channel.paths) == 1


async def test_closing_waits_for_the_message_that_is_on_its_way(channel: JsonChannel) -> None:
    channel.delay_s = 0.3
    notify = Notify(section(channel))
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await notify.publish([entry(alert())])
    await notify.aclose()
    await notify.aclose()
    assert len(channel.messages) == 1


async def test_a_slow_channel_does_not_hold_the_loop(channel: JsonChannel) -> None:
    channel.delay_s = 0.5
    sending = asyncio.create_task(Notify(section(channel)).publish([entry(alert())]))
    longest_s = 0.0
    while not sending.done():
        began_s = time.monotonic()
        await asyncio.sleep(0.005)
        longest_s = max(longest_s, time.monotonic() - began_s)
    assert longest_s < 0.4


# --- secrets ------------------------------------------------------------------


@pytest.fixture
def our_log() -> Iterator[io.StringIO]:
    """All that reaches the root logger, as the service's log does; caplog also listens behind its back."""
    lines, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(lines), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("status", [200, 401])
async def test_nothing_of_the_url_is_ever_logged_or_said(
    channel: JsonChannel, status: int, our_log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    channel.status = status
    said = ""
    try:
        await Notify(section(channel)).publish([entry(alert())])
    except DeliveryRetryable as exc:
        said = str(exc)
    everything = our_log.getvalue() + said + "".join(capfd.readouterr())
    assert channel.paths == ["/hook-t0ken"]
    assert "hunter22" not in everything
    assert "hook-t0ken" not in everything
    assert repr(section(channel)).count("hunter22") == 0


async def test_a_complaint_that_quotes_the_url_comes_without_it() -> None:
    """Apprise names the host it cannot reach, and in slack:// and its like the host is a token."""
    notify = Notify(NotifySection.model_validate({"url": "json://xoxb-token.invalid/part%20two"}))
    with pytest.raises(DeliveryRetryable) as caught:
        await notify.publish([entry(alert())])
    assert "***" in str(caught.value)
    assert "xoxb-token" not in str(caught.value)


def test_the_url_may_come_from_a_file(channel: JsonChannel, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(channel.url + "\n")
    from_file = NotifySection.model_validate({"url_file": file})
    assert from_file.secret_url() == channel.url
    file.unlink()
    with pytest.raises(ConfigError, match="no URL can be read"):
        Notify(from_file)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "either url or url_file"),
        ({"url": "json://h/p4ssword", "url_file": "/dev/null"}, "either url or url_file"),
        ({"url": "carrierpigeon://p4ssword@loft"}, "no channel of this URL .'carrierpigeon://'"),
        ({"url": "p4ssword"}, "no channel of this URL .without a scheme"),
        ({"url": "slack://p4ssword"}, "no channel of this URL .'slack://'"),
        ({"url_file": "/nowhere/at/all"}, "no URL can be read: No such file"),
        ({"url": "json://h", "picture_wait_s": 60}, "less than or equal to 8"),
    ],
)
def test_a_url_that_is_no_channels_is_refused(fields: dict[str, object], what: str, our_log: io.StringIO) -> None:
    with pytest.raises(ValidationError, match=what) as caught:
        NotifySection.model_validate(fields)
    assert "p4ssword" not in our_log.getvalue()
    assert all("p4ssword" not in fault["msg"] for fault in caught.value.errors())


@pytest.mark.parametrize("between", [", ", " "])
def test_one_publisher_has_one_channel_so_that_none_gets_anothers_repeats(between: str) -> None:
    with pytest.raises(ValidationError, match="2 channels; give each a publisher of its own") as caught:
        NotifySection(url=SecretStr(f"json://user:hunter22@localhost{between}ntfy://t0pic"))
    assert "t0pic" not in str(caught.value)
