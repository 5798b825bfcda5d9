"""The review secret: made once, kept for its owner alone, refused when it is too little."""

import stat
from pathlib import Path

import pytest

from seacanary.errors import ConfigError
from seacanary.web.review_secret import review_secret
from seacanary.web.section import WebSection


def test_a_made_secret_survives_restarts_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    journal = tmp_path / "state" / "journal.db"
    made = review_secret(WebSection(), beside=journal)
    assert len(made.get_secret_value()) >= 32
    assert review_secret(WebSection(), beside=journal) == made
    [file] = journal.parent.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_stations_make_different_secrets(tmp_path: Path) -> None:
    one, two = (review_secret(WebSection(), beside=tmp_path / name / "journal.db") for name in "ab")
    assert one != two


def test_a_draft_left_by_a_crash_is_not_taken_for_the_secret(tmp_path: Path) -> None:
    (tmp_path / "review-secret.new").write_text("half")
    assert len(review_secret(WebSection(), beside=tmp_path / "journal.db").get_secret_value()) >= 32


def test_a_given_secret_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    section = WebSection(review_secret="from the environment")
    assert review_secret(section, beside=tmp_path / "j.db").get_secret_value() == "from the environment"
    assert not list(tmp_path.iterdir())


def test_a_secret_file_is_read_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sixteen letters!\n")
    section = WebSection(review_secret_file=file)
    assert review_secret(section, beside=tmp_path / "j.db").get_secret_value() == "sixteen letters!"


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), ("short\n", "16 characters"), (b"\xff", "cannot")]
)
def test_a_bad_secret_file_stops_the_start(tmp_path: Path, content: str | bytes | None, says: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=says):
        review_secret(WebSection(review_secret_file=file), beside=tmp_path / "j.db")


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match=r"web\.review_secret"):
        review_secret(WebSection(), beside=tmp_path / "state" / "journal.db")
