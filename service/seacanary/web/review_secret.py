"""The key that signs review links: given, read from a file, or made once."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from seacanary.errors import ConfigError
from seacanary.web.section import SHORTEST_SECRET, WebSection

FILE_NAME = "review-secret"
OWNER_ONLY = 0o600


def review_secret(section: WebSection, *, beside: Path) -> SecretStr:
    """The key to sign with, the same after every restart.

    Args:
        section: may hold the key or name its file.
        beside: the journal; without either, the key is kept in a file in the same folder.

    Raises:
        ConfigError: the file cannot be read or made, or holds too little.
    """
    if section.review_secret is not None:
        return section.review_secret
    if section.review_secret_file is not None:
        return _read(section.review_secret_file)
    path = beside.with_name(FILE_NAME)
    if not path.exists():
        _make(path)
    return _read(path)


def _read(path: Path) -> SecretStr:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"web.review_secret_file: {path} cannot be read: {exc}") from exc
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(f"web.review_secret_file: {path} must hold {SHORTEST_SECRET} characters or more")
    return SecretStr(secret)


def _make(path: Path) -> None:
    """Write a new key whole or not at all; from its first byte on only its owner can read it."""
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise ConfigError(f"{path}: the key for review links cannot be written: {exc}; set web.review_secret") from exc
