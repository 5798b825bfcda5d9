"""Evidence files: what belongs to events, with ranges, and no way out of the folder."""

from pathlib import Path

import pytest

from seacanary.evidence.names import PARTS, file_of
from seacanary.web.evidence_files import EvidenceFiles
from web_samples import web_station, with_evidence

TYPES = {".flac": "audio/flac", "_x10.flac": "audio/flac", ".png": "image/png", ".json": "application/json"}


async def test_each_part_is_served_as_what_it_is(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        stem = with_evidence(1, station.evidence).evidence
        assert stem
        for part in PARTS:
            answer = await station.client.get(f"/evidence/{file_of(stem, part)}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == TYPES[part]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.text == file_of(stem, part).rpartition("/")[2]


async def test_audio_can_be_seeked(tmp_path: Path) -> None:
    async with web_station(tmp_path) as station:
        path = f"/evidence/{with_evidence(1, station.evidence).evidence}.flac"
        whole = await station.client.get(path)
        assert whole.headers["accept-ranges"] == "bytes"
        part = await station.client.get(path, headers={"range": "bytes=3-7"})
        assert (part.status_code, part.content) == (206, whole.content[3:8])
        assert part.headers["content-range"] == f"bytes 3-7/{len(whole.content)}"
        tail = await station.client.get(path, headers={"range": "bytes=-4"})
        assert tail.content == whole.content[-4:]
        beyond = await station.client.get(path, headers={"range": "bytes=99999-"})
        assert beyond.status_code == 416
        head = await station.client.head(path)
        assert (head.headers["content-length"], head.content) == (str(len(whole.content)), b"")


@pytest.mark.parametrize(
    "path",
    [
        "../journal.db",
        "..%2fjournal.db",
        "%2e%2e/journal.db",
        "north/../../journal.db",
        "north/2026-05-01/../../../journal.db",
        "/etc/passwd",
        "%00.flac",
        "north/2026-05-01/notes.txt",
        "north/2026-05-01",
        "",
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    async with web_station(tmp_path) as station:
        with_evidence(1, station.evidence)
        (station.evidence / "north" / "2026-05-01" / "notes.txt").write_text("private")
        answer = await station.client.get(f"http://localhost:8320/evidence/{path}")
        assert answer.status_code == 404


async def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    event = with_evidence(1, folder)
    files = EvidenceFiles(folder)
    clip = folder / f"{event.evidence}.flac"
    assert await files.find(f"{event.evidence}.flac")
    clip.unlink()
    (tmp_path / "secret.flac").write_text("not evidence")
    clip.symlink_to(tmp_path / "secret.flac")
    assert await files.find(f"{event.evidence}.flac") is None


async def test_what_is_kept_is_what_is_there(tmp_path: Path) -> None:
    event = with_evidence(1, tmp_path)
    (tmp_path / f"{event.evidence}.png").unlink()
    kept = await EvidenceFiles(tmp_path).kept(event.evidence)
    assert kept == {part: f"{event.evidence}{part}" for part in PARTS if part != ".png"}
    assert await EvidenceFiles(tmp_path).kept(None) == {}
    assert await EvidenceFiles(None).kept(event.evidence) == {}
    assert await EvidenceFiles(tmp_path / "gone").kept(event.evidence) == {}
