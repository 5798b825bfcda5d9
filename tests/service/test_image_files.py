"""The Dockerfile and what is beside it, as far as they can be judged by reading; make image-test builds an image."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import seacanary

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8")


def stage(name: str) -> str:
    """The instructions of one stage, without the line that begins it."""
    found = re.search(
        rf"^FROM \S+ AS {name}\n(.*?)(?=\n# hadolint ignore=DL3006|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL
    )
    assert found is not None, name
    return found[1].strip()


def test_bases_are_arguments_pinned_to_a_release() -> None:
    bases = dict(re.findall(r"^ARG (\w+_BASE)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {f"${{{name}}}" for name in bases}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases["CPU_BASE"])
    assert re.fullmatch(r"nvidia/cuda:13\.\d+\.\d+-cudnn-runtime-ubuntu24\.04", bases["GPU_BASE"])


@pytest.mark.parametrize("name", ["cpu", "cpu-build"])
def test_targets_differ_in_base_and_onnx_runtime_alone(name: str) -> None:
    other = stage(name.replace("cpu", "gpu"))
    alike = other.replace("gpu-build", "cpu-build").replace("gpu,cluster", "cpu,cluster").replace("(gpu)", "(cpu)")
    assert alike.replace("/runtime.sh python3", "/runtime.sh") == stage(name)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_it_runs_as_nobody_in_particular_and_says_how_it_fares(name: str) -> None:
    instructions = stage(name)
    assert re.findall(r"^USER (.*)", instructions, re.MULTILINE) == ["10001:10001"]
    assert 'ENTRYPOINT ["tini", "--", "seacanary"]' in instructions
    assert "HEALTHCHECK" in instructions
    assert f"ARG VERSION={seacanary.__version__}\n" in instructions
    assert "org.opencontainers.image.licenses" in instructions


def test_what_is_built_is_pinned() -> None:
    assert "-c constraints.txt" in (ROOT / "deploy/image/build.sh").read_text()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", pinned) for pinned in re.findall(r"HATCHLING=(.*)", DOCKERFILE))


def test_the_builder_is_given_what_it_needs_and_no_more() -> None:
    given = set(re.findall(r"^!(\S+)$", IGNORED, re.MULTILINE))
    assert IGNORED.partition("!")[0].splitlines()[-1] == "*"
    assert given == {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "service", "models", "deploy/image"}
    assert all((ROOT / name).exists() for name in given)


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not installed: make image-test installs it")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shellcheck_finds_nothing() -> None:
    scripts = [*(ROOT / "deploy").rglob("*.sh"), *(ROOT / "tests/image").glob("*.sh")]
    try:
        done = subprocess.run(
            ["shellcheck", *map(str, scripts)], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        pytest.skip("shellcheck is not installed")
    assert done.returncode == 0, done.stdout
