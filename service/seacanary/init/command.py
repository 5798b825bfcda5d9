"""`seacanary init`: a first configuration, asked for and tried."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from seacanary.errors import ConfigError
from seacanary.init.asking import Asking, AtTerminal, ByDefault, say, yes
from seacanary.init.given import Given
from seacanary.init.secret_files import kept_as, write_all
from seacanary.terminal import EPILOG, fail, or_exit

NONE_OR = "; none: without one"


def init(
    config: Annotated[Path, typer.Argument(help="the YAML file to write", metavar="[CONFIG]")] = Path("station.yaml"),
    name: Annotated[str | None, typer.Option(help="name of the station")] = None,
    position: Annotated[str | None, typer.Option(help="degrees north, east: --position=48.14,-69.72")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="a source as a configuration names it, '{kind: simulated}' or simulated; may be repeated"),
    ] = None,
    model: Annotated[str | None, typer.Option(help="folder of the model, or bundled")] = None,
    jsonl: Annotated[str | None, typer.Option(help="file for events, a line of JSON each" + NONE_OR)] = None,
    redis: Annotated[str | None, typer.Option(help="URL of a Redis for events" + NONE_OR)] = None,
    redis_password_file: Annotated[Path | None, typer.Option(help="file of its password")] = None,
    webhook: Annotated[str | None, typer.Option(help="URL that alerts are sent to" + NONE_OR)] = None,
    webhook_secret_file: Annotated[Path | None, typer.Option(help="file of the secret that signs them")] = None,
    webhook_private: Annotated[
        bool | None, typer.Option("--webhook-private/--webhook-public", help="whether it is in your own network")
    ] = None,
    notify_file: Annotated[
        str | None, typer.Option(help="file with the URL of a channel to people (ntfy, mail, Slack ...)" + NONE_OR)
    ] = None,
    species: Annotated[str | None, typer.Option(help="that alerts tell of, separated by commas; or all")] = None,
    state: Annotated[Path, typer.Option(help="folder of journal and events")] = Path("state"),
    take_defaults: Annotated[
        bool, typer.Option("--yes", "-y", help="ask nothing: take defaults for what no option says")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace files that are there; the old ones are kept")] = False,
    untried: Annotated[bool, typer.Option("--untried", help="open no device and call no server")] = False,
) -> None:
    """Write the configuration of a first station: asks what is needed, and tries each answer as it is given.

    Devices are opened and their level shown, servers are called, a webhook gets a signed test event. Every question has
    an option that answers it. Passwords and keys go into files of their own that only you can read; what
    root writes into a folder of a service's group, that group can read too.
    """
    from seacanary.init.interview import Interview

    now = datetime.now(UTC)
    asking = ByDefault() if take_defaults else AtTerminal()
    given = Given(
        name=name, position=position, sources=tuple(source or ()), model=model, jsonl=jsonl, redis=redis,
        redis_password_file=redis_password_file, webhook=webhook, webhook_secret_file=webhook_secret_file,
        webhook_private=webhook_private, notify_file=notify_file, species=species, state=state,
    )  # fmt: skip
    or_exit(lambda: _may_replace([config], asking, now, force=force))
    outcome = or_exit(lambda: Interview(given, asking, trying=not untried).run(config))
    secrets = [file.path for file in outcome.files if file.path != config]
    or_exit(lambda: _may_replace(secrets, asking, now, force=force))
    try:
        shared = write_all(outcome.files, now)
    except OSError as exc:
        fail(f"{exc.filename or config}: cannot be written: {exc.strerror}")
    _say_what_next(config, secrets, shared=shared)


def _may_replace(files: Sequence[Path], asking: Asking, at: datetime, *, force: bool) -> None:
    """Ask before anything that is there is replaced.

    Raises:
        ConfigError: it may not be.
    """
    for file in files:
        if not file.exists():
            continue
        if force:
            say(f"{file} is there already and will be replaced; the old one stays as {kept_as(file, at)}", "yellow")
        elif not asking.somebody:
            raise ConfigError(
                f"{file} is there already, and nothing was written; --force replaces it, and keeps the old one"
            )
        elif not yes(
            f"{file} is there already. Replace it, and keep the old one as {kept_as(file, at)}?",
            asking, flag="--force", default=False,
        ):  # fmt: skip
            raise ConfigError(f"{file} stays as it is, and nothing was written; name another file: seacanary init FILE")


def _say_what_next(config: Path, secrets: Sequence[Path], *, shared: bool) -> None:
    written = ", ".join(map(str, [config, *secrets]))
    readers = f"this user and the group {_group_of(config)}" if shared else "this user"
    say(f"\nWritten: {written}; only {readers} can read {'them' if secrets else 'it'}", "green")
    say("What next:")
    for command, what in (
        ("check", "is it right?"),
        ("doctor", "is this machine right for it?"),
        ("run", "listen; Ctrl-C ends it"),
    ):
        say(f"  seacanary {command} {config}".ljust(44) + what)
    if not shared:
        files = " ".join(shlex.quote(str(path)) for path in [config, *dict.fromkeys(path.parent for path in secrets)])
        say("If it is for a service, whose user has another name, let that user's group read it:")
        say(f"  sudo chgrp -R GROUP {files} && sudo chmod -R g=rX {files}")


def _group_of(path: Path) -> str:
    """Its name, or its number where it has none."""
    try:
        return path.group()
    except KeyError:
        return str(path.stat().st_gid)


def add_init(app: typer.Typer) -> None:
    """Add the command to `seacanary`."""
    app.command("init", epilog=EPILOG)(init)
