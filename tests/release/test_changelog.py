"""CHANGELOG.md in the form of Keep a Changelog, with upgrade notes for whoever runs a station."""

import re

from documents import ROOT
from seacanary import __version__

HEADINGS = {"Upgrade notes", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_it_begins_with_what_is_not_released_and_each_version_has_its_date() -> None:
    first, *others = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    assert first == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in others)
    assert __version__ in TEXT


def test_each_version_has_upgrade_notes_and_known_sections_once_each() -> None:
    for version in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        headings = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert "Upgrade notes" in headings
        assert len(set(headings)) == len(headings)
        assert set(headings) <= HEADINGS
