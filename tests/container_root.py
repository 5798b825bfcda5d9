"""A root file system of an image, in which commands run as a container engine would run them (Linux, as root).

In namespaces of their own for mounts, processes and network; the root read-only, but for /tmp and the volume; without
capabilities or a way to new ones. What an engine adds to that, its seccomp filter and its cgroups, is not there.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOOLS = ("unshare", "nsenter", "setpriv", "ip", "chroot")

# By root in its new namespaces: lays the mounts, drops all rights, becomes the command.
_ENTER = """
set -eu
root=$1 volume=$2 settings=$3 user=$4
shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$volume" "$root/var/lib/seacanary"
if [ -n "$settings" ]; then
  mount --bind "$settings" "$root/etc/seacanary"
  mount -o remount,bind,ro "$root/etc/seacanary"
fi
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec,size=64m tmp "$root/tmp"
mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
for device in null zero full random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec,size=64m shm "$root/dev/shm"
mount -o remount,bind,ro "$root"
ip link set lo up
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" env -i "$@"
"""


class ContainerRoot:
    """One image, laid open.

    Attributes:
        root: its root file system.
        config: of the image, as Docker writes it: User, Env, Entrypoint, Cmd, Healthcheck, Labels and so on.
    """

    def __init__(self, root: Path, config: Path) -> None:
        """Take what build-image.sh has laid open.

        Args:
            root: its root file system.
            config: what `buildah inspect` says of it.
        """
        self.root = root
        self.config: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))["Docker"]["config"]

    def run(self, *command: str, volume: Path, settings: Path | None = None, timeout: float = 120) -> tuple[int, str]:
        """Run a command as the image's user to its end.

        Args:
            command: in the image.
            volume: the folder that is /var/lib/seacanary; it becomes the image's user's.
            settings: the folder that is /etc/seacanary, read-only.
            timeout: seconds.

        Returns:
            Its exit code, and what it said on stdout and stderr.
        """
        with self.started(*command, volume=volume, settings=settings) as process:
            said, _ = process.communicate(timeout=timeout)
            return process.returncode, said

    @contextmanager
    def started(self, *command: str, volume: Path, settings: Path | None = None) -> "Iterator[subprocess.Popen[str]]":
        """Run a command as the first process of its namespace; all of that is gone on exit. Arguments as of run()."""
        user = str(self.config["User"])
        uid, _, gid = user.partition(":")
        os.chown(volume, int(uid), int(gid))
        apart = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        place = [str(self.root), str(volume), str(settings or ""), user]
        process = subprocess.Popen(
            [*apart, "sh", "-c", _ENTER, "sh", *place, *self._setting(), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def beside(self, process: "subprocess.Popen[str]", *command: str) -> tuple[int, str]:
        """Run another command in the container that a process began, as its health check would be."""
        inner = inhabitant(process.pid)
        enter = ["nsenter", f"--target={inner}", "--mount", "--pid", "--net", "--ipc", f"--root=/proc/{inner}/root"]
        rights = ["chroot", f"--userspec={self.config['User']}", "--groups=", "/", "env", "-i"]
        done = subprocess.run(
            [*enter, *rights, *self._setting(), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def _setting(self) -> Sequence[str]:
        """Folder and environment, as `env` takes them; an engine takes HOME from /etc/passwd."""
        folder = self.config["WorkingDir"]
        return ["-C", folder, f"HOME={folder}", *self.config["Env"]]


def inhabitant(pid: int) -> int:
    """The process that `unshare` has started, once it has changed its root and become the command."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/root").readlink() != Path("/"):
            return int(children[0])
        time.sleep(0.05)
    raise AssertionError("it has not entered its root")


def missing_tools() -> list[str]:
    """What this machine lacks to run a container."""
    return [tool for tool in TOOLS if shutil.which(tool) is None] + ([] if os.geteuid() == 0 else ["root"])
