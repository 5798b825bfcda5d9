"""`seacanary webhooks`: try a webhook, and see to the events that a receiver refused."""

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from seacanary.config import StationConfig, read_config
from seacanary.event_lines import one_line
from seacanary.journal_store import DeadLetter, JournalStore
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.publishers.webhook_trial import try_webhook
from seacanary.terminal import AsJson, ConfigPath, complain, fail, or_exit, out

T = TypeVar("T")

EPILOG = "Exit codes: 0 all went well, 1 the receiver refused, or some of the work could not be done, 2 nothing could."

Publisher = Annotated[str, typer.Argument(help="name of the publisher in the configuration", metavar="NAME")]
Sequences = Annotated[
    list[int] | None, typer.Argument(help="sequences of the events, as `list` shows them", metavar="[SEQUENCE...]")
]
Every = Annotated[bool, typer.Option("--all", help="every dead letter of this publisher")]


def webhooks_app() -> typer.Typer:
    """The commands, to be added to `seacanary` under the name webhooks."""
    app = typer.Typer(help="Try webhooks, and see to what receivers refused.", no_args_is_help=True)
    dead_letters = typer.Typer(help="Events put aside: refused for good, or given up.", no_args_is_help=True)
    app.command("test", epilog=EPILOG)(send_test)
    dead_letters.command("list", epilog=EPILOG)(list_dead_letters)
    dead_letters.command("retry", epilog=EPILOG)(retry)
    dead_letters.command("drop", epilog=EPILOG)(drop)
    app.add_typer(dead_letters, name="deadletters")
    return app


def send_test(config: ConfigPath, name: Publisher) -> None:
    """Send a signed test event to a webhook and say what came back.

    It is a condition called webhook_test, goes past the journal and is in no statistics. The station need not run.
    """
    station = or_exit(lambda: read_config(config))
    section = _webhook(station, name, config)
    trial = or_exit(lambda: asyncio.run(try_webhook(section, station.station.name, at=datetime.now(UTC))))
    out.print(trial.in_words, highlight=False, soft_wrap=True)
    raise typer.Exit(trial.exit_code)


def list_dead_letters(
    config: ConfigPath,
    name: Annotated[str | None, typer.Argument(help="of one publisher; default: of all", metavar="[NAME]")] = None,
    as_json: AsJson = False,
) -> None:
    """List the events that were put aside, with the reason."""
    station = or_exit(lambda: read_config(config))
    letters = or_exit(lambda: _in_journal(station, lambda store: store.dead_letters(name)))
    if name is not None and not letters:
        _require_publisher(station, name, config)
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_facts(letter)))
    elif letters:
        out.print(_table(letters))
    else:
        out.print("no dead letters", highlight=False)


def retry(config: ConfigPath, name: Publisher, sequences: Sequences = None, every: Every = False) -> None:
    """Have the station try events again that were put aside; it may be running.

    A running station does so within moments, once its publisher is not busy with a receiver that is away; with the
    same ids, and once: what fails again is put aside again.
    """
    marked = _on_letters(config, name, sequences, every=every, act=JournalStore.mark_for_retry)
    out.print(f"{name}: {marked} to be tried again", highlight=False)


def drop(config: ConfigPath, name: Publisher, sequences: Sequences = None, every: Every = False) -> None:
    """Give up events that were put aside; the journal still has them."""
    dropped = _on_letters(config, name, sequences, every=every, act=JournalStore.drop_dead_letters)
    out.print(f"{name}: {dropped} dropped", highlight=False)


def _on_letters(
    config: Path,
    name: str,
    sequences: list[int] | None,
    *,
    every: bool,
    act: Callable[[JournalStore, str, Iterable[int]], int],
) -> int:
    """Act on the letters named; exit code 1 if some of them are none, 2 if all."""
    if every == bool(sequences):
        fail("name the sequences, or give --all")
    station = or_exit(lambda: read_config(config))

    def on_store(store: JournalStore) -> int:
        wanted = sequences or [letter.entry.sequence for letter in store.dead_letters(name)]
        return act(store, name, wanted)

    done = or_exit(lambda: _in_journal(station, on_store))
    if not done:
        _require_publisher(station, name, config)
    missing = len(set(sequences or ())) - done
    if missing > 0:
        complain(f"{name}: {missing} of these are no dead letters of it; see `seacanary webhooks deadletters list`")
        raise typer.Exit(1 if done else 2)
    return done


def _require_publisher(station: StationConfig, name: str, config: Path) -> None:
    """Complain of a name that is no publisher's; one that was taken out may still have dead letters."""
    names = [section.name for section in station.publishers]
    if name not in names:
        fail(f"{config}: no publisher named {name!r}; there are: {', '.join(names) or 'none'}")


def _in_journal(station: StationConfig, act: Callable[[JournalStore], T]) -> T:
    with JournalStore.open_to_mark(station.journal.path) as store:
        return act(store)


def _webhook(station: StationConfig, name: str, config: Path) -> WebhookSection:
    webhooks = [section for section in station.publishers if isinstance(section, WebhookSection)]
    found = [section for section in webhooks if section.name == name]
    if not found:
        fail(f"{config}: no webhook named {name!r}; there are: {', '.join(s.name for s in webhooks) or 'none'}")
    return found[0]


def _table(letters: Iterable[DeadLetter]) -> Table:
    table = Table(title="dead letters", title_justify="left")
    for heading in ("publisher", "sequence", "put aside", "event", "reason", "state"):
        table.add_column(heading, overflow="fold")
    for letter in letters:
        table.add_row(
            letter.publisher,
            str(letter.entry.sequence),
            _refused(letter) or "",
            Text(one_line(letter.entry.event)),
            Text(letter.reason),
            "to be tried again" if letter.retry else "",
        )
    return table


def _facts(letter: DeadLetter) -> dict[str, object]:
    return {
        "publisher": letter.publisher,
        "sequence": letter.entry.sequence,
        "id": str(letter.entry.event.id),
        "type": letter.entry.event.type,
        "refused": _refused(letter),
        "reason": letter.reason,
        "retry": letter.retry,
    }


def _refused(letter: DeadLetter) -> str | None:
    if letter.refused_ms is None:
        return None
    return datetime.fromtimestamp(letter.refused_ms / 1000, UTC).isoformat(timespec="seconds")
