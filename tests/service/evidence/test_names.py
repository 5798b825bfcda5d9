from datetime import timedelta, timezone
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_samples import event
from seacanary.evidence.names import PARTS, file_of, stem_in, stem_of


def test_a_stem_tells_hydrophone_day_onset_species_kind_and_event() -> None:
    told = event(384_000 * 61)
    assert stem_of(told) == f"north/2026-05-01/20260501T000101Z_beluga_started_{told.id.hex[:8]}"


def test_an_onset_of_another_time_zone_is_named_in_utc() -> None:
    told = event(0)
    abroad = told.model_copy(update={"onset": told.onset.astimezone(timezone(timedelta(hours=-7)))})
    assert stem_of(abroad) == stem_of(told)


@given(hydrophone=st.text(), species=st.text())
def test_no_name_leads_out_of_the_folder_or_is_too_long(hydrophone: str, species: str) -> None:
    path = PurePosixPath(stem_of(event(0, hydrophone=hydrophone, species=species)))
    assert len(path.parts) == 3
    assert not path.is_absolute()
    assert all(part not in ("", ".", "..") and not part.startswith(".") for part in path.parts)
    assert all(len((part + "_x10.flac.part").encode()) <= 255 for part in path.parts)


@given(hydrophone=st.text(), species=st.text())
def test_the_stem_is_found_again_in_each_of_its_files(hydrophone: str, species: str) -> None:
    stem = stem_of(event(7, hydrophone=hydrophone, species=species))
    assert [stem_in(file_of(stem, part)) for part in PARTS] == [stem] * 4


@pytest.mark.parametrize(
    "path", ["readme.txt", "north/2026-05-01/notes.json", "../2026-05-01/20260501T000101Z_beluga_started_01234567.png"]
)
def test_other_files_are_no_evidence(path: str) -> None:
    assert stem_in(path) is None
