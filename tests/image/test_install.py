"""deploy/install.sh and the systemd unit on a machine that systemd boots: installed, watched, upgraded, removed.

Debian 12, made with debootstrap. Raspberry Pi OS is Debian on another processor, and is not tried here. The tests build
on one another, on one machine; the hydrophone is a sender on the network, whose sound is noise.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import seacanary
from booted_machine import BootedMachine, copied, missing_machine_tools
from noise_sender import NoiseSender
from redis_server import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BOOTABLE = ROOT / "build" / "image" / "machine"
RATE_HZ = 48_000
METRICS_PORT = free_port()  # the machine's network is this one's
# An environment as systemd reads it; a shell would not.
ENVIRONMENT = r"""; the password of Redis
REDIS_URL=redis://:p&ss$x@127.0.0.1:9/0
 GREETING = two words
QUOTED="$(touch /tmp/executed) `touch /tmp/executed`"
"""
# Opens an ALSA device that hears silence, as the station does.
HEAR_A_CARD = """
import threading
from seacanary.sources.portaudio import PortAudio, Wanted
heard = threading.Event()
wanted = Wanted(device="silent", sample_rate_hz=48000, channels=1, format="int16", block_frames=960, latency_s=0.3,
                callback=lambda *_: heard.set(), ended=print)
PortAudio().open(wanted)
assert heard.wait(20)
"""
# Where something of Sea Canary stands on a machine that has it.
FOLDERS = (
    "etc", "etc/systemd/system", "etc/systemd/system/multi-user.target.wants", "etc/systemd/system/timers.target.wants",
    "opt", "usr/local/bin", "usr/local/lib/systemd/system", "usr/local/lib/sysusers.d", "usr/local/lib/tmpfiles.d",
    "usr/local/sbin", "usr/local/share/doc", "var/cache", "var/lib",
)  # fmt: skip
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


def releases(machine: BootedMachine) -> set[str]:
    return {path.name for path in (machine.root / "opt/seacanary-releases").iterdir()}


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
    assert install(machine).returncode == 0
    one_before = (machine.root / "opt/seacanary").readlink()
    (machine.root / "opt/seacanary-releases/99991231T235959Z-left").mkdir()  # by a machine that was switched off
    assert install(machine).returncode == 0
    assert snapshot(machine.root) == before
    newest = (machine.root / "opt/seacanary").readlink()
    assert len({link, one_before, newest}) == 3
    assert releases(machine) == {one_before.name, newest.name}


def test_an_install_that_is_broken_off_leaves_nothing_of_it(machine: BootedMachine) -> None:
    before, link = releases(machine), (machine.root / "opt/seacanary").readlink()
    (there,) = (machine.root / "root").glob("*.whl")
    broken_off = machine.run("timeout", "--signal=TERM", "4", *INSTALL, f"/root/{there.name}", "--extras", "cpu")
    assert broken_off.returncode == 124
    assert "making the new program" in broken_off.stdout
    assert (releases(machine), (machine.root / "opt/seacanary").readlink()) == (before, link)


def test_what_init_writes_as_root_the_service_can_read(machine: BootedMachine) -> None:
    configuration = machine.root / "etc/seacanary/station.yaml"
    answers = (
        "--yes",
        "--untried",
        "--name",
        "pier",
        "--source",
        "simulated",
        "--redis",
        "redis://:p4ss@127.0.0.1:9/0",
    )
    said = machine.said("seacanary", "init", "/etc/seacanary/station.yaml", *answers)
    assert "the group seacanary can read them" in said
    machine.said("seacanary-station", "check", "/etc/seacanary/station.yaml")
    configuration.unlink()
    shutil.rmtree(configuration.parent / "secrets")


def test_commands_run_as_the_service_does_and_execute_nothing_of_its_environment(machine: BootedMachine) -> None:
    (machine.root / "etc/seacanary/environment").write_text(ENVIRONMENT)
    shell = ("env", "SEACANARY_PROGRAM=/bin/sh", "seacanary-station", "-c")
    asked = (*shell, 'id -un; pwd; echo "$1"; env', "sh", "a $b c")
    without_systemd = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run/systemd; exec "$@"', "sh")
    for said in (machine.said(*asked), machine.said(*without_systemd, *asked)):
        user, folder, argument, *variables = said.splitlines()
        assert (user, folder, argument) == ("seacanary", "/var/lib/seacanary", "a $b c")
        assert {
            "REDIS_URL=redis://:p&ss$x@127.0.0.1:9/0",
            "GREETING=two words",
            "QUOTED=$(touch /tmp/executed) `touch /tmp/executed`",
            "MPLCONFIGDIR=/var/cache/seacanary/matplotlib",
        } <= set(variables)
    assert not (machine.root / "tmp/executed").exists()
    assert machine.run(*shell, "exit 7").returncode == 7


def hears_a_card(machine: BootedMachine, *lines: str) -> "subprocess.CompletedProcess[str]":
    """Have a program hear a sound card in the service's sandbox, with further lines of its unit."""
    (machine.root / "etc/asound.conf").write_text("pcm.silent { type null }\n")
    (machine.root / "usr/local/lib/hear_a_card.py").write_text(HEAR_A_CARD)
    unit = (machine.root / "usr/local/lib/systemd/system/seacanary.service").read_text()
    program = "/opt/seacanary/bin/python /usr/local/lib/hear_a_card.py"
    unit = re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={program}", unit)
    unit = re.sub(r"(?m)^Type=.*$", "Type=oneshot", re.sub(r"(?m)^(Restart|WatchdogS\w+|ExecReload).*\n", "", unit))
    card = machine.root / "etc/systemd/system/card.service"
    card.write_text(unit.replace("[Install]", "\n".join([*lines, "[Install]"])))
    machine.said("systemctl", "daemon-reload")
    done = machine.run("systemctl", "start", "card.service", timeout=120)
    done.stdout += machine.said("journalctl", "--no-pager", "-n", "40", "-u", "card.service")
    for path in ("etc/asound.conf", "usr/local/lib/hear_a_card.py", "etc/systemd/system/card.service"):
        (machine.root / path).unlink()
    return done


