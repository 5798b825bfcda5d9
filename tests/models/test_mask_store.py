"""The store keeps every decision, lets the newest count, and never lets two people overwrite each other."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seacanary.errors import SeaCanaryError
from seacanary_models.mask_canvas import image_of_png, picture_png
from seacanary_models.mask_store import Decision, MaskStore, Status, StoreConflict, accepted_windows
from seacanary_models.mask_windows import Source, SourceWindow
from seacanary_models.proposal_files import Proposal, proposal_of

pytestmark = pytest.mark.torch
IMAGE = np.random.default_rng(1).integers(0, 256, (256, 256), np.uint8)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def proposal(number: int = 0, scale: int = 2) -> Proposal:
    source = Source(
        file="a.wav", sha256="0" * 64, sample_rate_hz=48_000, channel=0, first_sample=number, end_sample=number + 9
    )
    return proposal_of(SourceWindow(source, IMAGE), [], scale=scale)


def mask(row: int) -> NDArray[np.bool_]:
    made = np.zeros((256, 256), np.bool_)
    made[row, 10:20] = True
    return made


def decision(of: Proposal, status: Status = "accepted", *, who: str = "Ada", at: datetime = NOON) -> Decision:
    return Decision(proposal_id=of.id, proposal_digest=of.digest, annotator=who, decided_at=at, status=status)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "masks.sqlite"


def filled(path: Path, *proposals: Proposal) -> MaskStore:
    store = MaskStore(path)
    for one in proposals:
        store.add_proposal(one, picture_png(IMAGE, scale=one.canvas_scale))
    return store


def test_a_decision_is_kept_with_all_that_it_rests_on(path: Path) -> None:
    shown = proposal()
    with filled(path, shown) as store:
        assert store.decide(decision(shown), {"whistle": mask(3), "unknown": mask(200) & False}) == 1
    with MaskStore(path) as store:
        (kept,) = store.newest("accepted")
        assert kept.decision == decision(shown)
        assert store.proposal(shown.id) == shown
        np.testing.assert_array_equal(image_of_png(store.picture(shown.id)), IMAGE)
        assert store.masks(kept).keys() == {"whistle"}
        np.testing.assert_array_equal(store.masks(kept)["whistle"], mask(3))


def test_the_newest_decision_counts_and_the_others_stay(path: Path) -> None:
    shown, other = proposal(0), proposal(1)
    with filled(path, shown, other) as store:
        store.decide(decision(shown), {"whistle": mask(3)})
        store.decide(decision(other), {})
        store.decide(decision(shown, "rejected", who="Bo"), {})
        assert [kept.decision.annotator for kept in store.history(shown.id)] == ["Ada", "Bo"]
        assert [kept.decision.proposal_id for kept in store.newest("accepted")] == [other.id]
        assert [kept.decision.proposal_id for kept in store.newest("rejected")] == [shown.id]
        latest = store.latest(shown.id)
        assert latest is not None
        assert (latest.revision, latest.decision.status) == (2, "rejected")


def test_whoever_saw_an_older_revision_is_refused(path: Path) -> None:
    shown = proposal()
    with filled(path, shown) as store:
        assert store.decide(decision(shown), {"whistle": mask(1)}, after=0) == 1
        with pytest.raises(StoreConflict, match="revision 1, not 0"):
            store.decide(decision(shown, who="Bo"), {"whistle": mask(2)}, after=0)
        assert store.decide(decision(shown, who="Bo"), {"whistle": mask(2)}, after=1) == 2


def test_many_writers_at_once_lose_nothing(path: Path) -> None:
    shown = proposal()
    filled(path, shown).__exit__(None, None, None)

    def decide(name: str) -> None:
        with MaskStore(path) as store:
            for row in range(5):
                store.decide(decision(shown, who=name), {"whistle": mask(row)})

    writers = [threading.Thread(target=decide, args=(f"w{n}",)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with MaskStore(path) as store:
        history = store.history(shown.id)
        assert [kept.revision for kept in history] == list(range(1, 21))
        assert all(store.masks(kept).keys() == {"whistle"} for kept in history)


@pytest.mark.parametrize("table", ["proposals", "decisions", "masks"])
def test_nothing_can_be_changed_or_removed(path: Path, table: str) -> None:
    shown = proposal()
    with filled(path, shown) as store:
        store.decide(decision(shown), {"whistle": mask(1)})
    database = sqlite3.connect(path)
    for attempt in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = 7"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(attempt)
    database.close()


def test_what_nobody_has_judged_is_pending(path: Path) -> None:
    first, second = proposal(0), proposal(1)
    with filled(path, first, second, first) as store:
        assert store.pending() == [first.id, second.id]
        assert store.pending(limit=1) == [first.id]
        store.decide(decision(first, "rejected"), {})
        assert store.pending() == [second.id]


def test_a_decision_names_the_proposal_that_was_shown(path: Path) -> None:
    before, after = proposal(scale=2), proposal(scale=3)
    with filled(path, before) as store:
        store.decide(decision(before), {})
        store.add_proposal(after, picture_png(IMAGE, scale=3))
        assert store.proposal(before.id) == after
        assert store.history(before.id)[0].decision.proposal_digest == before.digest


def test_a_failed_decision_leaves_no_trace(path: Path) -> None:
    with filled(path, proposal(0)) as store:
        with pytest.raises(SeaCanaryError, match="does not know the proposal"):
            store.decide(decision(proposal(9)), {"whistle": mask(1)})
        with pytest.raises(SeaCanaryError, match="'song' is no label"):
            store.decide(decision(proposal(0)), {"song": mask(1)})
        with pytest.raises(ValueError, match="256 x 256"):
            store.decide(decision(proposal(0)), {"whistle": np.ones((3, 3), np.bool_)})
        assert store.latest(proposal(0).id) is None
        with pytest.raises(SeaCanaryError, match="no proposal 'x'"):
            store.picture("x")


def test_times_are_kept_in_utc(path: Path) -> None:
    shown = proposal()
    with filled(path, shown) as store:
        store.decide(decision(shown, at=datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))), {})
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT decided_at FROM decisions").fetchone() == ("2026-03-01T12:00:00+00:00",)
    database.close()


def test_accepted_windows_become_images_and_marks(path: Path) -> None:
    first, second = proposal(0), proposal(1)
    with filled(path, first, second) as store:
        store.decide(decision(first), {"whistle": mask(3), "porpoise_click": mask(3), "unknown": mask(9)})
        store.decide(decision(second, "rejected"), {"whistle": mask(3)})
        images, marks = accepted_windows(store)
    assert images.shape == marks.shape == (1, 256, 256)
    np.testing.assert_array_equal(images[0], IMAGE)
    assert (marks[0, 3, 10], marks[0, 9, 10], marks[0, 0, 10]) == (0b101, 0b1000, 0)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("this is no database, and long enough to be looked at" * 20)
    with pytest.raises(SeaCanaryError, match="no store of masks"):
        MaskStore(tmp_path / "text.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE birds (name TEXT)")
    other.close()
    with pytest.raises(SeaCanaryError, match="no store of masks of version 1"):
        MaskStore(tmp_path / "other.sqlite")
