import pytest
from pydantic import ValidationError

from seacanary.evidence.section import EvidenceSection


def test_a_spool_that_is_shorter_than_a_clip_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"at least .* \(64\)"):
        EvidenceSection.model_validate({"spool": {"keep_s": 63}})


def test_the_spool_reaches_back_over_the_hold_to_the_beginning_of_the_clip() -> None:
    section = EvidenceSection(longest_clip_s=30, pre_roll_s=3, post_roll_s=4)
    assert section.spool_for(hold_s=600).keep_s >= 600 + 37
    assert section.spool_for(hold_s=1).keep_s == section.spool.keep_s
