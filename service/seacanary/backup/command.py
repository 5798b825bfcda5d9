"""`seacanary backup` and `seacanary restore`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from seacanary.backup.making import Made, make_backup
from seacanary.backup.manifest import Advance, BackupError, Manifest, Places
from seacanary.backup.restoring import Restored, configuration_in, restore
from seacanary.backup.tape import OWNER_ONLY
from seacanary.backup.verifying import verified
from seacanary.config import Configuration, StationConfig
from seacanary.config_checks import COMMANDS
from seacanary.doctor.running import look_for
from seacanary.roles import read_any
from seacanary.terminal import EPILOG, AsJson, complain, err, fail, or_exit, out

Force = Annotated[bool, typer.Option("--force", help="replace what is there")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress bar")]


def add_backup(app: typer.Typer) -> None:
    """Add the commands to `seacanary`."""
    app.command("backup", epilog=EPILOG)(backup)
    app.command("restore", epilog=EPILOG)(restore_command)


def backup(
    config: Annotated[Path, typer.Argument(help="the YAML file of a station, an edge or a worker", metavar="CONFIG")],
    target: Annotated[Path, typer.Argument(help="file to write: .tar, .tar.gz or .tar.zst", metavar="TARGET")],
    evidence: Annotated[bool, typer.Option("--evidence", help="the clips themselves too, not only their list")] = False,
    without_journal: Annotated[
        bool, typer.Option("--without-journal", help="even if there is no journal: the process has never run")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Copy journal, states, configuration and the list of clips into one file; the station may be running.

    The file is read again and compared before it gets its name. It holds what the configuration holds, passwords too:
    only its owner can read it.
    """
    settings = or_exit(lambda: read_any(config))
    with _progress(quiet=quiet) as advance:
        made = or_exit(
            lambda: make_backup(
                config,
                settings,
                target,
                with_evidence=evidence,
                force=force,
                advance=advance,
                may_lack_journal=without_journal,
            )
        )
    for clip in made.damaged:
        complain(f"{clip}: is not what its facts say; it was damaged on the disk before this backup")
    if as_json:
        facts = made.manifest.model_dump(mode="json", exclude={"files", "evidence"})
        typer.echo(json.dumps({"backup": str(made.path), "size_bytes": made.size_bytes, **facts}))
    else:
        out.print(_made_in_words(made), highlight=False, soft_wrap=True)
    if made.damaged:
        raise typer.Exit(1)


def restore_command(
    source: Annotated[Path, typer.Argument(help="file that `seacanary backup` has written", metavar="BACKUP")],
    config: Annotated[
        Path | None,
        typer.Argument(
            help="the YAML file that says where things belong; it is made from the backup if there is none",
            metavar="[CONFIG]",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="lay everything out in this folder instead, to look at it or move it")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="move a journal that is there aside")] = False,
    quiet: Quiet = False,
) -> None:
    """Put a backup back: journal with states, key of review links, clips that are missing.

    The station must be stopped. Nothing is deleted: a journal that is there is moved aside, clips that are there stay.
    A Redis that holds events of after the backup is asked for them.
    """
    if (config is None) == (to is None):
        fail("name either a CONFIG, or a folder with --to")
    with _progress(quiet=quiet) as advance:
        manifest = or_exit(lambda: verified(source, advance))
        settings, places = _destination(source, manifest, config, to)
        restored = or_exit(lambda: restore(source, manifest, places, config=settings, force=force, advance=advance))
    for line in _restored_in_words(restored, config, to):
        out.print(line, highlight=False, soft_wrap=True)


