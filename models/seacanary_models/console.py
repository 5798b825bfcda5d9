"""What the commands share: the terminal, progress bars, one place that refuses bad input."""

from typing import Final, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console: Final = Console()
errors: Final = Console(stderr=True)


def refuse(message: str) -> NoReturn:
    """Say in one line what is wrong with the input, and end with exit code 2."""
    errors.print(f"[red]error:[/] {escape(message)}", highlight=False)
    raise SystemExit(2)


def progress_bar() -> Progress:
    """A bar with count, elapsed time and time to go."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)
