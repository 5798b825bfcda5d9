"""What is in the image, and whose it is."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import seacanary
from container_root import ContainerRoot

MOST_BYTES = 600_000_000
HOME = "var/lib/seacanary"
# Temporary folders, in which everybody may make files and nobody may touch another's.
SHARED = {"tmp", "var/tmp"}
NOT_THERE = ("gcc", "g++", "cc", "c99", "ld", "as", "make", "pip", "pip3")


def everything(image: ContainerRoot) -> Iterator[tuple[str, Path]]:
    return ((str(path.relative_to(image.root)), path) for path in image.root.rglob("*"))


def installed(image: ContainerRoot) -> dict[str, str]:
    """Python distributions in the environment, by name."""
    found = {}
    for folder in image.root.glob("opt/seacanary/lib/python3*/site-packages/*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def test_it_is_smaller_than_promised(image: ContainerRoot) -> None:
    files = {(at.st_dev, at.st_ino): at.st_size for _, path in everything(image) if (at := path.lstat())}
    assert sum(files.values()) < MOST_BYTES, f"{sum(files.values()) / 1e6:.0f} MB"


def test_all_is_roots_but_the_volume(image: ContainerRoot) -> None:
    others = {name for name, path in everything(image) if path.lstat().st_uid != 0}
    assert others <= {HOME} | {name for name in others if name.startswith(HOME + "/")}
    assert not list((image.root / HOME).iterdir())


def test_only_root_may_write_but_in_temporary_folders(image: ContainerRoot) -> None:
    writable = set()
    for name, path in everything(image):
        at = path.lstat()
        by_group = at.st_mode & stat.S_IWGRP and at.st_gid != 0
        if (stat.S_ISREG(at.st_mode) or stat.S_ISDIR(at.st_mode)) and (by_group or at.st_mode & stat.S_IWOTH):
            writable.add(name)
            assert at.st_mode & stat.S_ISVTX, name
    assert writable <= SHARED


def test_nothing_gives_rights_to_who_runs_it(image: ContainerRoot) -> None:
    assert not [
        name
        for name, path in everything(image)
        if stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]


def test_there_is_no_compiler_no_installer_and_no_torch(image: ContainerRoot) -> None:
    folders = [image.root / name for name in ("usr/bin", "usr/local/bin", "opt/seacanary/bin")]
    assert not [str(folder / tool) for folder in folders for tool in NOT_THERE if (folder / tool).exists()]
    assert not {"torch", "torchvision", "pip", "setuptools"} & installed(image).keys()


def test_versions_are_those_of_the_constraints(image: ContainerRoot) -> None:
    lines = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in (line.partition("==") for line in lines)
    }
    found = installed(image)
    assert found.pop("seacanary") == seacanary.__version__
    assert found.keys() >= {"onnxruntime", "numpy", "faust-streaming", "pyalsaaudio"}
    # click is left out of the constraints on purpose (Makefile, `constraints`).
    assert {name: version for name, version in found.items() if name != "click" and pinned.get(name) != version} == {}


def test_no_secret_of_the_build_is_in_it(image: ContainerRoot) -> None:
    assert not list((image.root / "run").rglob("pip.conf"))
    assert not (image.root / "etc/pip.conf").exists()


def test_it_says_what_it_is_and_how_it_is_run(image: ContainerRoot) -> None:
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.version"] == seacanary.__version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert {"title", "description", "revision"} <= {name.rpartition(".")[2] for name in labels}
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"] == ["tini", "--", "seacanary"]
    assert image.config["Volumes"] == {"/var/lib/seacanary": {}}
    assert image.config["Healthcheck"]["Test"][0] == "CMD"
