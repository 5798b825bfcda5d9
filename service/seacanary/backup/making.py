"""Making a backup beside a running process, and proving that it can be read."""

import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from seacanary import __version__
from seacanary.backup.manifest import (
    CONFIG,
    EFFORT,
    EVIDENCE,
    JOURNAL,
    MANIFEST,
    SECRET,
    Advance,
    BackedFile,
    BackupError,
    EvidenceFile,
    JournalFacts,
    Manifest,
    Places,
)
from seacanary.backup.tape import OWNER_ONLY, put, require_known_ending, written
from seacanary.backup.verifying import verified
from seacanary.config import Configuration, StationConfig
from seacanary.effort import months_in
from seacanary.errors import JournalError
from seacanary.evidence.files import read_facts
from seacanary.evidence.names import AUDIO, file_of, stem_in
from seacanary.journal_schema import JOURNAL as JOURNAL_KIND
from seacanary.journal_schema import translated, uri_of

PAGES = 512
# An hour's events are some 100 kB: more than this changes nothing.
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it.

    Attributes:
        path: of the backup.
        size_bytes: of the file.
        manifest: as read back from it.
        gone: files of evidence that were deleted while they were listed.
        damaged: clips that are not what their facts say.
    """

    path: Path
    size_bytes: int
    manifest: Manifest
    gone: int
    damaged: tuple[str, ...]


def make_backup(
    config_path: Path,
    config: Configuration,
    target: Path,
    *,
    with_evidence: bool,
    force: bool,
    advance: Advance,
    may_lack_journal: bool = False,
) -> Made:
    """Write journal, states, configuration and the list of evidence, or all of it, into one file; read it again.

    Args:
        config_path: the YAML file, copied as it is.
        config: what it says.
        target: the file to write; only its owner may read it.
        with_evidence: have the clips in it too.
        force: replace a file that is there.
        advance: told how it goes.
        may_lack_journal: of a process that has never run.

    Raises:
        BackupError: it cannot be written, or is there already; there is no journal.
        JournalError: the journal is damaged, or of a newer version.
    """
    require_known_ending(target)
    _refuse_existing(target, force=force)
    if not may_lack_journal:
        _require_journal(Places.of(config).journal)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            part = Path(folder) / target.name
            work = _Work(config_path, config, Path(folder), with_evidence=with_evidence, advance=advance)
            work.write(part)
            manifest = verified(part, advance)
            _refuse_existing(target, force=force)
            part.replace(target)
        _sync(target.parent, os.O_DIRECTORY)
    except OSError as exc:
        raise BackupError(f"{target}: the backup cannot be written: {exc}") from exc
    return Made(target, target.stat().st_size, manifest, work.gone, tuple(work.damaged))


class _Work:
    """One backup in the making; `gone` and `damaged` as in Made."""

    def __init__(
        self, config_path: Path, config: Configuration, folder: Path, *, with_evidence: bool, advance: Advance
    ) -> None:
        self._config_path, self._config, self._folder = config_path, config, folder
        self._with_evidence, self._advance = with_evidence, advance
        self._places = Places.of(config)
        self._files: list[BackedFile] = []
        self.gone, self.damaged = 0, list[str]()

    def write(self, part: Path) -> None:
        """Write the whole tape and have it on the disk."""
        # A configuration may hold passwords.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
            with written(file, name=part.name) as tape:
                self._put(tape, CONFIG, self._config_path)
                journal = self._put_journal(tape)
                if self._places.secret and self._places.secret.exists():
                    self._put(tape, SECRET, self._places.secret)
                if self._places.effort:
                    for month in months_in(self._places.effort):
                        self._put(tape, EFFORT + month.name, month)
                evidence = tuple(self._put_evidence(tape))
                self._put_manifest(tape, journal, evidence)
            file.flush()
            os.fsync(file.fileno())

    def _put(self, tape: tarfile.TarFile, name: str, path: Path, step: str = "files") -> BackedFile:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            done = 0

            def on_bytes(count: int) -> None:
                nonlocal done
                done += count
                self._advance(step, done, size)

            put_in = put(tape, name, file, size, on_bytes=on_bytes)
        self._files.append(put_in)
        return put_in

    def _put_journal(self, tape: tarfile.TarFile) -> JournalFacts | None:
        """A copy as the journal was at one instant."""
        if self._places.journal is None or not self._places.journal.exists():
            return None
        copy = self._folder / JOURNAL
        facts = copied_journal(self._places.journal, copy, self._advance)
        self._put(tape, JOURNAL, copy)
        copy.unlink()
        return facts

    def _put_evidence(self, tape: tarfile.TarFile) -> Iterator[EvidenceFile]:
        folder = self._places.evidence
        if folder is None:
            return
        paths = [path for path in _evidence_in(folder) if stem_in(path)]
        for count, path in enumerate(paths, 1):
            self._advance("evidence", count, len(paths))
            try:
                yield self._put_clip(tape, folder, path) if self._with_evidence else self._listed(folder, path)
            except FileNotFoundError:  # retention has come by
                self.gone += 1

    def _put_clip(self, tape: tarfile.TarFile, folder: Path, path: str) -> EvidenceFile:
        put_in = self._put(tape, EVIDENCE + path, folder / path, f"evidence {path}")
        if (told := _told_hash(folder, path)) is not None and told != put_in.sha256:
            self.damaged.append(path)
        return EvidenceFile(path=path, size_bytes=put_in.size_bytes, sha256=put_in.sha256)

    def _listed(self, folder: Path, path: str) -> EvidenceFile:
        return EvidenceFile(path=path, size_bytes=(folder / path).stat().st_size, sha256=_told_hash(folder, path))

    def _put_manifest(
        self, tape: tarfile.TarFile, journal: JournalFacts | None, evidence: tuple[EvidenceFile, ...]
    ) -> None:
        config = self._config
        manifest = Manifest(
            program=__version__,
            made=datetime.now(UTC),
            role=config.role,
            station=config.station.name if isinstance(config, StationConfig) else None,
            journal=journal,
            files=tuple(self._files),
            evidence=evidence,
            with_evidence=self._with_evidence,
        )
        text = manifest.model_dump_json(indent=1).encode()
        put(tape, MANIFEST, BytesIO(text), len(text), on_bytes=lambda _: None)


def copied_journal(source: Path, copy: Path, advance: Advance) -> JournalFacts:
    """Copy a journal as it is at this instant, while its station writes on.

    A read transaction holds the instant: SQLite would begin the copy again whenever the station writes.

    Raises:
        JournalError: it cannot be read, is damaged, or of a newer version.
    """

    def on_pages(_: int, remaining: int, total: int) -> None:
        advance("journal", total - remaining, total)

    uri = f"file:{uri_of(source)}?mode=ro"
    with (
        translated(source),
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=PATIENCE_S)) as original,
        closing(sqlite3.connect(copy, isolation_level=None)) as copied,
    ):
        version = JOURNAL_KIND.check(original, source)
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        original.backup(copied, pages=PAGES, progress=on_pages)
        original.execute("ROLLBACK")
        copied.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = copied.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise JournalError(f"{source}: the journal is damaged ({verdict}); there is no use in a backup of it")
        (events, head) = copied.execute("SELECT count(*), coalesce(max(sequence), 0) FROM events").fetchone()
        cursors = dict(copied.execute("SELECT publisher, sequence FROM cursors"))
    return JournalFacts(version=version, events=events, head=head, cursors=cursors)


def _require_journal(journal: Path | None) -> None:
    """A backup without the journal is hardly ever what is wanted, and nobody looks at one before it is needed."""
    if journal is None or journal.exists():
        return
    raise BackupError(
        f"{journal}: there is no journal. Relative paths count from the present folder: run this where the process "
        "runs, as its user. Of one that has never run, --without-journal makes a backup all the same"
    )


def _evidence_in(folder: Path) -> list[str]:
    """Files below the folder, by hydrophone and day; what is hidden is not evidence."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob("[!.]*/*/[!.]*"))


def _told_hash(folder: Path, path: str) -> str | None:
    """What a clip's facts say of its audio; None: of other files nothing is said."""
    stem = stem_in(path)
    if stem is None or path != file_of(stem, AUDIO):
        return None
    facts = read_facts(folder, stem)
    return facts.audio.sha256 if facts and facts.audio else None


def _refuse_existing(target: Path, *, force: bool) -> None:
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent}: there is no such folder; make it first")
    if target.exists() and not force:
        raise BackupError(f"{target}: is there already; name another file, or give --force to replace it")


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
