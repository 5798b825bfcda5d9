"""`seacanary edge`, `worker` and `deadletters`: the roles of a cluster.

What they run needs the libraries of the `cluster` extra; each command imports it when it is called, so that
all others work without them and start as fast.
"""

import asyncio
import json
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import read_config
from seacanary.doctor.rounds import examined
from seacanary.reports import ledger_lines
from seacanary.roles import read_any
from seacanary.terminal import EPILOG, SERVICE_EPILOG, AsJson, Seconds, fail, or_exit, out, served
from seacanary.view import ledger_account

if TYPE_CHECKING:
    from seacanary.cluster.dead_letter_reading import DeadLetter
    from seacanary.cluster.edge import EdgeSummary

WORKER_EPILOG = (
    "Exit codes: 0 stopped in order, 1 the brokers cannot be reached or its files not be used now, 2 it can never work "
    "so (wrong usage, configuration or model), 70 it ended itself before anything was lost: a supervisor starts it "
    "again after all but 0 and 2."
)
# Modules whose classes are Faust's: Faust says in their name when each begins and ends.
FAUSTS_OWN = ("seacanary.cluster.ordered_consumer", "seacanary.cluster.tables")
PASSED_OVER = (
    "workers pass over those whose hydrophone has gone on since: "
    'seacanary_worker_records_total{stage="track",outcome="repeated"}'
)
# What the extra installs, as it is imported.
CLUSTER_LIBRARIES = frozenset({"aiokafka", "faust", "mode", "rocksdict", "yarl"})

EdgePath = Annotated[Path, typer.Argument(help="the edge's YAML file", metavar="CONFIG")]
WorkerPath = Annotated[Path, typer.Argument(help="the worker's YAML file", metavar="CONFIG")]
EitherPath = Annotated[Path, typer.Argument(help="the YAML file of an edge or a worker", metavar="CONFIG")]


def add_cluster_commands(app: typer.Typer) -> None:
    """Add the commands to `seacanary`."""
    app.command("edge", epilog=SERVICE_EPILOG)(edge)
    app.command("worker", epilog=WORKER_EPILOG)(worker)
    dead_letters = typer.Typer(help="Records that no worker could read.", no_args_is_help=True)
    dead_letters.command("list", epilog=EPILOG)(list_dead_letters)
    dead_letters.command("replay", epilog=EPILOG)(replay)
    app.add_typer(dead_letters, name="deadletters")


def edge(config: EdgePath, as_json: AsJson = False, seconds: Seconds = None) -> None:
    """Run a station at the edge until Ctrl-C: it listens, makes images and sends them to Kafka.

    While no broker can be reached, images wait on disk. At the end the ledger is shown, and what still waits.

    An example of its configuration is deploy/kafka/edge.yaml; docs/kafka.md explains it.
    """
    settings = or_exit(lambda: read_config(config, model=EdgeConfig))
    with _cluster_libraries():
        from seacanary.cluster.edge_runner import run_edge
    _tell_of_changes()
    summary = served(lambda: run_edge(settings, seconds=seconds, examined=partial(examined, lambda: settings)))
    if as_json:
        typer.echo(json.dumps(_summary_object(summary)))
    else:
        _close(summary, settings)
    if summary.troubles:
        raise typer.Exit(1)


def worker(config: WorkerPath) -> None:
    """Run a worker until Ctrl-C: it reads images from Kafka, finds calls and publishes events.

    Any number of workers share the work; what one has not finished when it stops, others take over.

    An example of its configuration is deploy/kafka/worker.yaml; docs/kafka.md explains it.
    """
    settings = or_exit(lambda: read_config(config, model=WorkerConfig))
    with _cluster_libraries():
        from seacanary.cluster.worker import run_worker
    _tell_of_changes()
    served(lambda: run_worker(settings, examined=partial(examined, lambda: settings)))


