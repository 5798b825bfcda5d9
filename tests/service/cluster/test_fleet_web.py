"""What a worker answers for the fleet: rows with their effort, null where nobody listened, and what a query must be."""

import csv
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from seacanary.cluster.fleet_hours import Effort, HourPart, HydrophoneHour, SpeciesHour
from seacanary.cluster.fleet_store import FleetStore, FleetStoreError, HoursAsked, KnownHydrophone, Told
from seacanary.cluster.fleet_web import fleet_app, serving_fleet
from seacanary.errors import ConfigError
from seacanary.web.section import WebSection

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=3)
HOUR_US = 3_600_000_000


def part(hour: int = 0, *, station: str = "pier", hydrophone: str = "h1", **changes: object) -> HourPart:
    fields: dict[str, object] = {
        "changes": 1,
        "first_sample": hour,
        "until": NOON + timedelta(hours=hour, minutes=30),
        "effort": Effort(listened_us=HOUR_US // 2),
        "species": {"beluga": SpeciesHour(peak_probability=0.1), "porpoise": SpeciesHour()},
    }
    hour_at = NOON + timedelta(hours=hour)
    return HourPart(station=station, hydrophone=hydrophone, hour=hour_at, epoch=NOON, **{**fields, **changes})


class Hours:
    """A store, without a topic."""

    is_complete, broken = True, False

    def __init__(self, store: FleetStore) -> None:
        self.store = store

    async def hours(self, asked: HoursAsked) -> list[HydrophoneHour]:
        if self.broken:
            raise FleetStoreError("the disk is gone")
        return self.store.hours(asked)

    async def hydrophones(self) -> list[KnownHydrophone]:
        return self.store.hydrophones()

    async def species(self) -> list[str]:
        return self.store.species()

    async def told_ms(self) -> int | None:
        return self.store.told_ms


@asynccontextmanager
async def client(folder: Path, parts: Sequence[HourPart]) -> AsyncIterator[tuple[httpx.AsyncClient, Hours]]:
    store = FleetStore.open(folder / "hours.db")
    store.take([Told(one, 1_777_640_000_000 + place) for place, one in enumerate(parts)], next_offset=len(parts))
    hours = Hours(store)
    app = fleet_app(WebSection(), hours, now=lambda: NOW)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as asks:
        yield asks, hours
    store.close()


async def test_a_row_tells_zero_from_not_observed(tmp_path: Path) -> None:
    deaf = part(1, species={"beluga": SpeciesHour(peak_probability=0.2), "porpoise": SpeciesHour(unobservable_us=5)})
    nothing = part(2, effort=Effort(lost_us=HOUR_US))
    async with client(tmp_path, [part(), deaf.model_copy(update={"effort": Effort(degraded_us=5)}), nothing]) as (
        asks,
        _,
    ):
        rows = (await asks.get("/fleet")).json()["rows"]
    said = {(row["hour"][11:13], row["species"]): row for row in rows}
    assert said["12", "beluga"] == {
        **{"station": "pier", "hydrophone": "h1", "hour": "2026-05-01T12:00:00Z", "species": "beluga"},
        **{"present_s": 0, "positive_minutes": 0, "encounters": 0, "peak_probability": 0.1},
        **{"listened_s": 1800, "degraded_s": 0, "lost_s": 0, "unobservable_s": 0},
    }
    assert said["13", "beluga"]["encounters"] == 0
    assert said["13", "porpoise"]["encounters"] is None
    assert said["14", "beluga"]["positive_minutes"] is None
    assert said["14", "beluga"]["lost_s"] == 3600


async def test_parts_of_an_hour_are_one_row_and_the_newer_version_counts(tmp_path: Path) -> None:
    heard = SpeciesHour(present_us=2_000_000, encounters=1, positive_minutes=(3, 4), peak_probability=0.9)
    newer = part(changes=7, species={"beluga": heard, "porpoise": SpeciesHour()})
    other = part(
        first_sample=99, species={"beluga": SpeciesHour(present_us=500_000, encounters=1, positive_minutes=(4,))}
    )
    async with client(tmp_path, [newer, part(changes=3), other]) as (asks, _):
        [row] = (await asks.get("/fleet", params={"species": "beluga"})).json()["rows"]
    assert (row["present_s"], row["encounters"], row["positive_minutes"]) == (2.5, 2, 2)
    assert (row["listened_s"], row["peak_probability"]) == (3600, 0.9)


async def test_rows_are_chosen_by_station_hydrophone_species_and_time(tmp_path: Path) -> None:
    names = itertools.product((-30, 0, 1, 2), ("pier", "reef"), ("h1", "h2"))
    parts = [part(hour, station=station, hydrophone=hydrophone) for hour, station, hydrophone in names]
    async with client(tmp_path, parts) as (asks, _):

        async def count(**asked: str) -> int:
            answer = await asks.get("/fleet", params=asked)
            assert answer.status_code == 200, answer.text
            return len(answer.json()["rows"])

        assert await count() == 3 * 4 * 2  # the last day
        assert await count(**{"from": "2026-04-01T00:00:00Z"}) == 4 * 4 * 2
        assert await count(station="reef", hydrophone="h2", species="porpoise") == 3
        assert await count(**{"from": "2026-05-01T12:59:59Z", "to": "2026-05-01T13:00:00Z"}) == 4 * 2
        assert await count(**{"from": "2026-05-01T13:00:00Z", "to": "2026-05-01T13:00:01Z"}) == 4 * 2
        assert await count(**{"from": "2026-05-01T14:00:00+02:00", "to": "2026-05-01T15:00:00+02:00"}) == 4 * 2


async def test_pages_and_csv_hold_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seacanary.cluster.fleet_web.HOURS_AT_ONCE", 2)
    parts = [part(hour, station=station) for hour in range(3) for station in ("pier", "a.b")]
    async with client(tmp_path, parts) as (asks, _):
        rows, after = [], ""
        while after is not None:
            page = (await asks.get("/fleet", params={"limit": 3, **({"after": after} if after else {})})).json()
            rows.extend(page["rows"])
            after = page["next_after"]
        table = await asks.get("/fleet", params={"format": "csv"})
    assert len(rows) == 6 * 2
    assert table.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(table.text.splitlines()))
    assert [[line["station"], line["hour"], line["species"]] for line in lines] == [
        [row["station"], row["hour"], row["species"]] for row in rows
    ]
    assert [line["peak_probability"] for line in lines[:2]] == ["0.1", ""]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=yesterday", "from: Input should be a valid datetime"),
        ("from=2026-05-01T00:00:00", "from: Input should have timezone info"),
        ("to=0001-01-01T00:00:00Z", "to: must lie in a year from 1970 to 2199, got '0001-01-01T00:00:00Z'"),
        ("to=0001-01-01T00:00:00+14:00", "to: must lie in a year"),
        ("from=0001-01-01T00:00:00Z&to=2026-05-01T00:00:00Z&format=csv", "from: must lie in a year"),
        ("from=9999-12-31T23:59:59Z", "from: must lie in a year"),
        ("after=0001-01-01T00:00:00+14:00/pier/h1", "after: must be next_after"),
        ("from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z", "must be before to (2026-05-01T00:00:00"),
        ("format=xml", "format: Input should be 'json' or 'csv', got 'xml'"),
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("after=there", "after: must be next_after of the page before, got 'there'"),
        ("after=2026-05-01T00:00:00Z/pier", "after: must be next_after"),
        ("spiecies=beluga", "there are station, hydrophone, species, from, to, format, limit, after"),
        ("station=peer", "station: 'peer' is not known; known are pier"),
        ("hydrophone=h9", "hydrophone: 'h9' is not known; known are h1"),
        ("species=orca", "species: 'orca' is not known; known are beluga, porpoise"),
    ],
)
async def test_a_query_that_means_nothing_is_refused_with_what_would(tmp_path: Path, query: str, says: str) -> None:
    async with client(tmp_path, [part()]) as (asks, _):
        answer = await asks.get(f"/fleet?{query.replace('+', '%2B')}")
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


