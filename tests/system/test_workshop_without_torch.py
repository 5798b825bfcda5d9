"""The service's environment has no torch; the workshop's command must say so, not fail."""

import importlib.util
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed here"),
]


def test_the_workshop_names_what_to_install() -> None:
    code = "from seacanary_models.command import main; main()"
    answer = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "pip install 'seacanary[train]'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_service_never_imports_torch() -> None:
    code = "import seacanary.cli, sys; sys.exit('torch' in sys.modules or 'seacanary_models' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
