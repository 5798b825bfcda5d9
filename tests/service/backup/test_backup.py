"""A backup beside a station is one instant's journal; what is restored is what was backed up, or nothing."""

import asyncio
import errno
import json
import os
import re
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from event_samples import event
from evidence_folder import put_clip
from old_files import make_newer, old_journal, version_of
from seacanary import __version__
from seacanary.backup import restoring
from seacanary.backup.making import copied_journal
from seacanary.backup.manifest import MANIFEST, BackupError
from seacanary.backup.verifying import verified
from seacanary.cli import app
from seacanary.journal import Journal
from seacanary.journal_schema import SCHEMA_VERSION
from seacanary.journal_store import JournalStore

EVENTS = 30


def seacanary(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def nothing(_: str, __: int, ___: int) -> None:
    """Nobody looks on."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A stopped station with events, states, a key and a clip."""
    home = tmp_path / "station"
    tree = {
        "station": {"name": "station"},
        "sources": [{"kind": "simulated", "hydrophones": ["north"], "sample_rate_hz": 384000}],
        "journal": {"path": str(home / "state" / "journal.db")},
        "evidence": {"path": str(home / "evidence")},
        "effort": {"path": str(home / "effort")},
        "web": {},
    }
    (home / "effort").mkdir(parents=True)
    (home / "effort" / "2026-11.csv").write_text("hour,hydrophone\n")
    (home / "effort" / ".2026-11.csv.part").write_text("being written")
    (home / "station.yaml").write_text(json.dumps(tree))
    fill(home / "state" / "journal.db", EVENTS)
    (home / "state" / "review-secret").write_text("a-key-of-enough-letters-for-links\n")
    put_clip(home / "evidence", 1)
    put_clip(home / "evidence", 2, species="porpoise")
    (home / "evidence" / ".spool" / "north" / "epoch").mkdir(parents=True)
    (home / "evidence" / ".spool" / "north" / "epoch" / "raw.f32").write_bytes(b"raw audio")
    return home / "station.yaml"


def fill(path: Path, count: int) -> None:
    with JournalStore.open(path) as store:
        store.append([event(n) for n in range(count)], states={"north/beluga": "open"}, done=["/recordings/a.wav"])
        store.move_cursor("redis", count - 3)


def all_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".spool" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def content(journal: Path) -> tuple[list[object], dict[str, str], frozenset[str], int]:
    with JournalStore.open_to_read(journal) as store:
        return list(store.read_after(0, 999)), store.states(), store.done_files(), store.cursor("redis")


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
def test_what_is_restored_on_a_new_machine_is_what_was_backed_up(ending: str, config: Path, tmp_path: Path) -> None:
    before, events = all_of(config.parent / "evidence"), content(config.parent / "state" / "journal.db")
    yaml, target = config.read_bytes(), tmp_path / f"b{ending}"
    made = seacanary("backup", config, target, "--evidence")
    assert made.exit_code == 0, made.output
    assert "verified: 30 events with all states, 6 files of evidence included" in said(made)
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([target.name, "station"])
    config.parent.rename(tmp_path / "lost")
    restored = seacanary("restore", target, config)
    assert restored.exit_code == 0, restored.output
    assert config.read_bytes() == yaml
    assert content(config.parent / "state" / "journal.db") == events
    assert all_of(config.parent / "evidence") == before
    assert (config.parent / "state" / "review-secret").read_text() == "a-key-of-enough-letters-for-links\n"
    assert all_of(config.parent / "effort") == {"2026-11.csv": b"hour,hydrophone\n"}
    assert (config.parent / "state" / "review-secret").stat().st_mode & 0o777 == 0o600
    assert "redis: 3 events of before the backup are offered to it again" in said(restored)
    assert f"next: seacanary doctor {config}" in restored.output.replace("\n", "")


def test_without_evidence_the_clips_are_listed_and_missed_at_the_restore(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.tar.gz"
    made = json.loads(seacanary("backup", config, target, "--json").stdout)
    assert (made["journal"]["events"], made["journal"]["head"], made["with_evidence"]) == (EVENTS, EVENTS, False)
    assert made["program"] == __version__
    manifest = verified(target, nothing)
    assert len(manifest.evidence) == 6
    assert all(".spool" not in file.path for file in manifest.evidence)
    config.parent.rename(tmp_path / "lost")
    restored = seacanary("restore", target, config)
    assert "6 files of that time are neither there nor in the backup" in said(restored)


def test_a_backup_is_never_overwritten_silently(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    target.write_text("precious")
    refused = seacanary("backup", config, target)
    assert (refused.exit_code, target.read_text()) == (2, "precious")
    assert "--force" in refused.output
    assert seacanary("backup", config, target, "--force").exit_code == 0
    assert verified(target, nothing).station == "station"


@pytest.mark.parametrize(("name", "says"), [("b.zip", "must end in"), ("nowhere/b.tar", "no such folder")])
def test_a_place_that_cannot_be_written_is_named(name: str, says: str, config: Path, tmp_path: Path) -> None:
    refused = seacanary("backup", config, tmp_path / name)
    assert refused.exit_code == 2
    assert says in said(refused)


def test_without_the_journal_there_is_no_backup_unless_asked_for(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = json.loads(config.read_text())
    config.write_text(json.dumps(tree | {"journal": {"path": "state/journal.db"}}))
    monkeypatch.chdir(tmp_path)  # the station's own folder is another one
    refused = seacanary("backup", config, tmp_path / "b.tar")
    assert (refused.exit_code, (tmp_path / "b.tar").exists()) == (2, False)
    assert f"{tmp_path}/state/journal.db: there is no journal" in refused.output.replace("\n", "")
    assert seacanary("backup", config, tmp_path / "b.tar", "--without-journal").exit_code == 0
    monkeypatch.chdir(config.parent)
    assert f"{EVENTS} events" in said(seacanary("backup", config, tmp_path / "c.tar"))


def test_a_backup_that_fails_half_way_leaves_nothing(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused = seacanary("backup", config, tmp_path / "b.tar")
    assert refused.exit_code == 2
    assert "No space left on device" in said(refused)
    assert [path.name for path in tmp_path.iterdir()] == ["station"]


# --- one instant, while a station writes --------------------------------------


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """A journal into which events are written without pause; each transaction's state names its last event."""
    path, over = tmp_path / "busy.db", threading.Event()

    def write() -> None:
        with JournalStore.open(path) as store:
            for n in range(0, 10**6, 5):
                store.append([event(n + k) for k in range(5)], states={"last": str(n + 5)}, done=())
                if over.is_set():
                    return

    writer = threading.Thread(target=write)
    fill_until(path, 400)
    writer.start()
    yield path
    over.set()
    writer.join()


def fill_until(path: Path, count: int) -> None:
    with JournalStore.open(path) as store:
        store.append([event(-n) for n in range(1, count + 1)], states={}, done=())


def test_a_copy_is_one_instant_of_a_journal_that_is_being_written(busy: Path, tmp_path: Path) -> None:
    while not content(busy)[1]:
        pass
    for place in range(5):
        copy = tmp_path / f"copy{place}.db"
        facts = copied_journal(busy, copy, nothing)
        assert facts.events == facts.head
        with closing(sqlite3.connect(copy)) as connection:
            [(last,)] = connection.execute("SELECT state FROM states WHERE name = 'last'").fetchall()
        assert int(last) + 400 == facts.head


# --- what is not a good backup ------------------------------------------------


def test_each_damaged_byte_is_noticed(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    seacanary("backup", config, target, "--evidence")
    whole = target.read_bytes()
    content_begins = 512
    for place in range(content_begins, len(whole) - 20_000, 7919):
        damaged = bytearray(whole)
        damaged[place] ^= 0x20
        target.write_bytes(damaged)
        if _same_files(whole, bytes(damaged)):
            continue  # in the padding between files
        refused = seacanary("restore", target, tmp_path / "new" / "station.yaml")
        assert refused.exit_code == 2
        assert not (tmp_path / "new").exists()


def _same_files(one: bytes, other: bytes) -> bool:
    def files(tape: bytes) -> list[tuple[str, bytes]]:
        with tarfile.open(fileobj=BytesIO(tape)) as opened:
            return [(entry.name, opened.extractfile(entry).read()) for entry in opened]  # type: ignore[union-attr]

    try:
        return files(one) == files(other)
    except (tarfile.TarError, AttributeError, EOFError):
        return False


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
def test_a_backup_that_is_cut_off_is_refused(ending: str, config: Path, tmp_path: Path) -> None:
    target = tmp_path / f"b{ending}"
    seacanary("backup", config, target, "--evidence")
    target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    refused = seacanary("restore", target, tmp_path / "new" / "station.yaml")
    assert refused.exit_code == 2
    assert str(target) in refused.output.replace("\n", "")
    assert not (tmp_path / "new").exists()


def tape(path: Path, *files: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as opened:
        for name, text in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            opened.addfile(entry, BytesIO(text))
    return path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../../etc/passwd", "does not belong"),
        ("evidence/../../x.flac", "does not belong"),
        ("/etc/passwd", "does not belong"),
        ("holiday.jpg", "does not belong"),
    ],
)
def test_a_tape_with_other_files_is_refused(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=says):
        verified(tape(tmp_path / "b.tar", (name, b"x")), nothing)


def test_a_link_in_a_tape_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as opened:
        entry = tarfile.TarInfo("journal.db")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(entry)
    with pytest.raises(BackupError, match="no ordinary file"):
        verified(tmp_path / "b.tar", nothing)


def test_a_newer_backup_is_refused_with_what_to_install(tmp_path: Path) -> None:
    newer = json.dumps({"version": 9, "program": "4.2.0", "shape": "unknown"}).encode()
    with pytest.raises(BackupError, match=r"version 9, made by seacanary 4\.2\.0.*install seacanary 4\.2\.0"):
        verified(tape(tmp_path / "b.tar", (MANIFEST, newer)), nothing)


# --- where it may not be restored ---------------------------------------------


def test_a_journal_that_is_there_is_refused_and_with_force_moved_aside(config: Path, tmp_path: Path) -> None:
    target, journal = tmp_path / "b.tar", config.parent / "state" / "journal.db"
    seacanary("backup", config, target)
    with JournalStore.open(journal) as store:
        store.append([event(999)], states={}, done=())
    refused = seacanary("restore", target, config)
    assert refused.exit_code == 2
    assert "a journal is there already" in said(refused)
    assert len(content(journal)[0]) == EVENTS + 1
    assert seacanary("restore", target, config, "--force").exit_code == 0
    assert len(content(journal)[0]) == EVENTS
    [aside] = journal.parent.glob("journal.db.before-restore-*Z")
    assert len(content(aside)[0]) == EVENTS + 1


def test_the_log_of_a_journal_that_is_gone_does_not_reach_the_restored_one(config: Path, tmp_path: Path) -> None:
    target, journal = tmp_path / "b.tar", config.parent / "state" / "journal.db"
    seacanary("backup", config, target)
    before = content(journal)
    with JournalStore.open(journal) as store:
        store.append([event(n) for n in range(100, 200)], states={}, done=())
        log = Path(f"{journal}-wal").read_bytes()  # as a killed writer leaves it
    journal.unlink()  # an operator has moved it away
    Path(f"{journal}-wal").write_bytes(log)
    refused = seacanary("restore", target, config)
    assert (refused.exit_code, "is there already" in said(refused)) == (2, True)
    assert seacanary("restore", target, config, "--force").exit_code == 0
    assert content(journal) == before
    [aside] = journal.parent.glob("journal.db.before-restore-*-wal")
    assert aside.read_bytes() == log


def test_a_disk_that_is_full_is_not_told_as_a_bad_backup(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seacanary("backup", config, tmp_path / "b.tar")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(restoring.shutil, "copyfileobj", full)
    failed = seacanary("restore", tmp_path / "b.tar", config, "--force")
    assert failed.exit_code == 2
    assert "cannot be restored" in said(failed)
    assert "No space left" in said(failed)


async def test_a_journal_that_a_process_holds_is_refused_even_with_force(config: Path, tmp_path: Path) -> None:
    target, journal = tmp_path / "b.tar", config.parent / "state" / "journal.db"
    async with await Journal.open(journal):
        assert (await asyncio.to_thread(seacanary, "backup", config, target)).exit_code == 0
        refused = await asyncio.to_thread(seacanary, "restore", target, config, "--force")
        assert refused.exit_code == 2
        assert "a process is running on it; stop it first" in said(refused)


def test_another_stations_backup_is_refused(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    seacanary("backup", config, target)
    config.write_text(config.read_text().replace('"name": "station"', '"name": "pier"'))
    refused = seacanary("restore", target, config, "--force")
    assert refused.exit_code == 2
    assert "is of station station, but" in said(refused)


def test_a_folder_takes_everything_to_look_at(config: Path, tmp_path: Path) -> None:
    target, folder = tmp_path / "b.tar.zst", tmp_path / "look"
    seacanary("backup", config, target, "--evidence")
    laid_out = seacanary("restore", target, "--to", folder)
    assert laid_out.exit_code == 0, laid_out.output
    assert content(folder / "journal.db") == content(config.parent / "state" / "journal.db")
    assert all_of(folder / "evidence") == all_of(config.parent / "evidence")
    assert (folder / "config.yaml").read_bytes() == config.read_bytes()
    assert seacanary("restore", target, "--to", folder).exit_code == 2
    assert seacanary("restore", target).exit_code == 2
    assert seacanary("restore", target, config, "--to", folder).exit_code == 2


def test_clips_that_are_there_stay_and_differing_ones_are_named(config: Path, tmp_path: Path) -> None:
    target, clips = tmp_path / "b.tar", config.parent / "evidence"
    seacanary("backup", config, target, "--evidence")
    one, other, *_ = sorted(clips.glob("*/*/*.png"))
    one.unlink()
    other.write_bytes(b"newer")
    restored = seacanary("restore", target, config, "--force")
    assert "1 files written, 4 were there already" in said(restored)
    assert f"evidence {other.relative_to(clips)}: differs" in restored.output.replace("\n", "")
    assert other.read_bytes() == b"newer"


def test_a_month_of_effort_that_is_there_stays_and_the_backups_lies_beside_it(config: Path, tmp_path: Path) -> None:
    target, month = tmp_path / "b.tar", config.parent / "effort" / "2026-11.csv"
    seacanary("backup", config, target)
    month.write_text("later")
    restored = seacanary("restore", target, config, "--force")
    assert "2026-11.csv.from-backup-1: the month was there already" in restored.output.replace("\n", "")
    assert month.read_text() == "later"
    assert month.with_name("2026-11.csv.from-backup-1").read_text() == "hour,hydrophone\n"


def test_an_older_journal_in_a_backup_is_brought_up_to_date(config: Path, tmp_path: Path) -> None:
    journal, target = config.parent / "state" / "journal.db", tmp_path / "b.tar"
    journal.unlink()
    old_journal(journal, 1)
    assert seacanary("backup", config, target).exit_code == 0
    assert version_of(journal) == 1
    assert seacanary("restore", target, config, "--force").exit_code == 0
    assert version_of(journal) == SCHEMA_VERSION


def test_a_newer_journal_is_neither_backed_up_nor_restored(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, target = config.parent / "state" / "journal.db", tmp_path / "b.tar"
    seacanary("backup", config, target)
    monkeypatch.setattr(restoring, "JOURNAL_KIND", _of_an_older_program())
    refused = seacanary("restore", target, config, "--force")
    assert refused.exit_code == 2
    assert f"version {SCHEMA_VERSION}, but this seacanary" in said(refused)
    assert len(content(journal)[0]) == EVENTS
    make_newer(journal, SCHEMA_VERSION + 1)
    refused = seacanary("backup", config, tmp_path / "c.tar")
    assert refused.exit_code == 2
    assert f"knows up to {SCHEMA_VERSION}" in said(refused)


def _of_an_older_program() -> object:
    from dataclasses import replace

    from seacanary.journal_schema import JOURNAL

    return replace(JOURNAL, version=SCHEMA_VERSION - 1)
