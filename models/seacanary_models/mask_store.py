"""The store of what people decided about masks: one SQLite file, append-only, safe to use from many processes.

For whoever shows it on a page: open a `MaskStore` per request or thread; `pending` names the windows nobody
has decided on, `picture` and `proposal` give what to show, `decide` records a decision and refuses it where
another was recorded since the `after` that the page was shown (see `StoreConflict`). Nothing is ever
changed or removed: the newest decision on a window counts, `history` gives them all. Pictures and masks are
PNGs in the canvas's orientation, low frequencies at the bottom, ready for a browser.
"""

import io
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_canvas import image_of_png, to_canvas
from seacanary_models.mask_proposals import LABELS
from seacanary_models.proposal_files import Proposal

Status = Literal["accepted", "rejected"]
_VERSION: Final = 1
_BUSY_S: Final = 20.0
_TABLES: Final = """
CREATE TABLE proposals (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,             -- of the window
    digest TEXT NOT NULL UNIQUE,  -- of exactly what was proposed
    document TEXT NOT NULL,       -- JSON of a Proposal
    picture BLOB NOT NULL         -- PNG of the canvas
);
CREATE INDEX proposals_of_window ON proposals (id, sequence);
CREATE TABLE decisions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id TEXT NOT NULL,
    proposal_digest TEXT NOT NULL REFERENCES proposals (digest),
    revision INTEGER NOT NULL,    -- 1, 2, ... per window
    annotator TEXT NOT NULL,
    decided_at TEXT NOT NULL,     -- UTC, ISO 8601
    status TEXT NOT NULL CHECK (status IN ('accepted', 'rejected')),
    UNIQUE (proposal_id, revision)
);
CREATE TABLE masks (
    decision INTEGER NOT NULL REFERENCES decisions (sequence),
    label TEXT NOT NULL,
    mask BLOB NOT NULL,           -- PNG, black and white, 256 x 256
    PRIMARY KEY (decision, label)
);
"""
_APPEND_ONLY: Final = "".join(
    f"CREATE TRIGGER {table}_keep_{verb} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END;\n"
    for table in ("proposals", "decisions", "masks")
    for verb in ("update", "delete")
)


class StoreConflict(SeaCanaryError):
    """Somebody else decided on the window in the meantime; show their decision and ask again."""


class Decision(BaseModel):
    """What one person said of one window, once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    proposal_id: str
    proposal_digest: str = Field(description="of exactly what the person was shown")
    annotator: str = Field(min_length=1)
    decided_at: AwareDatetime
    status: Status


class Recorded(BaseModel):
    """A decision as it stands in the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    revision: int = Field(description="1 for the first decision on this window")
    decision: Decision


