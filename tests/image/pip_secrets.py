"""Write what this machine's pip is told into FOLDER/pip.conf, and the certificates it trusts into FOLDER/ca.crt.

They are secrets of an image's build: mounted for a step, in no layer. usage: pip_secrets.py FOLDER [PLACE-OF-CA.CRT]
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

# Where the build of an image finds the certificates; the Dockerfile mounts them there.
MOUNTED = "/run/secrets/ca.crt"
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def settings() -> dict[str, str]:
    """What pip is told for all its commands, by files and by the environment, which comes last and wins."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    told: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", ":env:"):
            told[key] = str(ast.literal_eval(value))
    return told


def main(folder: Path, certificates: str = MOUNTED) -> None:
    """Write both; without certificates of its own there is no second one."""
    told = settings()
    trusted = told.pop("cert", None) or next((os.environ[name] for name in CERTIFICATES if name in os.environ), None)
    if trusted:
        (folder / "ca.crt").write_bytes(Path(trusted).read_bytes())
        told["cert"] = certificates
    # Folders of this machine are not the build's.
    kept = {key: value for key, value in told.items() if key == "cert" or not value.startswith(("/", "~"))}
    lines = [f"{key} = {' '.join(value.split())}" for key, value in kept.items()]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
