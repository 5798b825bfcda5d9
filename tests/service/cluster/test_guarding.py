import asyncio
import subprocess
import sys

import pytest

from seacanary.cluster.guarding import BROKEN, nothing_passes


class Ended(BaseException):
    pass


def end() -> None:
    raise Ended


def test_any_exception_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Ended), nothing_passes("track", end):  # type: ignore[arg-type]  # ends the test instead
        raise ValueError("odd")
    assert "track has failed" in caplog.text
    assert "ValueError: odd" in caplog.text


def test_a_cancellation_passes() -> None:
    with pytest.raises(asyncio.CancelledError), nothing_passes("track", end):  # type: ignore[arg-type]
        raise asyncio.CancelledError


def test_the_process_really_ends_and_its_log_goes_out() -> None:
    code = (
        "import atexit, logging\n"
        "from seacanary.cluster.guarding import nothing_passes\n"
        "logging.basicConfig()\n"
        "atexit.register(print, 'an orderly stop, which would commit')\n"
        "with nothing_passes('infer'):\n    1 / 0\n"
        "print('went on')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == BROKEN
    assert "ZeroDivisionError" in ended.stderr
    assert ended.stdout == ""
