import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest
from fsspec import register_implementation
from fsspec.core import url_to_fs
from fsspec.implementations.memory import MemoryFileSystem
from pydantic import ValidationError

from evidence_folder import NOW, put_clip
from seacanary.evidence.copies import CopyMarker, CopySection, EvidenceCopies
from seacanary.evidence.retention import DiskSpace, EvidenceRetention, deletions
from seacanary.evidence.shelf import COPIED, Shelf


class Unwell(MemoryFileSystem):
    """A target that fails in the way, and as often, as `ills` says."""

    protocol = "unwell"
    ills: ClassVar[list[str]] = []
    store: ClassVar[dict[str, object]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def put_file(self, lpath: str, rpath: str, **kwargs: object) -> None:
        ill = self.ills.pop(0) if self.ills else "none"
        if ill == "refuses":
            raise PermissionError(13, "no such key")
        if ill == "library":
            raise RuntimeError("an error of a foreign library")
        super().put_file(lpath, rpath, **kwargs)
        content = self.cat_file(rpath)
        if ill == "half":
            self.pipe_file(rpath, content[: len(content) // 2])
            raise ConnectionResetError(104, "connection reset")
        if ill == "truncates":
            self.pipe_file(rpath, content[:-1])
        if ill == "corrupts":
            self.pipe_file(rpath, bytes([content[0] ^ 1]) + content[1:])


register_implementation("unwell", Unwell, clobber=True)


def copies(folder: Path, target: str, outcomes: list[str], **changes: object) -> EvidenceCopies:
    quick = {"first_wait_s": 0.001, "longest_wait_s": 0.002, "settle_s": 0, "target": target}
    section = CopySection.model_validate({**quick, **changes})
    return EvidenceCopies(folder, section, on_copy=outcomes.append, utc_now=lambda: NOW)


def marker(folder: Path, stem: str) -> CopyMarker:
    return CopyMarker.model_validate_json((folder / (stem + COPIED)).read_bytes())


@pytest.fixture
def outcomes() -> list[str]:
    return []


async def test_every_file_of_a_clip_is_copied_and_verified_once(tmp_path: Path, outcomes: list[str]) -> None:
    folder, there = tmp_path / "evidence", tmp_path / "nas"
    names = [put_clip(folder, 1), put_clip(folder, 2, species="porpoise")]
    copying = copies(folder, there.as_uri(), outcomes)
    assert await copying.copy_due() == 2
    for name in names:
        for ending in (".flac", ".json", ".png"):
            content = (folder / (name + ending)).read_bytes()
            assert (there / (name + ending)).read_bytes() == content
            said = marker(folder, name).files[ending]
            assert (said.size_bytes, said.sha256) == (len(content), sha256(content).hexdigest())
    assert await copying.copy_due() == 0
    assert await copies(folder, there.as_uri(), outcomes).copy_due() == 0  # nor after a restart
    assert outcomes == ["verified", "verified"]
    await copying.aclose()


async def test_another_kind_of_target_is_only_another_url(tmp_path: Path, outcomes: list[str]) -> None:
    name, bucket = put_clip(tmp_path, 1), f"bucket-{uuid4().hex}"
    assert await copies(tmp_path, f"memory://{bucket}/station/", outcomes).copy_due() == 1
    there = MemoryFileSystem().cat_file(f"/{bucket}/station/{name}.flac")
    assert there == (tmp_path / f"{name}.flac").read_bytes()


@pytest.mark.parametrize("ill", ["refuses", "half", "truncates", "corrupts", "library"])
async def test_a_copy_that_is_not_whole_is_made_again_and_never_marked(
    tmp_path: Path, outcomes: list[str], ill: str
) -> None:
    name = put_clip(tmp_path, 1)
    Unwell.ills = [ill, "none", ill]  # the first file of the first attempt, the second file of the second
    copying = copies(tmp_path, f"unwell://{ill}", outcomes, attempts=2)
    assert await copying.copy_due() == 0
    assert not (tmp_path / (name + COPIED)).exists()
    assert outcomes == ["failed", "failed"]
    assert f"unwell://{ill}" in (copying.trouble or "")
    assert await copying.copy_due() == 1
    assert outcomes == ["failed", "failed", "verified"]
    assert copying.trouble is None
    for ending, said in marker(tmp_path, name).files.items():
        target, path = url_to_fs(f"unwell://{ill}/{name}{ending}")
        content = target.cat_file(path)
        assert sha256(content).hexdigest() == said.sha256


async def test_nothing_that_is_not_verified_is_deleted(tmp_path: Path, outcomes: list[str]) -> None:
    put_clip(tmp_path, 48)
    rule = EvidenceRetention(max_age_days=1, require_copy=True, min_free_bytes=0)

    def due() -> int:
        kept = [clip for shelved in Shelf(tmp_path).contents() if (clip := shelved.kept())]
        return len(deletions(kept, DiskSpace(10**12), rule=rule, now=NOW))

    Unwell.ills = ["corrupts"]
    copying = copies(tmp_path, "unwell://careful", outcomes, attempts=1)
    assert await copying.copy_due() == 0
    assert due() == 0
    assert await copying.copy_due() == 1
    assert due() == 1


async def test_a_clip_that_fails_lets_the_others_go_first(tmp_path: Path, outcomes: list[str]) -> None:
    old, new = put_clip(tmp_path, 9), put_clip(tmp_path, 1)
    Unwell.ills = ["refuses"]
    copying = copies(tmp_path, "unwell://turns", outcomes, attempts=1)
    await copying.copy_due()
    Unwell.ills = ["none", "none", "none", "refuses"]
    assert await copying.copy_due() == 1
    assert (tmp_path / (new + COPIED)).exists()
    assert not (tmp_path / (old + COPIED)).exists()


async def test_what_changed_after_it_was_copied_is_copied_again(tmp_path: Path, outcomes: list[str]) -> None:
    name = put_clip(tmp_path, 1)
    copying = copies(tmp_path, f"memory://{uuid4().hex}", outcomes)
    await copying.copy_due()
    changed = tmp_path / (name + ".flac")
    changed.with_suffix(".new").write_bytes(b"other")
    changed.with_suffix(".new").rename(changed)
    newer_ns = (tmp_path / (name + COPIED)).stat().st_mtime_ns + 1_000_000
    os.utime(changed, ns=(newer_ns, newer_ns))
    assert await copying.copy_due() == 1
    assert marker(tmp_path, name).files[".flac"].size_bytes == 5


async def test_unfinished_and_unsettled_clips_wait(tmp_path: Path, outcomes: list[str]) -> None:
    name = put_clip(tmp_path, 1)
    assert await copies(tmp_path, f"memory://{uuid4().hex}", outcomes, settle_s=60).copy_due() == 0
    (tmp_path / (name + ".json")).unlink()
    assert await copies(tmp_path, f"memory://{uuid4().hex}", outcomes).copy_due() == 0


async def test_a_clip_deleted_meanwhile_is_no_failure(
    tmp_path: Path, outcomes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_clip(tmp_path, 1)
    shelved = Shelf(tmp_path).contents()
    monkeypatch.setattr(Shelf, "contents", lambda _: shelved)
    shutil.rmtree(tmp_path / "north")
    copying = copies(tmp_path, f"memory://{uuid4().hex}", outcomes)
    await copying.copy_due()
    assert outcomes == []
    assert not (tmp_path / "north").exists()


async def test_an_evidence_folder_that_has_vanished_is_waited_for(tmp_path: Path, outcomes: list[str]) -> None:
    copying = copies(tmp_path / "gone", "memory://never", outcomes)
    assert await copying.copy_due() == 0
    assert "gone" in (copying.trouble or "")


def test_secrets_are_not_shown_and_a_path_is_no_url() -> None:
    section = CopySection.model_validate({"target": "s3://b", "secrets": {"secret": "hush"}})
    assert "hush" not in repr(section)
    assert "hush" not in section.model_dump_json()
    with pytest.raises(ValidationError, match="no URL"):
        CopySection(target="/mnt/nas")