def list_dead_letters(config: EitherPath, as_json: AsJson = False) -> None:
    """List the records that no worker could read, with the reason."""
    kafka = _kafka_of(config)
    with _cluster_libraries():
        from seacanary.cluster.dead_letter_reading import dead_letters

    async def read() -> "list[DeadLetter]":
        return [letter async for letter in dead_letters(kafka)]

    letters = or_exit(lambda: asyncio.run(read()))
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_facts(letter)))
    elif letters:
        out.print(_table(letters))
    else:
        out.print("no dead letters", highlight=False)


def replay(
    config: EitherPath,
    numbers: Annotated[
        list[int] | None, typer.Argument(help="numbers of the records, as `list` shows them", metavar="[NUMBER...]")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every record that `list` shows")] = False,
) -> None:
    """Send records again to where they came from, once there is a worker that can read them.

    An image or a detection counts only if nothing later of its hydrophone has been concluded since: workers pass over
    all others, as they do over what they have seen, so that to do it twice harms nothing. The list keeps them until
    their time is over.
    """
    if every == bool(numbers):
        fail("name the numbers, or give --all")
    kafka = _kafka_of(config)
    with _cluster_libraries():
        from seacanary.cluster.dead_letter_reading import replay as send_again
    chosen: Collection[int] | None = None if every else numbers
    sent = or_exit(lambda: asyncio.run(send_again(kafka, chosen)))
    account = f"{sent} record{'s' * (sent != 1)} sent again; {PASSED_OVER}"
    out.print(account, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def _cluster_libraries() -> Iterator[None]:
    """Where they are imported: without them, one sentence says how to get them."""
    try:
        yield
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in CLUSTER_LIBRARIES:
            raise
        fail(f"{exc.name} is not installed; edges and workers need it: pip install 'seacanary[cluster]'")


def _tell_of_changes() -> None:
    """Let our own log say what changes: these commands have no view, and a supervisor keeps their log."""
    if logging.root.level <= logging.INFO:
        return
    logging.getLogger("seacanary").setLevel(logging.INFO)
    for name in FAUSTS_OWN:
        logging.getLogger(name).setLevel(logging.WARNING)


def _kafka_of(config: Path) -> KafkaSection:
    settings = or_exit(lambda: read_any(config))
    if not isinstance(settings, EdgeConfig | WorkerConfig):
        fail(f"{config}: it has no kafka section; name the file of an edge or a worker")
    return settings.kafka


def _close(summary: "EdgeSummary", config: EdgeConfig) -> None:
    out.print(ledger_account(summary.ledger))
    place = config.kafka.place
    if summary.unsent:
        waits = f"{summary.unsent:,} records wait for {place} in {config.edge.spool}; the next start sends them"
        out.print(waits, highlight=False, soft_wrap=True)
    else:
        out.print(f"nothing waits: {place} has all of it", highlight=False, soft_wrap=True)
    for trouble in summary.troubles:
        out.print(f"trouble: {trouble}", highlight=False, soft_wrap=True, markup=False)


def _summary_object(summary: "EdgeSummary") -> dict[str, object]:
    return {
        "type": "summary",
        "balanced": all(totals.balanced and not totals.pending for totals in summary.ledger.values()),
        "ledger": ledger_lines(summary.ledger),
        "unsent": summary.unsent,
        "troubles": list(summary.troubles),
    }


def _table(letters: "Iterable[DeadLetter]") -> Table:
    table = Table(title="dead letters", title_justify="left")
    for heading in ("number", "put aside", "from", "key", "reason"):
        table.add_column(heading, overflow="fold")
    for letter in letters:
        table.add_row(
            str(letter.number),
            letter.refused.isoformat(timespec="seconds"),
            f"{letter.topic}[{letter.partition}] at {letter.offset}",
            Text(_key(letter) or ""),
            Text(letter.reason),
        )
    return table


def _facts(letter: "DeadLetter") -> dict[str, object]:
    return {
        "number": letter.number,
        "refused": letter.refused.isoformat(),
        "reason": letter.reason,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": _key(letter),
        "bytes": len(letter.value or b""),
    }


def _key(letter: "DeadLetter") -> str | None:
    return None if letter.key is None else letter.key.decode(errors="backslashreplace")