class MaskStore:
    """Open it with `with`; one per thread.

    Args:
        path: the SQLite file; made if it is not there.

    Raises:
        SeaCanaryError: the file is no such store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.DatabaseError as exc:
            self._db.close()
            raise SeaCanaryError(f"{path} is no store of masks: {exc}") from exc
        except SeaCanaryError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add_proposal(self, proposal: Proposal, picture_png: bytes) -> None:
        """Keep a proposal and its canvas; one that is there already stays as it is."""
        self._db.execute(
            "INSERT INTO proposals (id, digest, document, picture) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
            (proposal.id, proposal.digest, proposal.model_dump_json(), picture_png),
        )

    def proposal(self, proposal_id: str) -> Proposal:
        """The newest proposal for a window.

        Raises:
            SeaCanaryError: there is none.
        """
        return Proposal.model_validate_json(self._newest("document", proposal_id))

    def picture(self, proposal_id: str) -> bytes:
        """PNG of a window's canvas.

        Raises:
            SeaCanaryError: there is none.
        """
        return bytes(self._newest("picture", proposal_id))

    def pending(self, *, limit: int = 100) -> list[str]:
        """Ids of windows that nobody has decided on, oldest first."""
        rows = self._db.execute(
            "SELECT id, MIN(sequence) AS first FROM proposals WHERE id NOT IN (SELECT proposal_id FROM decisions) "
            "GROUP BY id ORDER BY first LIMIT ?",
            (limit,),
        )
        return [str(row[0]) for row in rows]

    def decide(self, decision: Decision, masks: Mapping[str, NDArray[np.bool_]], *, after: int | None = None) -> int:
        """Record a decision.

        Args:
            decision: who decided what, and when.
            masks: per label, bool [256, 256] in T's orientation; an empty mask is not kept.
            after: revision that the person saw, 0 for none; None: whatever there is.

        Returns:
            The new decision's revision.

        Raises:
            StoreConflict: the newest revision is not `after`.
            SeaCanaryError: a label or the proposal is not known.
        """
        unknown = sorted(set(masks) - set(LABELS))
        if unknown:
            raise SeaCanaryError(f"'{unknown[0]}' is no label; choose {', '.join(LABELS)}")
        with self._transaction():
            revision = self._revision(decision.proposal_id)
            if after is not None and after != revision:
                raise StoreConflict(f"{decision.proposal_id} is at revision {revision}, not {after}; look at it again")
            sequence = self._append(decision, revision + 1)
            rows = [(sequence, label, _mask_png(mask)) for label, mask in masks.items() if mask.any()]
            self._db.executemany("INSERT INTO masks VALUES (?, ?, ?)", rows)
        return revision + 1

    def history(self, proposal_id: str) -> list[Recorded]:
        """All decisions on a window, oldest first."""
        return list(self._recorded("WHERE proposal_id = ? ORDER BY revision", (proposal_id,)))

    def latest(self, proposal_id: str) -> Recorded | None:
        """The decision on a window that counts."""
        return next(self._recorded("WHERE proposal_id = ? ORDER BY revision DESC LIMIT 1", (proposal_id,)), None)

    def newest(self, status: Status) -> list[Recorded]:
        """Every window's decision that counts, where it is of this status, in the order they were made."""
        return list(
            self._recorded(
                "AS one WHERE status = ? AND revision = "
                "(SELECT MAX(revision) FROM decisions WHERE proposal_id = one.proposal_id) ORDER BY sequence",
                (status,),
            )
        )

    def masks(self, recorded: Recorded) -> dict[str, NDArray[np.bool_]]:
        """Masks of a decision per label, bool [256, 256] in T's orientation; empty ones are left out."""
        return {label: image_of_png(png) > 0 for label, png in self.mask_pngs(recorded).items()}

    def mask_pngs(self, recorded: Recorded) -> dict[str, bytes]:
        """The same as PNGs of the canvas, black and white, 256 x 256."""
        rows = self._db.execute("SELECT label, mask FROM masks WHERE decision = ?", (recorded.sequence,))
        found = {str(label): bytes(png) for label, png in rows}
        return {label: found[label] for label in LABELS if label in found}

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            tables = self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
            if not tables:
                for statement in _statements(_TABLES + _APPEND_ONLY):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise SeaCanaryError(f"{self._path} is no store of masks of version {_VERSION} (it says {version})")

    def _newest(self, column: Literal["document", "picture"], proposal_id: str) -> bytes:
        row = self._db.execute(
            f"SELECT {column} FROM proposals WHERE id = ? ORDER BY sequence DESC LIMIT 1", (proposal_id,)
        ).fetchone()
        if row is None:
            raise SeaCanaryError(f"the store holds no proposal '{proposal_id}'")
        found: bytes = row[0]
        return found

    def _revision(self, proposal_id: str) -> int:
        row = self._db.execute("SELECT MAX(revision) FROM decisions WHERE proposal_id = ?", (proposal_id,)).fetchone()
        return int(row[0] or 0)

    def _append(self, decision: Decision, revision: int) -> int:
        values = decision.model_dump() | {"revision": revision, "decided_at": _utc(decision.decided_at)}
        try:
            cursor = self._db.execute(
                "INSERT INTO decisions (proposal_id, proposal_digest, revision, annotator, decided_at, status) "
                "VALUES (:proposal_id, :proposal_digest, :revision, :annotator, :decided_at, :status)",
                values,
            )
        except sqlite3.IntegrityError as exc:
            raise SeaCanaryError(f"the store does not know the proposal that {decision.proposal_id} is about") from exc
        return int(cursor.lastrowid or 0)

    def _recorded(self, condition: str, values: tuple[str, ...]) -> Iterator[Recorded]:
        columns = "sequence, revision, proposal_id, proposal_digest, annotator, decided_at, status"
        with closing(self._db.execute(f"SELECT {columns} FROM decisions {condition}", values)) as rows:
            names = columns.split(", ")[2:]
            for sequence, revision, *rest in rows:
                said = dict(zip(names, rest, strict=True))
                yield Recorded(sequence=sequence, revision=revision, decision=Decision.model_validate(said))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def accepted_windows(store: MaskStore) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All accepted windows to learn from.

    Returns:
        images uint8 [n, 256, 256] and marks uint8 [n, 256, 256] in T's orientation; bit k is the k-th of LABELS.
    """
    accepted = store.newest("accepted")
    marks = np.zeros((len(accepted), 256, 256), np.uint8)
    images = np.zeros_like(marks)
    for number, recorded in enumerate(accepted):
        images[number] = image_of_png(store.picture(recorded.decision.proposal_id))
        for label, mask in store.masks(recorded).items():
            marks[number] |= mask.astype(np.uint8) << LABELS.index(label)
    return images, marks


def _statements(script: str) -> Iterator[str]:
    """One statement after another: `executescript` would end the transaction."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


def _mask_png(mask: NDArray[np.bool_]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(to_canvas(mask, scale=1).astype(np.uint8) * np.uint8(255)).save(file, "PNG")
    return file.getvalue()
