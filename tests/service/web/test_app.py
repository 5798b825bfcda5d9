"""The web application: what programs get, what everything is held to."""

import re
from pathlib import Path

import pytest

from event_samples import event
from seacanary.web.limits import MOST_BODY_BYTES
from seacanary.web.section import WebSection
from web_samples import alert_of, web_station, with_evidence


async def test_it_says_that_it_is_alive(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        answer = await station.client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_the_api_gives_events_page_by_page_with_their_reviews(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1), event(2), event(3, species="porpoise")])
        await station.client.post(station.link(alert_of(event(1))), data={"reviewer": "Anna"})
        first = (await station.client.get("/api/events", params={"limit": 2})).json()
        assert [e["event"]["onset_sample"] for e in first["events"]] == [3, 2]
        second = (await station.client.get("/api/events", params={"limit": 2, "before": first["next_before"]})).json()
        [one] = second["events"]
        assert second["next_before"] is None
        assert (one["verdict"], one["reviews"][0]["reviewer"]) == ("confirmed", "Anna")
        assert (await station.client.get(f"/api/events/{event(1).id}")).json() == one
        porpoises = (await station.client.get("/api/events", params={"species": "porpoise"})).json()
        assert len(porpoises["events"]) == 1


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-05-01T00:00:00", "limit=0", "limit=201", "speceis=beluga"]
)
async def test_a_query_that_means_nothing_is_refused(tmp_path: Path, query: str) -> None:
    async with web_station(tmp_path) as station:
        answer = await station.client.get(f"/api/events?{query}")
        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.text


async def test_a_program_can_review_with_the_token(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1), event(2)])
        token = station.link(alert_of(event(1)), "reject").rpartition("/")[2]
        place = f"/api/events/{event(1).id}/review"
        for _ in range(2):
            answer = await station.client.post(place, json={"token": token, "reviewer": "nightly check"})
            assert answer.status_code == 200
            assert [r["verdict"] for r in answer.json()["reviews"]] == ["rejected"]
        assert len(await station.reviews()) == 1
        other = await station.client.post(f"/api/events/{event(2).id}/review", json={"token": token, "reviewer": "x"})
        assert (other.status_code, other.json()) == (403, {"detail": "This token is for another event."})
        bare = await station.client.post(place, json={"reviewer": "x"})
        assert bare.status_code == 422
        forged = await station.client.post(place, json={"token": token + "x", "reviewer": "x"})
        assert forged.status_code == 403


async def test_an_unknown_event_is_not_found(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        api = await station.client.get(f"/api/events/{event(2).id}")
        assert (api.status_code, api.headers["content-type"]) == (404, "application/json")
        for name in (str(event(2).id), "nonsense"):
            page = await station.client.get(f"/events/{name}")
            assert page.status_code == 404
            assert "<h1>Not found</h1>" in page.text


async def test_the_event_page_shows_what_there_is(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        heard = with_evidence(1, station.evidence)
        await station.journal.append([heard, event(2)])
        page = (await station.client.get(f"/events/{heard.id}")).text
        assert "2026-05-01 00:00:00 UTC" in page
        assert "90 % at its highest" in page
        for src in re.findall(r'(?:src|href)="/north(/evidence/[^"]+)"', page):
            assert (await station.client.get(src)).status_code == 200
        assert page.count("/evidence/") == 4
        bare = (await station.client.get(f"/events/{event(2).id}")).text
        assert "There is no clip" in bare
        assert "/evidence/" not in bare


async def test_every_answer_has_strict_headers_and_pages_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        for path in ("/healthz", "/api/events", "/nowhere", f"/events/{event(1).id}", station.link(alert_of(event(1)))):
            answer = await station.client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(r'(src|href)="(https?:)?//', answer.text)
            assert "<script" not in answer.text


async def test_large_bodies_are_refused_whether_they_say_so_or_not(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        link = station.link(alert_of(event(1)))
        form = {"content-type": "application/x-www-form-urlencoded"}

        async def undeclared(size: int):
            for _ in range(size):
                yield b"a" * 1000

        declared = await station.client.post(link, content=b"a" * (MOST_BODY_BYTES + 1), headers=form)
        streamed = await station.client.post(link, content=undeclared(100), headers=form)
        as_json = await station.client.post(f"/api/events/{event(1).id}/review", content=undeclared(100))
        assert [answer.status_code for answer in (declared, streamed, as_json)] == [413, 413, 413]
        assert await station.reviews() == []


async def test_the_longest_answer_allowed_fits(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        words = {"reviewer": "🐋" * 80, "note": "🐋" * 1000}
        assert (await station.client.post(station.link(alert_of(event(1))), data=words)).status_code == 200


async def test_a_foreign_host_name_is_refused(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        answer = await station.client.get("/healthz", headers={"host": "rebound.example"})
        assert answer.status_code == 400
        for host in ("127.0.0.1:8320", "localhost", "canary.test"):
            assert (await station.client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("kept_by_proxy", ["", "/north"])
async def test_pages_work_behind_a_proxy_that_keeps_or_strips_its_prefix(tmp_path: Path, kept_by_proxy: str) -> None:
    async with web_station(tmp_path) as station:
        await station.journal.append([event(1)])
        page = await station.client.get(kept_by_proxy + station.link(alert_of(event(1))))
        assert page.status_code == 200
        assert 'href="/north/review/' in page.text
        missing = await station.client.get(f"{kept_by_proxy}/events/nonsense")
        assert "<h1>Not found</h1>" in missing.text


async def test_the_cookie_is_for_tls_alone_where_people_come_by_tls(tmp_path: Path) -> None:
    section = WebSection(public_url="https://canary.test/north")
    async with web_station(tmp_path, section=section) as station:
        await station.journal.append([event(1)])
        link = station.links.links(alert_of(event(1)))["confirm"].removeprefix("https://canary.test/north")
        answer = await station.client.post(link, data={"reviewer": "Anna"})
        assert "secure" in answer.headers["set-cookie"].lower()


async def test_the_api_describes_itself(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        described = (await station.client.get("/api/openapi.json")).json()
        assert set(described["paths"]) == {
            "/healthz", "/api/events", "/api/events/{event_id}", "/api/events/{event_id}/review",
            "/api/events/{event_id}/clip", "/api/audio/{hydrophone}", "/evidence/{path}",
        }  # fmt: skip
        assert "410" in described["paths"]["/api/events/{event_id}/review"]["post"]["responses"]
        assert (await station.client.get("/docs")).status_code == 404
