"""deploy/install.sh and the systemd unit on a machine that systemd boots: installed, watched, upgraded, removed.

Debian 12, made with debootstrap. Raspberry Pi OS is Debian on another processor, and is not tried here. The tests build
on one another, on one machine; the hydrophone is a sender on the network, whose sound is noise.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import seacanary
from booted_machine import BootedMachine, copied, missing_machine_tools
from noise_sender import NoiseSender
from redis_server import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BOOTABLE = ROOT / "build" / "image" / "machine"
RATE_HZ = 48_000
INSTALL = ("/root/checkout/deploy/install.sh", "install", "--from")

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not BOOTABLE.exists(), reason="no machine was made: make install-test"),
    pytest.mark.skipif(bool(missing_machine_tools()), reason=f"not here: {', '.join(missing_machine_tools())}"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[BootedMachine]:
    folder = tmp_path_factory.mktemp("install")
    root = copied(BOOTABLE, folder)
    checkout = root / "root" / "checkout"
    for name in ("deploy", "docs"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("images", "secrets"))
    shutil.copy(ROOT / "constraints.txt", checkout)
    shutil.copy(wheel, root / "root")
    # pip is told there what it is told here, and saves the minute that bytecode takes.
    subprocess.run([sys.executable, str(HERE / "pip_secrets.py"), str(root / "etc"), "/etc/ca.crt"], check=True)
    with (root / "etc" / "pip.conf").open("a") as configuration:
        configuration.write("[install]\nno-compile = true\n")
    cache = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=True)
    Path(cache.stdout.strip()).mkdir(parents=True, exist_ok=True)
    with BootedMachine(root, binds={Path(cache.stdout.strip()): "/root/.cache/pip"}) as booted:
        yield booted
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def sender() -> Iterator[NoiseSender]:
    hydrophone = NoiseSender(RATE_HZ)
    yield hydrophone
    hydrophone.close()


def shown(machine: BootedMachine, *properties: str) -> dict[str, str]:
    """Properties of the service, as systemd knows them."""
    asked = [f"--property={name}" for name in properties]
    lines = machine.said("systemctl", "show", "seacanary.service", *asked).splitlines()
    return dict(line.split("=", 1) for line in lines)


def until(true: Callable[[], bool], machine: BootedMachine, *, within_s: float = 240) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        log = ("journalctl", "--no-pager", "-n", "60", "-u", "seacanary.service")
        assert time.monotonic() < deadline_s, machine.run(*log).stdout
        time.sleep(0.5)


def install(machine: BootedMachine, *more: str) -> "subprocess.CompletedProcess[str]":
    (there,) = (machine.root / "root").glob("*.whl")
    return machine.run(*INSTALL, f"/root/{there.name}", "--extras", "cpu", *more, timeout=1800)


def snapshot(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """What install.sh puts on a machine beside the program and its state: mode, owner, group and text of each file."""
    found = {}
    for folder in ("etc/seacanary", "usr/local"):
        for path in [root / folder, *(root / folder).rglob("*")]:
            at = path.lstat()
            text = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path.relative_to(root))] = (at.st_mode, at.st_uid, at.st_gid, text)
    return found


def test_it_installs_and_says_what_is_next(machine: BootedMachine) -> None:
    done = install(machine)
    assert done.returncode == 0, done.stdout
    assert f"seacanary {seacanary.__version__} is installed" in done.stdout
    assert "next: write /etc/seacanary/station.yaml" in done.stdout
    assert machine.said("seacanary", "version").strip() == f"seacanary {seacanary.__version__}"
    assert "audio" in machine.said("id", "-Gn", "seacanary").split()
    assert machine.said("stat", "-c", "%a %U:%G", "/var/lib/seacanary", "/etc/seacanary").split() == [
        "750", "seacanary:seacanary", "750", "root:seacanary",
    ]  # fmt: skip


def test_to_repeat_it_changes_nothing_but_the_program(machine: BootedMachine) -> None:
    before, link = snapshot(machine.root), (machine.root / "opt/seacanary").readlink()
    for _ in range(2):
        assert install(machine).returncode == 0
    assert snapshot(machine.root) == before
    assert (machine.root / "opt/seacanary").readlink() != link
    assert len(list((machine.root / "opt/seacanary-releases").iterdir())) == 2


def test_the_service_is_up_once_it_hears_in_its_sandbox(machine: BootedMachine, sender: NoiseSender) -> None:
    configuration = machine.root / "etc/seacanary/station.yaml"
    configuration.write_text(
        "station: {name: pier}\n"
        f"sources: [{{kind: tcp, mode: connect, host: 127.0.0.1, port: {sender.port}, "
        f"hydrophones: [north], sample_rate_hz: {RATE_HZ}}}]\n"
        "journal: {path: state/journal.db}\n"
        f"metrics: {{port: {free_port()}}}\n"
    )
    impatient = machine.root / "etc/systemd/system/seacanary.service.d/test.conf"
    impatient.parent.mkdir(parents=True)
    impatient.write_text("[Service]\nWatchdogSec=10\nRestartSec=1\n")
    machine.said("systemctl", "daemon-reload")
    machine.said("systemctl", "--no-block", "enable", "--now", "seacanary.service")
    until(lambda: shown(machine, "ActiveState")["ActiveState"] == "active", machine)
    until(lambda: shown(machine, "StatusText")["StatusText"] == "all is well", machine)
    pid = shown(machine, "MainPID")["MainPID"]
    status = dict(
        line.split(":\t", 1) for line in machine.said("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split()[0] == machine.said("id", "-u", "seacanary").strip()


def test_a_reload_keeps_it_running(machine: BootedMachine) -> None:
    before = shown(machine, "MainPID", "NRestarts")
    machine.said("systemctl", "reload", "seacanary.service")
    time.sleep(2)
    assert shown(machine, "MainPID", "NRestarts") == before
    assert shown(machine, "ActiveState")["ActiveState"] == "active"


def test_a_station_whose_hydrophone_hangs_is_started_again_until_it_hears(
    machine: BootedMachine, sender: NoiseSender
) -> None:
    before = int(shown(machine, "NRestarts")["NRestarts"])
    sender.sending.clear()
    until(lambda: int(shown(machine, "NRestarts")["NRestarts"]) > before, machine)
    log = machine.said("journalctl", "--no-pager", "-u", "seacanary.service")
    assert "Watchdog timeout" in log
    sender.sending.set()
    until(lambda: shown(machine, "ActiveState")["ActiveState"] == "active", machine)


def test_an_upgrade_restarts_the_service(machine: BootedMachine) -> None:
    before = shown(machine, "MainPID")["MainPID"]
    done = install(machine)
    assert done.returncode == 0, done.stdout
    assert "/etc/seacanary/station.yaml: accepted" in done.stdout
    until(lambda: shown(machine, "MainPID")["MainPID"] not in ("0", before), machine)
    until(lambda: shown(machine, "ActiveState")["ActiveState"] == "active", machine)


def test_a_program_that_does_not_accept_the_configuration_does_not_take_over(machine: BootedMachine) -> None:
    configuration = machine.root / "etc/seacanary/station.yaml"
    good = configuration.read_text()
    link, running = (machine.root / "opt/seacanary").readlink(), shown(machine, "MainPID")
    configuration.write_text(good + "hidrophone: {}\n")
    done = install(machine)
    configuration.write_text(good)
    assert done.returncode == 1
    assert "hidrophone" in done.stdout
    assert "the old one stays in place" in done.stdout
    assert (machine.root / "opt/seacanary").readlink() == link
    assert shown(machine, "MainPID") == running


def test_what_cannot_be_installed_changes_nothing(machine: BootedMachine) -> None:
    before, link = snapshot(machine.root), (machine.root / "opt/seacanary").readlink()
    (machine.root / "root/broken-1-py3-none-any.whl").write_bytes(b"no wheel")
    done = machine.run(*INSTALL, "/root/broken-1-py3-none-any.whl", timeout=300)
    missing = machine.run(*INSTALL, "/root/nowhere.whl")
    (machine.root / "root/broken-1-py3-none-any.whl").unlink()
    assert (done.returncode, missing.returncode) == (1, 1)
    assert "nothing was changed" in done.stdout
    assert "/root/nowhere.whl: there is no such file" in missing.stdout
    assert (snapshot(machine.root), (machine.root / "opt/seacanary").readlink()) == (before, link)


@pytest.mark.parametrize("wrong", [(), ("install", "--fast"), ("remove", "--all"), ("upgrade",)])
def test_wrong_usage_is_told(machine: BootedMachine, wrong: tuple[str, ...]) -> None:
    done = machine.run("/root/checkout/deploy/install.sh", *wrong)
    assert done.returncode == 2
    assert re.match(r"usage: install.sh install .*\nusage: install.sh remove", done.stdout)


def test_removed_it_leaves_what_was_heard(machine: BootedMachine) -> None:
    said = machine.said("/root/checkout/deploy/install.sh", "remove", timeout=300)
    assert "configuration and events stay" in said
    assert (machine.root / "etc/seacanary/station.yaml").exists()
    assert (machine.root / "var/lib/seacanary/state/journal.db").exists()
    assert not [path for path in (machine.root / "opt").iterdir() if "seacanary" in path.name]
    assert machine.run("systemctl", "cat", "seacanary.service").returncode != 0


def test_installed_again_it_goes_on_and_purged_nothing_is_left(machine: BootedMachine) -> None:
    assert install(machine).returncode == 0
    machine.said("seacanary", "check", "/etc/seacanary/station.yaml")
    machine.said("/root/checkout/deploy/install.sh", "remove", "--purge", timeout=300)
    left = [
        folder for folder in ("etc/seacanary", "var/lib/seacanary", "opt/seacanary") if (machine.root / folder).exists()
    ]
    assert left == []
    assert machine.run("id", "seacanary").returncode != 0
    assert machine.run("/root/checkout/deploy/install.sh", "remove", "--purge").returncode == 0
