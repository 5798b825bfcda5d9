"""What all commands say in the same way: to whom, and how an error ends them."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from seacanary.errors import SeaCanaryError

T = TypeVar("T")

EPILOG = (
    "Exit codes: 0 all went well, 1 some of the work could not be done, "
    "2 nothing could be done (wrong usage, configuration, model or input)."
)

SERVICE_EPILOG = (
    "Exit codes: 0 stopped in order, 1 some of the work could not be done, or its files or ports not be used now (a "
    "supervisor starts it again), 2 it can never work so (wrong usage, configuration or model, files of another "
    "version)."
)

ConfigPath = Annotated[Path, typer.Argument(help="the station's YAML file", metavar="CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines in place of tables and views")]
Seconds = Annotated[float | None, typer.Option("--seconds", min=0.1, help="stop by itself after this long")]

out = Console()
err = Console(stderr=True)


def log_handler() -> logging.Handler:
    """The log to stderr: for a person in columns; for a file, a pipe or a supervisor a line each, in UTC."""
    if err.is_terminal:
        person = RichHandler(console=err, show_path=False, rich_tracebacks=False)
        person.setFormatter(logging.Formatter("%(message)s"))
        return person
    lines = logging.StreamHandler()
    lines.setFormatter(UtcFormatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    return lines


class UtcFormatter(logging.Formatter):
    """Says when in UTC, as events do."""

    converter = staticmethod(time.gmtime)


def or_exit(call: Callable[[], T]) -> T:
    """Call; an error of ours becomes a message and exit code 2."""
    try:
        return call()
    except SeaCanaryError as exc:
        fail(str(exc))


def served(call: Callable[[], T]) -> T:
    """Run a service; of its errors, those that may pass end with exit code 1: a supervisor starts it again."""
    try:
        return call()
    except SeaCanaryError as exc:
        complain(str(exc))
        raise typer.Exit(1 if exc.may_pass else 2) from None


def fail(message: str) -> NoReturn:
    """End the command with a message and exit code 2."""
    complain(message)
    raise typer.Exit(2)


def complain(message: str) -> None:
    """Say what is wrong, and go on."""
    err.print(Text.assemble(("error: ", "red"), message), soft_wrap=True)
