"""`seacanary reload`: has a running station read its configuration again, and says what came of it."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seacanary.config import JournalSection, StationConfig, StationSection, read_tree
from seacanary.config_checks import COMMANDS, role_of
from seacanary.doctor.running import look_for
from seacanary.doctor.subject import Running
from seacanary.metrics import MetricsSection
from seacanary.reload import ReloadReport
from seacanary.terminal import AsJson, complain, err, fail, or_exit, out

EPILOG = (
    "Exit codes: 0 the file is in force, 1 the rest of it needs a restart, 2 it was refused and nothing has changed, "
    "or no station was found."
)
# A publisher may wait for an answer as long as its policy allows before it is replaced.
PATIENCE_S = 120.0
LOOK_S = 0.2


class _Whereabouts(BaseModel):
    """As much of a configuration as it takes to find who runs on it: the rest is the station's to judge."""

    model_config = ConfigDict(extra="ignore")

    station: StationSection
    journal: JournalSection = JournalSection()
    metrics: MetricsSection = MetricsSection()


def reload(
    config: Annotated[Path, typer.Argument(help="the running station's YAML file", metavar="CONFIG")],
    as_json: AsJson = False,
) -> None:
    """Have a running station read its configuration again.

    Alert rules, publishers and presence thresholds change at once, without losing a sample or an event. What needs a
    restart is named, and nothing of it is changed. A file with a mistake changes nothing at all.
    """
    place = _place_of(config)
    running = look_for(place)
    before = _reachable(running, place, config)
    try:
        if not _writes(before.process, place.journal.path):
            fail(
                f"the station says it is process {before.process}, and that one here has no {place.journal.path.name} "
                "open: it runs elsewhere, in a container perhaps; run this command there"
            )
        os.kill(before.process, signal.SIGHUP)
    except OSError as exc:
        fail(f"the station (process {before.process}) cannot be asked: {exc.strerror}; ask as the user it runs as")
    with err.status("waiting for the station"):
        report = _answer(place, after=before.asked)
    _say(report, config, as_json=as_json)
    raise typer.Exit({"applied": 0, "partly": 1, "refused": 2}[report.outcome])


def add_reload(app: typer.Typer) -> None:
    """Add the command to `seacanary`."""
    app.command("reload", epilog=EPILOG)(reload)


def _place_of(file: Path) -> StationConfig:
    """Where the station of this file is to be found."""
    tree = or_exit(lambda: read_tree(file, _Anything(os.environ)))
    role = role_of(tree)
    if role != "station":
        fail(f"{file}: is of `seacanary {COMMANDS[role]}`, which does not read it again: restart it to change it")
    try:
        found = _Whereabouts.model_validate(tree)
    except ValidationError as exc:
        names = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in exc.errors(include_input=False)}))
        fail(f"{file}: {names}: wrong, so the station cannot be found by it; it goes on with what it has")
    return StationConfig.model_construct(
        station=found.station, sources=(), journal=found.journal, metrics=found.metrics
    )


class _Anything(dict[str, str]):
    """An environment in which every variable is set: a service's is not that of the shell that asks."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return ""


class _Asked(BaseModel):
    """What it takes to ask a station, as it says itself.

    Attributes:
        process: its id; 1 in a container.
        file: its configuration.
        asked: how often it has been asked before.
    """

    process: int = Field(ge=1)
    file: Path | None
    asked: int


def _reachable(running: Running, place: StationConfig, file: Path) -> _Asked:
    """How the station can be asked; else the command ends here."""
    if not running and running.doubt is not None:
        fail(f"{file}: it cannot be told whether a station runs on it: {running.doubt}")
    if not running:
        fail(f"{file}: no station runs on {place.journal.path}; start it with `seacanary run {file}`")
    if running.health is None:
        fail(
            f"{file}: a station runs on {place.journal.path}, but does not answer at /health (metrics.port "
            f"{place.metrics.port}); send it SIGHUP yourself, and see its log"
        )
    try:
        asked = _Asked.model_validate({"process": running.health.get("process"), **running.detail("configuration")})
    except ValidationError:
        fail(f"{file}: the station is starting, or too old to be asked; try again in a moment, else restart it")
    if asked.file is None or not _is_same(asked.file, file):
        fail(f"{file}: the station runs on another file, {asked.file}; name that one")
    return asked


def _writes(process: int, journal: Path) -> bool:
    """Whether a process has the lock of a journal so named open: SIGHUP would end any other.

    In a sandbox with users of its own, as systemd's, what it has open is not shown even to its own user; then it is
    believed if it is a `seacanary run`.

    Raises:
        OSError: there is no such process, or it is another user's.
    """
    place = Path(f"/proc/{process}")
    try:
        return any(_target(file).name == f"{journal.name}.lock" for file in (place / "fd").iterdir())
    except PermissionError:
        words = [Path(word).name for word in (place / "cmdline").read_text().split("\0")]
        return "seacanary" in words and "run" in words


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except FileNotFoundError:  # closed meanwhile
        return Path()


def _is_same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def _answer(place: StationConfig, *, after: int) -> ReloadReport:
    """The report on a request made after so many others."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(LOOK_S)
        if time.monotonic() > until_s:
            fail(f"the station has not answered within {PATIENCE_S:g} s; see its log")
        running = look_for(place)
        if not running:
            fail("the station has ended before it answered; see its log")
        latest = running.detail("configuration").get("latest")
        if latest and latest["number"] > after:
            return ReloadReport.model_validate(latest)


def _say(report: ReloadReport, file: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.model_dump(mode="json")))
        return
    if report.outcome == "refused":
        complain(f"refused, and nothing was changed:\n{report.reason}")
        return
    for change in report.changes:
        out.print(f"changed: {change}", highlight=False, markup=False, soft_wrap=True)
    for path in report.restart:
        out.print(f"needs a restart: {path}", highlight=False, markup=False, soft_wrap=True)
    if not report.changes and not report.restart:
        out.print(f"{file}: says what is in force already", highlight=False, markup=False, soft_wrap=True)
