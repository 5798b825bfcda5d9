"""`seacanary doctor`: what is wrong, what it means, and what to do."""

import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from seacanary.config_checks import ProcessRole
from seacanary.terminal import AsJson, err, or_exit, out

EPILOG = "Exit codes: 0 all is well, 1 something may not be (warning, unknown), 2 something is broken."


def doctor(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="the YAML file of a station, an edge or a worker; else: the machine alone", metavar="[CONFIG]"
        ),
    ] = None,
    role: Annotated[
        ProcessRole | None, typer.Option(help="what the file must be for; default: found out by the sections it has")
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="send a test message to every webhook and channel")] = False,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            help="leave a check out, by its name under `check` in --json: capacity, disks, ...; "
            "with model go fit, coverage and capacity. A file that is refused is told of all the same",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at everything that can be wrong, and say what it means and what to do.

    The station may be running: its devices are then left alone, and it is asked itself. Nothing is changed, and nothing
    is sent unless --send is given. It takes up to a minute: the model is loaded and measured, and sources are heard.
    """
    from seacanary.doctor.checks import diagnose, left_out
    from seacanary.doctor.findings import exit_code
    from seacanary.doctor.report import as_object, as_table, findings_of, in_a_sentence

    names, skipped = frozenset(skip or ()), left_out(skip or ())
    with err.status("examining") as status:
        subject, report = or_exit(lambda: diagnose(config, role=role, send=send, skip=names, progress=status.update))
    if as_json:
        found_role = subject.config.role if subject.config else None
        told = as_object(report, config=str(config) if config else None, role=found_role, left_out=skipped)
        typer.echo(json.dumps(told))
    else:
        out.print(as_table(report))
        out.print(in_a_sentence(report, left_out=skipped))
    _end(exit_code(findings_of(report)))


def _end(code: int) -> NoReturn:
    """End with an exit code, whatever still hangs.

    At an ordinary end Python tears the thread of a check that hangs out of the driver or library it is in; C++ and Rust
    answer that by aborting the process, and the exit code would be the abort's.
    """
    from seacanary.doctor.examining import left_behind

    if not left_behind():
        raise typer.Exit(code)
    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def add_doctor(app: typer.Typer) -> None:
    """Add the command to `seacanary`."""
    app.command("doctor", epilog=EPILOG)(doctor)
