import os
from datetime import timedelta
from pathlib import Path

from evidence_folder import NOW, put_clip, stem
from seacanary.evidence.names import AUDIO, FACTS
from seacanary.evidence.retention import Kept
from seacanary.evidence.shelf import COPIED, Shelf


def test_clips_are_told_by_their_names_with_all_their_files(tmp_path: Path) -> None:
    names = [put_clip(tmp_path, 50, 5000), put_clip(tmp_path, 1, 700, species="harbour porpoise_x")]
    found = {shelved.stem: shelved.kept() for shelved in Shelf(tmp_path).contents()}
    assert found == {
        names[0]: Kept(names[0], "beluga", NOW - timedelta(hours=50), 5000),
        names[1]: Kept(names[1], "harbour_porpoise_x", NOW - timedelta(hours=1), 700),
    }


def test_damaged_facts_hide_no_clip_and_foreign_files_are_none(tmp_path: Path) -> None:
    name = put_clip(tmp_path, 1)
    (tmp_path / (name + FACTS)).write_bytes(b"\xff{torn")
    day = (tmp_path / name).parent
    for foreign in (day / "notes.txt", day / ".part", tmp_path / "north" / "loose.flac", tmp_path / "top.json"):
        foreign.write_text("mine")
    (tmp_path / "spool" / "deep" / "er").mkdir(parents=True)
    (day / "29991399T000000Z_beluga_started_00000000.flac").write_bytes(b"no such month")
    (shelved, odd) = sorted(Shelf(tmp_path).contents(), key=lambda s: s.stem)
    assert shelved.stem == name
    assert odd.kept() is None


def test_what_changes_is_seen_and_what_is_deleted_is_gone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    names = [put_clip(tmp_path, 5), put_clip(tmp_path, 6)]
    day = (tmp_path / names[0]).parent
    os.utime(day, ns=(10**18, 10**18))  # long settled: the listing is remembered
    assert len(shelf.contents()) == len(shelf.contents()) == 2
    added = put_clip(tmp_path, 7)
    assert {shelved.stem for shelved in shelf.contents()} == {*names, added}
    for name in (*names, added):
        shelf.delete(name)
    assert shelf.contents() == []
    assert not day.exists()


def test_a_copy_counts_until_a_file_is_newer_than_its_marker(tmp_path: Path) -> None:
    shelf, name = Shelf(tmp_path), put_clip(tmp_path, 1)
    assert not shelf.contents()[0].is_copied
    (tmp_path / (name + COPIED)).write_text("{}")
    assert shelf.contents()[0].is_copied
    assert shelf.contents()[0].kept() == Kept(name, "beluga", NOW - timedelta(hours=1), 1000, copied=True)
    later_ns = shelf.contents()[0].modified_ns + 10**9
    os.utime(tmp_path / (name + AUDIO), ns=(later_ns, later_ns))
    (tmp_path / name).with_name("touched").touch()
    assert not shelf.contents()[0].is_copied


def test_deleting_takes_every_file_and_leaves_others(tmp_path: Path) -> None:
    first, second = put_clip(tmp_path, 1), put_clip(tmp_path, 1, species="porpoise")
    (tmp_path / (first + COPIED)).write_text("{}")
    Shelf(tmp_path).delete(first)
    assert sorted(path.name for path in (tmp_path / first).parent.iterdir()) == sorted(
        stem(1, "porpoise").rpartition("/")[2] + part for part in (".flac", ".json", ".png")
    )
    assert second == stem(1, "porpoise")