async def test_stations_say_how_far_they_have_been_heard(tmp_path: Path) -> None:
    parts = [part(0), part(2), part(1), part(1, hydrophone="h2"), part(1, station="reef")]
    async with client(tmp_path, parts) as (asks, _):
        pier, reef = (await asks.get("/fleet/stations")).json()
    assert [(one["station"], len(one["hydrophones"])) for one in (pier, reef)] == [("pier", 2), ("reef", 1)]
    first = pier["hydrophones"][0]
    assert (first["first_hour"], first["last_hour"]) == ("2026-05-01T12:00:00Z", "2026-05-01T14:00:00Z")
    assert first["heard_until"] == "2026-05-01T14:30:00Z"
    assert first["told"].startswith("2026-05-01T12:53:20.002")


async def test_a_worker_that_does_not_know_all_says_so(tmp_path: Path) -> None:
    async with client(tmp_path, [part()]) as (asks, hours):
        hours.broken = True
        answer = await asks.get("/fleet")
        assert (answer.status_code, "the disk is gone" in answer.text) == (503, True)
        hours.is_complete = False
        assert [(await asks.get(place)).status_code for place in ("/fleet", "/fleet/stations", "/healthz")] == [
            503,
            503,
            200,
        ]


async def test_names_of_others_are_refused_and_the_api_describes_itself(tmp_path: Path) -> None:
    async with client(tmp_path, []) as (asks, _):
        assert (await asks.get("/fleet", headers={"host": "evil.example"})).status_code == 400
        assert "/fleet/stations" in (await asks.get("/openapi.json")).json()["paths"]
        assert (await asks.get("/fleet")).json() == {"told": None, "rows": [], "next_after": None}


async def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    store = FleetStore.open(tmp_path / "hours.db")
    async with serving_fleet("127.0.0.1", 0, Hours(store)) as url, httpx.AsyncClient() as asks:
        assert (await asks.get(f"{url}/healthz")).json() == {"status": "alive"}
        with pytest.raises(ConfigError, match=r"choose another worker\.port"):
            async with serving_fleet("127.0.0.1", int(url.rpartition(":")[2]), Hours(store)):
                pass
    store.close()


def test_what_was_taken_survives_and_can_be_forgotten(tmp_path: Path) -> None:
    store = FleetStore.open(tmp_path / "hours.db")
    store.take([Told(part(), 5)], next_offset=17)
    store.close()
    store = FleetStore.open(tmp_path / "hours.db")
    assert (store.next_offset, store.told_ms, store.species()) == (17, 5, ["beluga", "porpoise"])
    store.clear()
    assert (store.next_offset, store.told_ms, store.hydrophones()) == (0, None, [])
    store.close()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hours.db").write_bytes(b"no database" * 100)
    with pytest.raises(FleetStoreError, match=r"hours\.db"):
        FleetStore.open(tmp_path / "hours.db")