def _destination(
    source: Path, manifest: Manifest, config: Path | None, to: Path | None
) -> tuple[Configuration | None, Places]:
    """Where a backup belongs, and the configuration that says so; None: a folder was named."""
    if to is not None:
        or_exit(lambda: _write_configuration(source, to / "config.yaml"))
        return None, Places.below(to)
    if config is None:
        raise TypeError("neither a configuration nor a folder")
    if not config.exists():
        or_exit(lambda: _write_configuration(source, config))
        err.print(f"{config}: written from the backup", highlight=False)
    settings = or_exit(lambda: read_any(config))
    _refuse_another(source, manifest, settings, config)
    if look_for(settings):
        fail(f"{config}: a process is running on it; stop it first")
    return settings, Places.of(settings)


def _refuse_another(source: Path, manifest: Manifest, settings: Configuration, config: Path) -> None:
    """Another station's journal would give its events another's ids."""
    name = settings.station.name if isinstance(settings, StationConfig) else None
    if (settings.role, name) != (manifest.role, manifest.station):
        fail(
            f"{source}: is of {manifest.role} {manifest.station or ''}, but {config} is of {settings.role} "
            f"{name or ''}; name the right configuration"
        )


def _write_configuration(source: Path, path: Path) -> None:
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(OWNER_ONLY)
        path.write_bytes(configuration_in(source))
    except OSError as exc:
        raise BackupError(f"{path}: cannot be written: {exc.strerror}") from exc


def _made_in_words(made: Made) -> str:
    manifest = made.manifest
    journal = manifest.journal
    events = f"{journal.events} events with all states" if journal else "no journal (there is none yet)"
    clips = f"{len(manifest.evidence)} files of evidence {'included' if manifest.with_evidence else 'listed'}"
    gone = f", {made.gone} were deleted meanwhile" if made.gone else ""
    return f"[green]{made.path}[/]: {made.size_bytes / 2**20:,.1f} MiB, verified: {events}, {clips}{gone}"


def _restored_in_words(restored: Restored, config: Path | None, to: Path | None) -> Iterator[str]:
    manifest = restored.manifest
    yield f"backup of {manifest.made:%Y-%m-%d %H:%M:%S} UTC, by seacanary {manifest.program}"
    if manifest.journal and restored.journal:
        yield f"{restored.journal}: {manifest.journal.events} events with all states"
    if restored.moved_aside:
        yield f"the journal that was there is now {restored.moved_aside}"
    if restored.secret_kept:
        yield "the key of review links that was there stays: it differs from the backup's, whose links it refuses"
    for path in restored.effort_beside:
        yield f"[yellow]{path}: the month was there already and is another; look at both[/]"
    yield from _clips_in_words(restored)
    for taken in restored.taken_back:
        more = f"; [yellow]no more of it:[/] {taken.trouble}" if taken.trouble else ""
        yield f"{taken.publisher}: {taken.events} events of after the backup taken back from Redis{more}"
    if to is not None:
        yield f"next: look at {to / 'config.yaml'}; set journal.path and evidence.path where the files are to be used"
        return
    yield "what happened after the backup and is nowhere else is not known any more: docs/backup.md says what follows"
    yield from _offered_again(restored)
    yield f"next: seacanary doctor {config}, then seacanary {COMMANDS[manifest.role]} {config} (or start its service)"


def _offered_again(restored: Restored) -> Iterator[str]:
    journal = restored.manifest.journal
    up_to_date = {taken.publisher for taken in restored.taken_back if taken.events}
    if journal is None:
        return
    for name, cursor in sorted(journal.cursors.items()):
        if name not in up_to_date and cursor < journal.head:
            yield f"{name}: {journal.head - cursor} events of before the backup are offered to it again"


def _clips_in_words(restored: Restored) -> Iterator[str]:
    if restored.clips or restored.clips_kept:
        yield f"evidence: {restored.clips} files written, {restored.clips_kept} were there already"
    for name in restored.clips_differ:
        yield f"[yellow]evidence {name}: differs from the backup's; left as it is[/]"
    if restored.clips_absent:
        yield f"evidence: {restored.clips_absent} files of that time are neither there nor in the backup"


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)

        def advance(step: str, done: int, total: int) -> None:
            progress.update(task, description=step[-60:], completed=done, total=total)

        yield advance
