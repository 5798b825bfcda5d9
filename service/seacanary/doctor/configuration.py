"""The configuration against its schema, and who may read the secrets in it."""

import grp
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, SecretStr

from seacanary.config import Configuration
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.doctor.folders import nearest, written_to
from seacanary.doctor.subject import Subject
from seacanary.errors import ConfigError

Wanted = TypeVar("Wanted")

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
# What a station needs to read the file itself, by the rights that are taken away.
KEEPS = {
    "o": "; the station's user must own it, or be in its group",
    "g": ", unless the station reads it by that group",
    "go": ", but the group's rights only if the station does not read it by them",
}
INSTEAD = "; or write ${NAME} in place of the secret and give it by the environment"
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
    groups = _groups_of(subject)
    if _holds_a_secret(subject.path, subject.config):
        yield from _let_in_too_many("configuration", subject.path, groups)
    for file in sorted(set(_secret_files(subject.config))):
        yield from _let_in_too_many("secrets", file, groups)


def let_in(status: os.stat_result, groups: Collection[int]) -> str:
    """Whom a file's mode lets in beside its owner and the station, in chmod's letters: "g", "o", "go", or nobody.

    A group is the station's, or it was meant: what is root's belongs to another group only if root gave it to that one.

    Args:
        status: of the file.
        groups: of the station.
    """
    meant = status.st_gid in groups or status.st_uid == 0
    group = status.st_mode & stat.S_IRWXG and not meant
    return "g" * bool(group) + "o" * bool(status.st_mode & stat.S_IRWXO)


def _groups_of(subject: Subject) -> frozenset[int]:
    """Groups of this process, and of the folders that the station writes to: it may run as another user."""
    groups = {os.getegid(), *os.getgroups()}
    for folder in written_to(subject).values():
        with suppress(OSError):  # the folder's own check says so
            groups.add(nearest(folder).stat().st_gid)
    return frozenset(groups)


def _let_in_too_many(name: str, file: Path, groups: Collection[int]) -> Iterator[Finding]:
    status = file.stat()
    letters = let_in(status, groups)
    if not letters:
        return
    who = "others" if "o" in letters else f"group {_name_of(status.st_gid)}"
    yield warning(
        name,
        f"{who} may read {file}, which holds a secret (mode {stat.S_IMODE(status.st_mode):o})",
        means="whoever has an account on this machine has it" if "o" in letters else "whoever is in that group has it",
        remedy=f"`chmod {letters}-rwx {file}`{KEEPS[letters]}{INSTEAD if name == 'configuration' else ''}",
    )


def _name_of(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def _holds_a_secret(path: Path, config: Configuration) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(secret in text for secret in _secrets(config))


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