def test_a_sound_card_is_heard_in_the_sandbox(machine: BootedMachine) -> None:
    done = hears_a_card(machine)
    assert done.returncode == 0, done.stdout


def test_a_sandbox_that_forbids_to_call_back_is_told_of(machine: BootedMachine) -> None:
    done = hears_a_card(machine, "MemoryDenyWriteExecute=yes")
    assert done.returncode != 0
    assert "SourceUnusable" in done.stdout
    assert "MemoryDenyWriteExecute=" in done.stdout


def test_the_service_is_up_once_it_hears_in_its_sandbox(machine: BootedMachine, sender: NoiseSender) -> None:
    configuration = machine.root / "etc/seacanary/station.yaml"
    configuration.write_text(
        "station: {name: pier}\n"
        f"sources: [{{kind: tcp, mode: connect, host: 127.0.0.1, port: {sender.port}, "
        f"hydrophones: [north], sample_rate_hz: {RATE_HZ}}}]\n"
        "publishers: [{kind: redis_streams, url: '${REDIS_URL}'}]\n"
        "journal: {path: state/journal.db}\n"
        f"metrics: {{port: {METRICS_PORT}}}\n"
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


def health() -> dict[str, Any]:
    with urlopen(f"http://127.0.0.1:{METRICS_PORT}/health", timeout=30) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


def test_a_reload_keeps_it_running_with_what_was_changed(machine: BootedMachine) -> None:
    configuration = machine.root / "etc/seacanary/station.yaml"
    before, number = shown(machine, "MainPID", "NRestarts"), health()["configuration"]["latest"]["number"]
    with configuration.open("a") as file:
        file.write("presence: {rule: {hold_s: 45}}\n")
    machine.said("systemctl", "reload", "seacanary.service")
    until(lambda: health()["configuration"]["latest"]["number"] > number, machine)
    latest = health()["configuration"]["latest"]
    assert latest["outcome"] == "applied", latest
    assert "presence" in json.dumps(latest)
    assert shown(machine, "MainPID", "NRestarts") == before
    assert shown(machine, "ActiveState")["ActiveState"] == "active"


def test_a_backup_is_made_each_night(machine: BootedMachine) -> None:
    machine.said("systemctl", "enable", "--now", "seacanary-backup.timer")
    assert "seacanary-backup.timer" in machine.said("systemctl", "list-timers", "--no-pager")
    old = machine.root / "var/lib/seacanary/backups/station-20200101T000000Z.tar.zst"
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    done = machine.run("systemctl", "start", "seacanary-backup.service", timeout=300)
    assert done.returncode == 0, machine.run("journalctl", "--no-pager", "-u", "seacanary-backup.service").stdout
    (made,) = old.parent.glob("station-*.tar.zst")
    assert made != old
    assert made.stat().st_mode & 0o777 == 0o600


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


def test_the_program_that_runs_stays_until_it_is_started_again(machine: BootedMachine) -> None:
    pid = shown(machine, "MainPID")["MainPID"]
    running = (machine.root / "opt/seacanary").readlink().name
    for _ in range(2):
        assert install(machine, "--no-start").returncode == 0
    assert shown(machine, "MainPID")["MainPID"] == pid
    assert running in releases(machine)
    assert len(releases(machine)) == 3


def test_an_upgrade_restarts_the_service(machine: BootedMachine) -> None:
    before = shown(machine, "MainPID")["MainPID"]
    done = install(machine)
    assert done.returncode == 0, done.stdout
    assert "/etc/seacanary/station.yaml: accepted" in done.stdout
    until(lambda: shown(machine, "MainPID")["MainPID"] not in ("0", before), machine)
    until(lambda: shown(machine, "ActiveState")["ActiveState"] == "active", machine)
    assert len(releases(machine)) <= 3


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
    machine.said("seacanary-station", "check", "/etc/seacanary/station.yaml")
    machine.said("/root/checkout/deploy/install.sh", "remove", "--purge", timeout=300)
    of_ours = [folder.glob("seacanary*") for folder in map(machine.root.joinpath, FOLDERS)]
    assert [str(path) for found in of_ours for path in found] == []
    assert machine.run("id", "seacanary").returncode != 0
    assert machine.run("/root/checkout/deploy/install.sh", "remove", "--purge").returncode == 0
