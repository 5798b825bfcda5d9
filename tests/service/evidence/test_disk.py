import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from evidence_folder import NOW, put_clip
from seacanary.conditions import ConditionLog
from seacanary.errors import JournalError
from seacanary.events import ConditionEvent, Event
from seacanary.evidence import disk as retention_disk
from seacanary.evidence.disk import EvidenceDisk
from seacanary.evidence.place import Place
from seacanary.evidence.retention import EvidenceRetention
from seacanary.evidence.telemetry import EvidenceTelemetry
from seacanary.metrics import Metrics


class Told:
    """What the disk says; refuses while `broken`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.broken = False

    async def __call__(self, events: Sequence[Event]) -> None:
        if self.broken:
            raise JournalError("the disk is full")
        self.events += events

    def changes(self) -> list[tuple[str, str]]:
        return [(event.condition, event.change) for event in self.events if isinstance(event, ConditionEvent)]


class Site:
    """A disk of `free_bytes` behind the evidence folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **rule: object) -> None:
        self.folder, self.told, self.metrics = folder, Told(), Metrics()
        self.free_bytes, self.now_s = 10**12, 0.0
        monkeypatch.setattr(Place, "free_bytes", lambda _: self.free_bytes)
        section = EvidenceRetention.model_validate({"min_free_bytes": 0, "min_headroom_hours": 0, **rule})
        self.disk = EvidenceDisk(
            folder,
            section,
            conditions=ConditionLog("station", metrics=self.metrics, tell=self.told),
            on_round=EvidenceTelemetry(self.metrics).disk_looked_at,
            utc_now=lambda: NOW,
            monotonic_s=lambda: self.now_s,
        )

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"seacanary_{name}", labels)


async def test_what_is_over_the_limits_goes_and_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, max_age_days=10, max_bytes=4000)
    names = [put_clip(tmp_path, age_h) for age_h in (300, 200, 100, 50, 1)]
    rare = put_clip(tmp_path, 230, species="narwhal")
    await site.disk.look()
    assert not (tmp_path / (names[0] + ".flac")).exists()
    assert not (tmp_path / (names[1] + ".json")).exists()
    assert (tmp_path / (names[2] + ".flac")).exists()
    assert (tmp_path / (rare + ".flac")).exists()
    assert site.metric("evidence_deleted_total", species="beluga", cause="age") == 1
    assert site.metric("evidence_deleted_total", species="beluga", cause="quota") == 1
    assert site.metric("evidence_bytes", species="beluga") == 3000
    assert site.metric("evidence_bytes", species="narwhal") == 1000
    assert site.metric("evidence_state", state="recording") == 1
    assert site.told.changes() == []
    await site.disk.aclose()


async def test_a_disk_that_fills_is_told_once_and_its_end_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, min_free_bytes=10_000)
    for site.free_bytes in (20_000, 8_900, 8_000, 4_000, 4_000, 9_999, 10_000, 20_000):
        await site.disk.look()
    assert site.told.changes() == [
        ("disk_low", "begun"),
        ("evidence_stopped", "begun"),
        ("disk_low", "ended"),
        ("evidence_stopped", "ended"),
    ]
    assert "GB free" in site.told.events[0].model_dump()["detail"]
    assert site.metric("disk_free_bytes") == 20_000
    await site.disk.aclose()


async def test_evidence_is_refused_only_while_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, min_free_bytes=10_000)
    refusals = []
    for site.free_bytes in (20_000, 4_000, 12_000):
        await site.disk.look()
        refusals.append(site.disk.refusal())
    assert refusals[0] is refusals[2] is None
    assert refusals[1] is not None
    await site.disk.aclose()


async def test_headroom_is_measured_from_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, min_headroom_hours=1)
    for ten_minutes in range(11):
        site.now_s, site.free_bytes = ten_minutes * 600.0, 60_000 - ten_minutes * 5000
        await site.disk.look()
    assert site.metric("disk_headroom_hours") == pytest.approx(10_000 / 30_000)
    await site.disk.aclose()


async def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deep" / "evidence"
    site = Site(folder, monkeypatch)
    await site.disk.look()
    put_clip(folder, 1)
    shutil.rmtree(folder.parent)
    seen = await site.disk.look()
    assert folder.is_dir()
    assert not seen.verdict.stopped
    await site.disk.aclose()


async def test_a_folder_that_cannot_be_stops_evidence_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "evidence"
    folder.write_text("a file stands in the way")
    site = Site(folder, monkeypatch)
    await site.disk.look()
    assert "File exists" in (site.disk.refusal() or "")
    assert site.told.changes() == [("evidence_stopped", "begun")]
    folder.unlink()
    await site.disk.look()
    assert site.disk.refusal() is None
    assert site.told.changes() == [("evidence_stopped", "begun"), ("evidence_stopped", "ended")]
    await site.disk.aclose()


async def test_a_journal_that_fails_too_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, min_free_bytes=10_000)
    site.told.broken, site.free_bytes = True, 0
    await site.disk.look()
    assert site.disk.refusal() is not None
    site.told.broken, site.free_bytes = False, 10**12
    await site.disk.look()
    assert site.disk.refusal() is None
    await site.disk.aclose()


async def test_a_deletion_that_fails_stops_evidence_and_counts_what_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch, max_bytes=1000)
    names = [put_clip(tmp_path, age_h) for age_h in (3, 2, 1)]
    delete = retention_disk.Shelf.delete

    def refuses_the_second(shelf: retention_disk.Shelf, stem: str) -> None:
        if stem == names[1]:
            raise OSError(30, "Read-only file system")
        delete(shelf, stem)

    monkeypatch.setattr(retention_disk.Shelf, "delete", refuses_the_second)
    seen = await site.disk.look()
    assert [deletion.clip.stem for deletion in seen.deleted] == [names[0]]
    assert seen.kept_bytes == {"beluga": 2000}
    assert "Read-only file system" in (site.disk.refusal() or "")
    await site.disk.aclose()
