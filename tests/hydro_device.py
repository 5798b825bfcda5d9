"""Hydrophones that are files: ALSA devices made by tests/system/hydro_pcm.c, at the pace of real ones."""

import ctypes.util
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

STOCK_ALSA_CONF = Path("/usr/share/alsa/alsa.conf")
SOURCE = Path(__file__).parent / "system" / "hydro_pcm.c"


def build_plugin(folder: Path) -> Path:
    """Compile ALSA's plugin; skips the test where the machine lacks what that takes."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: no ALSA test device")
    header = subprocess.run(
        ["gcc", "-fsyntax-only", "-x", "c", "-"],
        check=False,
        input="#include <alsa/asoundlib.h>",
        text=True,
        capture_output=True,
    )
    if header.returncode:
        pytest.skip("ALSA headers are not installed (libasound2-dev): no ALSA test device")
    if ctypes.util.find_library("portaudio") is None:
        pytest.skip("PortAudio is not installed (libportaudio2)")
    built = folder / "hydro_pcm.so"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-DPIC"]
    subprocess.run(["gcc", *flags, str(SOURCE), "-lasound", "-o", str(built)], check=True)
    return built


def write_alsa_conf(folder: Path, plugin: Path, devices: Mapping[str, tuple[int, int, str]]) -> Path:
    """Name devices to ALSA, each of which plays FOLDER/NAME.raw; what ALSA_CONFIG_PATH must point to.

    Args:
        folder: of the raw files, and of the configuration.
        plugin: as compiled.
        devices: rate in Hz, channels and ALSA's format of each, by name.
    """
    lines = [f"<{STOCK_ALSA_CONF}>", f'pcm_type.hydro {{ lib "{plugin}" }}']
    lines += [
        f'pcm.{name} {{ type hydro file "{folder / name}.raw" rate {rate} channels {channels} format {form} '
        f'hint {{ show on description "{name}" }} }}'
        for name, (rate, channels, form) in devices.items()
    ]
    conf = folder / "alsa.conf"
    conf.write_text("\n".join(lines) + "\n")
    return conf
