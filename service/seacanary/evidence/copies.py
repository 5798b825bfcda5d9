"""Copies of evidence: every finished clip brought to another place, and believed only when read back from there.

What was verified stands in a marker beside the clip, so that a restart copies nothing twice; a file
that changed later makes its clip due again.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal, Never, Protocol, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_validator
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from seacanary.errors import SeaCanaryError
from seacanary.evidence.files import write_whole
from seacanary.evidence.shelf import COPIED, Shelf, Shelved

T = TypeVar("T")

log = logging.getLogger(__name__)

CopyOutcome = Literal["verified", "failed"]
CHUNK_BYTES = 1 << 20


class CopySection(BaseModel):
    """Where evidence is copied to."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target: str = Field(
        description="folder as an fsspec URL: file:///mnt/nas/evidence, s3://bucket/station (needs s3fs), sftp://..."
    )
    options: dict[str, str | int | bool] = Field(
        default_factory=dict, description="what fsspec is told of the target, such as endpoint_url or profile"
    )
    secrets: dict[str, SecretStr] = Field(default_factory=dict, description="options that must not be shown")
    attempts: int = Field(3, ge=1, le=100, description="tries per clip before others have their turn")
    first_wait_s: float = Field(1.0, gt=0, description="upper bound of the first wait after a failure")
    longest_wait_s: float = Field(300.0, gt=0, description="upper bound of any wait after a failure")
    timeout_s: float = Field(300.0, gt=0, description="longest time for one clip")
    settle_s: float = Field(20.0, ge=0, description="age of a clip's newest file before it is copied")
    interval_s: float = Field(10.0, gt=0, description="seconds between two looks for clips that are not copied")

    @field_validator("target")
    @classmethod
    def _url(cls, target: str) -> str:
        if "://" not in target:
            raise ValueError(f"{target!r} is no URL; a folder is file:///its/path")
        return target.rstrip("/")


class FileCopy(BaseModel):
    """A file as it was read back from the target."""

    model_config = ConfigDict(frozen=True)

    size_bytes: int
    sha256: str


class CopyMarker(BaseModel):
    """What was verified, and when."""

    model_config = ConfigDict(frozen=True)

    target: str
    verified_at: AwareDatetime
    files: dict[str, FileCopy] = Field(description="by ending")


class CopyFailed(SeaCanaryError):
    """A clip did not get to the target, or came back different."""


class Target(Protocol):
    """The part of fsspec's AbstractFileSystem that is used."""

    def makedirs(self, path: str, exist_ok: bool) -> None:
        """Make a folder, where the target has folders."""

    def put_file(self, lpath: str, rpath: str) -> None:
        """Send a local file."""

    def invalidate_cache(self, path: str | None = None) -> None:
        """Ask the target itself from now on."""

    def open(self, path: str, mode: str) -> BinaryIO:
        """Open a file there."""


