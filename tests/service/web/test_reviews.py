"""Confirm or reject: only a pressed button writes, a double click is one word, every other word is kept."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest

from event_samples import event
from seacanary.errors import JournalError
from seacanary.web import reviews as reviews_module
from web_samples import NOW, alert_of, web_station

ANNA = {"reviewer": "Anna Müller", "note": "three whistles"}


@pytest.mark.parametrize(("name", "verdict"), [("confirm", "confirmed"), ("reject", "rejected")])
async def test_an_answer_becomes_an_event(tmp_path: Path, name: str, verdict: str) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        answer = await station.client.post(station.link(alert_of(event(1)), name), data=ANNA)
        assert answer.status_code == 200
        assert "Thank you, Anna Müller" in answer.text
        [review] = await station.reviews()
        assert (review.verdict, review.event_id, review.rule) == (verdict, event(1).id, "any-beluga")
        assert (review.reviewer, review.note) == ("Anna Müller", "three whistles")
        assert (review.station, review.hydrophone, review.species) == ("station", "north", "beluga")
        assert NOW < review.reviewed_at < NOW + timedelta(seconds=1)


async def test_looking_writes_nothing(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        for method in ("GET", "HEAD"):
            for link in ("confirm", "reject", "evidence"):
                answer = await station.client.request(method, station.link(alert_of(event(1)), link))
                assert answer.status_code == 200
        assert station.journal.head == 1


async def test_a_double_click_is_one_word(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        link = station.link(alert_of(event(1)))
        at_once = await asyncio.gather(*(station.client.post(link, data=ANNA) for _ in range(5)))
        later = await station.client.post(link, data=ANNA)
        assert {answer.status_code for answer in (*at_once, later)} == {200}
        assert len(await station.reviews()) == 1
        labels = {"species": "beluga", "verdict": "confirmed"}
        assert station.metrics.registry.get_sample_value("seacanary_reviews_total", labels) == 1


async def test_words_of_others_and_changes_of_mind_are_all_kept(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        confirm, reject = (station.link(alert_of(event(1)), name) for name in ("confirm", "reject"))
        for link, name in ((confirm, "Anna"), (reject, "Ben"), (confirm, "Anna"), (reject, "Anna")):
            await station.client.post(link, data={"reviewer": name})
        assert [(r.reviewer, r.verdict) for r in await station.reviews()] == [
            ("Anna", "confirmed"), ("Ben", "rejected"), ("Anna", "confirmed"), ("Anna", "rejected"),
        ]  # fmt: skip
        page = (await station.client.get(f"/events/{event(1).id}")).text
        assert [page.count(f"by {name},") for name in ("Anna", "Ben")] == [3, 1]


async def test_the_name_is_remembered(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        link = station.link(alert_of(event(1)))
        assert 'name="reviewer"' in (first := (await station.client.get(link)).text)
        assert "Anna" not in first
        answer = await station.client.post(link, data=ANNA)
        assert "httponly" in answer.headers["set-cookie"].lower()
        assert 'value="Anna Müller"' in (await station.client.get(link)).text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Please give your name"),
        ({"reviewer": "   "}, "Please give your name"),
        ({"reviewer": "a" * 81}, "at most 80"),
        ({"reviewer": "a\nb"}, "one line"),
        ({"reviewer": "Anna", "note": "n" * 1001}, "at most 1000"),
    ],
)
async def test_a_form_with_faults_comes_back_with_what_was_given(
    tmp_path: Path, given: dict[str, str], says: str
) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        answer = await station.client.post(station.link(alert_of(event(1))), data=given)
        assert answer.status_code == 422
        assert says in answer.text
        assert given.get("note", "") in answer.text
        assert await station.reviews() == []


async def test_what_people_write_cannot_become_markup(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        evil = {"reviewer": "<script>alert(1)</script>", "note": '"><img src=x onerror=alert(2)>'}
        await station.client.post(station.link(alert_of(event(1))), data=evil)
        pages = [
            await station.client.get(f"/events/{event(1).id}"),
            await station.client.get(station.link(alert_of(event(1)))),
        ]
        for page in pages:
            assert "&lt;script&gt;" in page.text
            assert not re.search(r"<script|<img src=x", page.text)


async def test_bad_links_are_answered_with_a_page_and_write_nothing(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        good = station.link(alert_of(event(1)))
        bad = {
            good[:-3] + "abc": (403, "not given out by this station"),
            station.link(alert_of(event(1), station="elsewhere")): (403, "belongs to station elsewhere"),
            station.link(alert_of(event(1), at=NOW - timedelta(days=8))): (410, "could be used until 2026-04-30"),
            station.link(alert_of(event(9))): (409, "does not hold event"),
        }
        for link, (status, says) in bad.items():
            for answer in (await station.client.get(link), await station.client.post(link, data=ANNA)):
                assert answer.status_code == status
                assert says in answer.text
                assert answer.headers["content-type"].startswith("text/html")
        assert await station.reviews() == []


async def test_a_journal_that_fails_is_said_and_the_answer_can_be_given_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        link = station.link(alert_of(event(1)))
        station.failure.append(JournalError("/secret/place: disk full"))
        answer = await station.client.post(link, data=ANNA)
        assert answer.status_code == 503
        assert "try again" in answer.text
        assert "/secret/place" not in answer.text
        assert "disk full" in caplog.text
        station.failure.clear()
        assert (await station.client.post(link, data=ANNA)).status_code == 200
        assert len(await station.reviews()) == 1


async def test_a_slow_journal_keeps_nobody_waiting_and_loses_no_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews_module, "PATIENCE_S", 0.05)
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        link, free = station.link(alert_of(event(1))), asyncio.Event()
        append = station.journal.append

        async def slowly(*args: object, **kwargs: object) -> object:
            await free.wait()
            return await append(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(station.journal, "append", slowly)
        assert (await station.client.post(link, data=ANNA)).status_code == 503
        assert (await station.client.post(link, data=ANNA)).status_code == 503
        free.set()
        while not await station.reviews():
            await asyncio.sleep(0.01)
        assert (await station.client.post(link, data=ANNA)).status_code == 200
        assert len(await station.reviews()) == 1
