"""The configuration against its schema, and who may read the secrets in it."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, SecretStr

from seacanary.config import Configuration
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.doctor.subject import Subject
from seacanary.errors import ConfigError

Wanted = TypeVar("Wanted")

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# A secret that is shorter may stand in the file by chance.
SHORTEST_SECRET = 6
CORRECT = (
    "correct it as the message says; `seacanary schema` prints what is allowed, and CHANGELOG.md what has changed "
    "between versions"
)
SET_VARIABLE = (
    "set it before the command (`export NAME=value`), and for the service in its own environment (EnvironmentFile= of "
    "a systemd unit, `environment` of a container)"
)
FILES_OF_SECRETS = ("password_file", "secret_file", "url_file", "key_file")


def refused(error: ConfigError) -> Iterator[Finding]:
    """Each mistake of a file that was refused; a message names the field, the value and what would be right."""
    where, *mistakes = str(error).split("\n  ")
    for mistake in mistakes or [where]:
        means, remedy = "a station with this file refuses to start", CORRECT
        if "unknown field" in mistake:
            means = "the file does not fit this version's schema: the field was misspelt, moved or taken out"
        elif "environment variable" in mistake:
            remedy = SET_VARIABLE
        yield broken("configuration", mistake, means=means, remedy=remedy)


def configuration(subject: Subject) -> Iterator[Finding]:
    """What can be said of a file that was accepted."""
    if subject.config is None or subject.path is None:
        return
    yield ok("configuration", f"{subject.path} fits the schema of a {subject.config.role}")
    yield from _readable_by_others(subject.path, subject.config)
    for file in sorted(set(_secret_files(subject.config))):
        yield from _open_secret(file)


def _readable_by_others(path: Path, config: Configuration) -> Iterator[Finding]:
    text = path.read_text(encoding="utf-8", errors="replace")
    inline = any(secret in text for secret in _secrets(config))
    mode = path.stat().st_mode
    if inline and mode & OTHERS:
        yield warning(
            "configuration",
            f"{path} holds secrets and others may read it (mode {stat.S_IMODE(mode):o})",
            means="whoever has an account on this machine has them",
            remedy=f"chmod 600 {path}, or write ${{NAME}} in place of the secret and give it by the environment",
        )


def _open_secret(file: Path) -> Iterator[Finding]:
    mode = file.stat().st_mode
    if mode & OTHERS:
        yield warning(
            "secrets",
            f"others may read {file} (mode {stat.S_IMODE(mode):o})",
            means="whoever has an account on this machine has the secret",
            remedy=f"chmod 600 {file}, and give it to the user that the station runs as",
        )


def _secrets(value: object) -> Iterator[str]:
    """Every secret in a configuration; an address without a password in it is none."""
    for secret in _found(value, SecretStr):
        text = secret.get_secret_value()
        if len(text) >= SHORTEST_SECRET and not ("://" in text and "@" not in text and text.count("/") <= 3):
            yield text


def _secret_files(config: Configuration) -> Iterator[Path]:
    for section in _found(config, BaseModel):
        for name in type(section).model_fields:
            file = getattr(section, name)
            if name.endswith(FILES_OF_SECRETS) and isinstance(file, Path) and file.is_file():
                yield file


def _found(value: object, kind: type[Wanted]) -> Iterator[Wanted]:
    """Values of a kind, at any depth."""
    if isinstance(value, kind):
        yield value
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _found(getattr(value, name), kind)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _found(part, kind)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _found(part, kind)
