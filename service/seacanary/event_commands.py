"""`seacanary events`: looks into a journal, and has a publisher go through it again."""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer

from seacanary.config import read_config
from seacanary.event_lines import one_line
from seacanary.events import CloudEvent, JournalEntry
from seacanary.journal_reading import rewind_publisher, tail_journal
from seacanary.terminal import EPILOG, AsJson, ConfigPath, fail, or_exit, out

# By kind of publisher; the others look at what their destination holds.
TOLD_AGAIN = {
    "webhook": "the receiver gets those it has had again, under their ids",
    "notify": "people are told those they have been told again",
}


def events_app() -> typer.Typer:
    """The commands."""
    app = typer.Typer(help="Look into a journal of events.", no_args_is_help=True)
    app.command(epilog=EPILOG)(tail)
    app.command(epilog=EPILOG)(replay)
    return app


def tail(
    config: ConfigPath,
    count: Annotated[int, typer.Option("-n", min=0, help="events to begin with")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as events arrive")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the latest events of a station's journal; it may be running."""
    station = or_exit(lambda: read_config(config))

    def show(entry: JournalEntry) -> None:
        event = entry.event
        typer.echo(CloudEvent.of(event).model_dump_json() if as_json else f"{entry.sequence:>8}  {one_line(event)}")

    with suppress(KeyboardInterrupt):
        or_exit(lambda: asyncio.run(tail_journal(station.journal.path, count=count, follow=follow, show=show)))


def replay(
    config: ConfigPath,
    publisher: Annotated[str, typer.Argument(help="name of the publisher in the configuration")],
    after: Annotated[int, typer.Option(min=0, help="sequence after which events are delivered again")] = 0,
) -> None:
    """Have a publisher go through the journal again, to fill what its destination has lost.

    The station must be stopped; the events are offered at its next start. What a file, Redis or Kafka still holds is
    not doubled; a webhook gets it again under its id, and people are told again.
    """
    station = or_exit(lambda: read_config(config))
    sections = {section.name: section for section in station.publishers}
    if publisher not in sections:
        fail(f"{config}: no publisher named {publisher!r}; there are: {', '.join(sections) or 'none'}")
    again = TOLD_AGAIN.get(sections[publisher].kind, "those the destination still holds are not doubled")
    rewound = or_exit(lambda: asyncio.run(rewind_publisher(station.journal.path, publisher, after=after)))
    out.print(
        f"{publisher}: goes on after event {rewound.to_sequence} (had delivered to {rewound.from_sequence}); at the "
        f"next start {rewound.waiting} events are offered again, and {again}",
        highlight=False,
    )
