"""Workflow files: of GitHub's shape, with pinned actions and no more rights than they need. They are not run here."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What each job may do beyond reading the repository.
RIGHTS = {
    ("image.yml", "image"): {"contents": "read", "packages": "write"},
    ("release.yml", "publish"): {"id-token": "write"},
    ("release.yml", "github"): {"contents": "write"},
}


def workflow(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(file.read_text())
    return read


def test_there_are_workflows_for_tests_release_and_image() -> None:
    assert [file.name for file in FILES] == ["image.yml", "release.yml", "tests.yml"]


def test_they_are_of_githubs_shape() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    checked = subprocess.run([*command, *map(str, FILES)], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_they_say_that_they_were_not_run(file: Path) -> None:
    assert "not run there" in file.read_text().splitlines()[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_and_every_job_has_least_rights_and_a_limit(file: Path) -> None:
    read = workflow(file)
    assert read["permissions"] == {"contents": "read"}
    for name, job in read["jobs"].items():
        assert job.get("permissions") == RIGHTS.get((file.name, name))
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_they_run_is_in_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = [step["run"] for job in workflow(file)["jobs"].values() for step in job["steps"] if "run" in step]
    asked = [name for run in runs for names in re.findall(r"\bmake ([a-z -]+)", run) for name in names.split()]
    assert set(asked) <= targets
