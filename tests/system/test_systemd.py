"""The units, as systemd's own tools judge them; make install-test starts them under a real systemd."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed"),
]

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ("seacanary.service", "seacanary@.service")
BACKUP = ("seacanary-backup.service", "seacanary-backup.timer")
# Of the whole unit, in tenths: what the project promises.
MOST_EXPOSURE = 20


def analyzed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def instance(folder: Path, unit: str) -> Path:
    """The unit with its program in place, which verify asks for; a template as worker."""
    text = (FOLDER / unit).read_text(encoding="utf-8")
    path = folder / unit.replace("@.", "@worker.")
    path.write_text(text.replace("/opt/seacanary/bin/seacanary", "/bin/true"), encoding="utf-8")
    if unit == "seacanary@.service":
        drop_in = folder / f"{path.name}.d" / "worker.conf"
        drop_in.parent.mkdir()
        shutil.copy(FOLDER / "worker.conf", drop_in)
    return path


@pytest.mark.parametrize("unit", [*UNITS, *BACKUP])
def test_systemd_understands_every_line(tmp_path: Path, unit: str) -> None:
    for other in BACKUP:
        instance(tmp_path, other)
    done = analyzed("verify", "--man=no", str(instance(tmp_path, unit)))
    ours = [line for line in done.stderr.splitlines() if "seacanary" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", [*UNITS, BACKUP[0]])
def test_exposure_is_at_most_two(tmp_path: Path, unit: str) -> None:
    done = analyzed("security", "--offline=yes", f"--threshold={MOST_EXPOSURE}", str(instance(tmp_path, unit)))
    assert done.returncode == 0, done.stdout[-400:]
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) * 10 <= MOST_EXPOSURE


def test_a_unit_without_its_sandbox_is_seen_as_exposed(tmp_path: Path) -> None:
    path = instance(tmp_path, "seacanary.service")
    path.write_text(re.sub(r"(?m)^(Protect|Private|Restrict|SystemCall|Capability).*\n", "", path.read_text()))
    assert analyzed("security", "--offline=yes", f"--threshold={MOST_EXPOSURE}", str(path)).returncode != 0


def sections(unit: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # a unit's keys have capitals
    parser.read_string((FOLDER / unit).read_text(encoding="utf-8"))
    return parser


def test_other_roles_run_in_the_same_sandbox() -> None:
    station, role = (dict(sections(unit)["Service"]) for unit in UNITS)
    assert station.pop("ExecStart").replace("run /etc/seacanary/station.yaml", "%i /etc/seacanary/%i.yaml") == (
        role.pop("ExecStart")
    )
    assert station.pop("ExecReload")  # only a station reads its configuration again while it runs
    assert station == role


def test_who_may_have_a_sound_card_may_make_the_memory_that_calls_back() -> None:
    for unit in UNITS:
        assert "MemoryDenyWriteExecute" not in sections(unit)["Service"]
    assert sections("worker.conf")["Service"]["MemoryDenyWriteExecute"] == "yes"


def test_it_is_watched_reloaded_and_tried_for_ever() -> None:
    unit = sections("seacanary.service")
    service = unit["Service"]
    assert (service["Type"], service["Restart"], service["ExecReload"]) == (
        "notify",
        "on-failure",
        "/bin/sh -c 'kill -HUP $MAINPID'",
    )
    assert int(service["WatchdogSec"]) > 0
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_user_and_folders_are_made_as_the_unit_wants_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "group").write_text("root:x:0:\naudio:x:29:\n")
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "seacanary.sysusers")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ":/var/lib/seacanary:/usr/sbin/nologin" in (tmp_path / "etc" / "passwd").read_text()
    assert "audio:x:29:seacanary" in (tmp_path / "etc" / "group").read_text()
    made = {line.split()[1]: line.split()[2:] for line in _lines(FOLDER / "seacanary.tmpfiles")}
    assert made["/etc/seacanary"] == ["0750", "root", "seacanary"]
    assert made["/var/lib/seacanary"] == ["0750", "seacanary", "seacanary"]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
