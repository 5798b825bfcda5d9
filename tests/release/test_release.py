"""What is released, tried as a new user has it: built, installed into an empty environment, run without a network.

Needs the package index, or a mirror of it, to install what seacanary depends on. `make release-test` runs it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from documents import ROOT
from seacanary import __version__

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ARTIFACTS = ROOT / "models" / "artifacts"
EXTRAS = "cpu,cluster"
SDIST = {
    "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", ".gitignore", "constraints.txt", "models", "pyproject.toml",
    "service",
}  # fmt: skip
MIB = 2**20


def done(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must end well."""
    ended = subprocess.run(command, check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel, for the CPU, and what it depends on."""
    home = tmp_path_factory.mktemp("installed")
    done(sys.executable, "-m", "venv", home / "env", cwd=home)
    pip = (home / "env" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    done(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[cpu]", cwd=home)
    return home / "env"


@pytest.fixture(scope="session")
def complete(installed: Path, wheel: Path) -> Path:
    """The same with what an edge or a worker needs."""
    pip = (installed / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    done(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[{EXTRAS}]", cwd=installed)
    return installed


@pytest.fixture(scope="session")
def licences() -> ModuleType:
    spec = spec_from_file_location("licences", ROOT / "deploy" / "release" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["licences"] = module
    spec.loader.exec_module(module)
    return module


def test_the_wheel_has_the_model_the_demos_audio_and_the_pages_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        for line in (ARTIFACTS / "checksums.txt").read_text().splitlines():
            digest, name = line.split()
            assert hashlib.sha256(opened.read(f"seacanary/artifacts/{name}")).hexdigest() == digest
    assert {"seacanary/assets/orcasound_ambient.flac", "seacanary/assets/CREDITS.md", "seacanary/py.typed"} <= names
    assert any(name.startswith("seacanary/web/templates/") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names} == {
        "seacanary", "seacanary_models", f"seacanary-{__version__}.dist-info",
    }  # fmt: skip
    assert wheel.stat().st_size < 10 * MIB


def test_the_sdist_has_what_the_wheel_is_built_of_and_no_more(dist: Path) -> None:
    [path] = dist.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        names = [name.split("/", 1)[1] for name in opened.getnames() if "/" in name]
    assert {name.split("/")[0] for name in names} == SDIST
    assert {name.split("/")[1] for name in names if name.startswith("models/")} == {"artifacts", "seacanary_models"}
    assert not [name for name in names if name.endswith((".pyc", ".pt", ".db", ".wav"))]
    assert path.stat().st_size < 12 * MIB


def test_the_version_is_the_same_everywhere(installed: Path, wheel: Path, tmp_path: Path) -> None:
    said = done(installed / "bin" / "seacanary", "--version", cwd=tmp_path)
    assert said.split() == ["seacanary", __version__]
    assert f"-{__version__}-" in wheel.name


def without_network() -> list[str]:
    """Command that runs another one with a loopback interface and nothing else."""
    unshare, ip = shutil.which("unshare"), shutil.which("ip")
    if not unshare or not ip:
        pytest.skip("unshare and ip (Debian: util-linux, iproute2) are needed to take the network away")
    rooted = [] if os.geteuid() == 0 else ["--map-root-user"]
    within = [unshare, "--net", *rooted, "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh"]
    if subprocess.run([*within, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets us make no network namespace")
    return within


def test_the_demo_runs_without_a_network_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "MPLCONFIGDIR": str(tmp_path / "mpl"), "LC_ALL": "C.UTF-8"}
    demo = [str(installed / "bin" / "seacanary"), "demo", "--seconds", "20", "--json"]
    (tmp_path / "empty").mkdir()
    lines = done(*without_network(), *demo, cwd=tmp_path / "empty", env=env).splitlines()
    summary: Any = json.loads(lines[-1])
    assert summary["type"] == "summary"
    assert summary["balanced"]
    assert summary["troubles"] == []
    assert summary["ledger"].keys() == {"simulated-sea", "real-ambient"}
    assert list((tmp_path / "empty").iterdir()) == []


def test_nothing_that_is_installed_has_a_licence_that_is_not_allowed(complete: Path, licences: ModuleType) -> None:
    packages = licences.packages_in(complete)
    assert len(packages) > 50
    assert [one for one in packages if not one.is_allowed] == []
    rows = re.findall(r"^\| (\S+) \| \S+ \| (.*) \|$", (ROOT / "docs" / "licences.md").read_text(), re.MULTILINE)
    assert rows[1:] == [(one.name, one.licence.replace("|", "/")) for one in packages], "run `make licences`"


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("GPL-2.0-only OR MIT", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND GPL-3.0-or-later", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0", False),
        ("Proprietary", False),
        ("UNKNOWN", False),
    ],
)
def test_only_licences_of_the_list_are_allowed(licence: str, is_allowed: bool, licences: ModuleType) -> None:
    assert licences.allowed(licence) is is_allowed


def test_the_bill_of_materials_names_every_dependency(complete: Path, tmp_path: Path) -> None:
    bill = tmp_path / "bill.json"
    done(ROOT / "deploy" / "release" / "sbom.sh", complete, bill, sys.executable, cwd=tmp_path)
    said: Any = json.loads(bill.read_text())
    assert said["bomFormat"] == "CycloneDX"
    assert said["metadata"]["component"]["name"] == "seacanary"
    names = {component["name"].lower().replace("_", "-") for component in said["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["cluster"]):
        name = requirement.split(">")[0].split("[")[0].strip()
        assert name in names, name
