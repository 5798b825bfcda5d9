"""Asks a running station to read its configuration again, and what came of it."""

import json
import signal
import time
from pathlib import Path
from threading import Event
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

ANSWERED_S, LOOK_S = 20.0, 0.3


def asked_before(pid: int, port: int) -> int | None:
    """How often a station was asked so far; None: it cannot be, as the signal would end it, or it is not up."""
    return _configuration(port).get("asked") if _catches(pid, signal.SIGHUP) else None


def outcome_of(asked: int, port: int, *, is_over: Event) -> str | None:
    """What came of the request after so many others: applied, partly or refused; None: no word of it."""
    until_s = time.monotonic() + ANSWERED_S
    while time.monotonic() < until_s and not is_over.wait(LOOK_S):
        latest = _configuration(port).get("latest") or {}
        if latest.get("number", 0) > asked:
            return str(latest["outcome"])
    return None


def _configuration(port: int) -> dict[str, Any]:
    """What /health says of the configuration in force; nothing while it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            page = answer.read()
    except HTTPError as answer:  # not well, but it answers
        page = answer.read()
    except OSError:
        return {}
    found: dict[str, Any] = json.loads(page).get("configuration", {})
    return found


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> (number - 1) & 1)