class EvidenceCopies:
    """Copies clips, oldest first, for as long as run() runs."""

    def __init__(
        self,
        folder: Path,
        section: CopySection,
        *,
        on_copy: Callable[[CopyOutcome], None] = lambda _: None,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; the target is first spoken to in run().

        Args:
            folder: of all evidence.
            section: where it goes.
            on_copy: told of each clip verified and of each attempt that failed, on the loop.
            utc_now: for the markers.
        """
        self._shelf, self._section = Shelf(folder), section
        self._on_copy, self._utc_now = on_copy, utc_now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="copies")
        self._failures = Counter[str]()
        self.trouble: str | None = None

    async def run(self) -> Never:
        """Copy until cancelled."""
        while True:
            await self.copy_due()
            await asyncio.sleep(self._section.interval_s)

    async def copy_due(self) -> int:
        """Copy what is due; return how many clips were verified. Ends early when one does not get through."""
        verified = 0
        for shelved in await self._in_thread(self._due):
            if not await self._copy_patiently(shelved):
                return verified
            verified += 1
        return verified

    async def aclose(self) -> None:
        """Give up what has not begun; a transfer under way is not waited for longer than its own timeout."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _due(self) -> list[Shelved]:
        """Finished and settled clips without a valid marker; those that failed least come first."""
        settled_ns = time.time_ns() - round(self._section.settle_s * 1e9)
        try:
            contents = self._shelf.contents()
        except OSError as exc:
            self._note(f"{self._shelf.folder}: {exc.strerror or exc}")
            return []
        due = [c for c in contents if c.is_finished and not c.is_copied and c.modified_ns <= settled_ns]
        return sorted(due, key=lambda shelved: (self._failures[shelved.stem], shelved.stem.rpartition("/")[2]))

    async def _copy_patiently(self, shelved: Shelved) -> bool:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(CopyFailed),
            wait=wait_random_exponential(multiplier=self._section.first_wait_s, max=self._section.longest_wait_s),
            stop=stop_after_attempt(self._section.attempts),
            reraise=True,
        )
        try:
            await retrying(self._attempt, shelved)
        except CopyFailed:
            self._failures[shelved.stem] += 1
            return False
        del self._failures[shelved.stem]
        return True

    async def _attempt(self, shelved: Shelved) -> None:
        try:
            async with asyncio.timeout(self._section.timeout_s):
                there = await self._in_thread(self._copy, shelved)
        except (CopyFailed, TimeoutError) as exc:
            self._on_copy("failed")
            self._note(str(exc) or f"{self._section.target}: not done within {self._section.timeout_s:g} s")
            raise CopyFailed(str(exc)) from exc
        self._note(None)
        if there:
            self._on_copy("verified")

    def _note(self, trouble: str | None) -> None:
        """Log a trouble when it begins and when it is over."""
        if trouble and not self.trouble:
            log.warning("evidence is not copied: %s", trouble)
        elif self.trouble and not trouble:
            log.info("evidence is copied again")
        self.trouble = trouble

    def _copy(self, shelved: Shelved) -> bool:
        """Copy a clip's files, read them back, and mark it; False if retention deleted it meanwhile."""
        try:
            files = {file.ending: self._copy_file(shelved.stem + file.ending) for file in shelved.files}
            self._mark(shelved, files)
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise CopyFailed(f"{shelved.stem}: {exc.strerror or exc}") from exc
        return True

    def _copy_file(self, name: str) -> FileCopy:
        with (self._shelf.folder / name).open("rb") as file:
            wanted = _digest(file)
        got = self._sent_and_read_back(name)
        if got != wanted:
            raise CopyFailed(
                f"{self._section.target}/{name} came back as {got.size_bytes} bytes, SHA-256 {got.sha256[:8]}; "
                f"sent were {wanted.size_bytes} bytes, {wanted.sha256[:8]}"
            )
        return got

    def _sent_and_read_back(self, name: str) -> FileCopy:
        """The file system may be any library's, and raise what it likes."""
        try:
            target, root = self._target()
            path = f"{root}/{name}"
            target.makedirs(path.rpartition("/")[0], exist_ok=True)
            target.put_file(str(self._shelf.folder / name), path)
            target.invalidate_cache()
            with target.open(path, "rb") as file:
                return _digest(file)
        except Exception as exc:
            raise CopyFailed(f"{self._section.target}/{name}: {exc}") from exc

    def _target(self) -> tuple[Target, str]:
        import fsspec  # type: ignore[import-untyped]  # ships no types

        secrets = {name: secret.get_secret_value() for name, secret in self._section.secrets.items()}
        target, root = fsspec.core.url_to_fs(self._section.target, **self._section.options, **secrets)
        return target, root.rstrip("/")

    def _mark(self, shelved: Shelved, files: dict[str, FileCopy]) -> None:
        """Write the marker, as old as the newest file that was copied: a later change makes the clip due again."""
        marker = CopyMarker(target=self._section.target, verified_at=self._utc_now(), files=files)
        path = self._shelf.folder / (shelved.stem + COPIED)
        if not (self._shelf.folder / (shelved.stem + shelved.files[0].ending)).exists():
            raise FileNotFoundError
        write_whole(path, marker.model_dump_json(indent=1).encode())
        os.utime(path, ns=(shelved.modified_ns, shelved.modified_ns))

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)


def _digest(file: BinaryIO) -> FileCopy:
    digest, size_bytes = sha256(), 0
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
    return FileCopy(size_bytes=size_bytes, sha256=digest.hexdigest())
