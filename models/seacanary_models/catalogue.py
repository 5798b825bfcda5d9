"""Catalogue: recordings, simulated and real alike, with what was said of them; kept as two CSV files."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Self

import soundfile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from seacanary.errors import SeaCanaryError
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName
from seacanary_models.annotation_formats import read_csv, write_csv
from seacanary_models.annotation_formats.tables import Row, read_table
from seacanary_models.annotations import Annotation, Origin, Text

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg", ".opus", ".w64", ".caf"})
_TIME_IN_NAME = re.compile(r"(?<!\d)(\d{8})[_T-]?(\d{6})(?:[._](\d{3}))?(?!\d)")


class CatalogueEntry(BaseModel):
    """One recording."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: Text = Field(description="names the recording whatever happens to the others")
    file: Text = Field(description="path within the catalogue's audio folder, with /")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sample_rate_hz: int = Field(gt=0)
    duration_s: float = Field(gt=0)
    use_s: float | None = Field(None, gt=0, description="seconds before a loop repeats itself; None: all of it")
    site: Text = Field(description="place or deployment: all its recordings serve the same part")
    group: Text | None = Field(None, description="takes of one stream or copies of one event, within one site")
    start: AwareDatetime | None = Field(None, description="time of the first sample")
    licence: Text
    credit: Text | None = None
    simulated: bool
    recipe: Text | None = Field(None, description="what made a simulated recording")
    seed: int | None = Field(None, ge=0)
    complete: tuple[CallTypeName, ...] = Field((), description="call types of which every call is annotated")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.simulated != (self.recipe is not None) or self.simulated != (self.seed is not None):
            raise ValueError("a simulated recording has recipe and seed, a real one neither")
        return self

    @property
    def usable_s(self) -> float:
        """Seconds that are worth looking at: a loop counts once."""
        return min(self.duration_s, self.use_s or self.duration_s)


class Catalogue(BaseModel):
    """Recordings and their annotations, checked against each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[CatalogueEntry, ...] = ()
    annotations: tuple[Annotation, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_unique("id", (entry.id for entry in self.entries))
        _check_unique("file", (entry.file for entry in self.entries))
        _check_one_site("group", ((entry.group, entry) for entry in self.entries))
        _check_one_site("content", ((entry.sha256, entry) for entry in self.entries))
        durations_s = {entry.file: entry.duration_s for entry in self.entries}
        for one in self.annotations:
            _check_within(one, durations_s)
        return self

    @property
    def digest(self) -> str:
        """A hash of exactly what the catalogue says, for caches; the order of its rows does not count."""
        rows = sorted(row.model_dump_json() for row in (*self.entries, *self.annotations))
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def annotations_of(self, entry: CatalogueEntry) -> tuple[Annotation, ...]:
        """What was said of one recording, by start."""
        return tuple(sorted((a for a in self.annotations if a.file == entry.file), key=lambda a: a.start_s))

    def joined(self, other: "Catalogue") -> "Catalogue":
        """Both together; what is in both is there once.

        Raises:
            SeaCanaryError: they contradict each other.
        """
        entries = tuple(dict.fromkeys((*self.entries, *other.entries)))
        annotations = tuple(dict.fromkeys((*self.annotations, *other.annotations)))
        return make_catalogue(entries, annotations)


def make_catalogue(entries: Iterable[CatalogueEntry], annotations: Iterable[Annotation] = ()) -> Catalogue:
    """A catalogue whose annotations name files as its entries do, be they bare names before.

    Raises:
        SeaCanaryError: a file is unknown or ambiguous, or the rows contradict each other.
    """
    kept, said = tuple(entries), tuple(annotations)
    files = [entry.file for entry in kept]
    found = {name: find_file(files, name) for name in sorted({one.file for one in said})}
    placed = tuple(one.model_copy(update={"file": found[one.file]}) for one in said)
    try:
        return Catalogue(entries=kept, annotations=placed)
    except ValidationError as exc:
        raise SeaCanaryError(str(exc.errors()[0]["ctx"]["error"])) from exc


def find_file(files: Collection[str], name: str) -> str:
    """The catalogued file that a path or bare name means; upper and lower case differ only where needed.

    Raises:
        SeaCanaryError: there is none, or several.
    """
    if name in files:
        return name
    wanted = PurePosixPath(name.replace("\\", "/")).name.casefold()
    found = [file for file in files if PurePosixPath(file).name.casefold() == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise SeaCanaryError(f"'{name}' may be any of {', '.join(found)}; give its path")
    raise SeaCanaryError(f"no recording '{name}' among the {len(files)} of the catalogue")


def describe(path: Path, *, folder: Path, licence: str, site: str | None = None) -> CatalogueEntry:
    """The entry of a real recording, read from its file; its start from a date and time in the name, as UTC.

    Args:
        path: the recording.
        folder: the catalogue's audio folder, which holds it.
        licence: of the recording.
        site: None: the subfolder it lies in.

    Raises:
        SeaCanaryError: not readable as audio, empty, or without a site.
    """
    file = path.relative_to(folder)
    place = site or str(file.parent.as_posix())
    if place == ".":
        raise SeaCanaryError(f"{file}: which site is it from? put it into a subfolder named after it, or name the site")
    try:
        facts, content = soundfile.info(path), path.read_bytes()
    except (OSError, soundfile.LibsndfileError) as exc:
        raise SeaCanaryError(f"{file} cannot be read as audio: {exc}") from exc
    if facts.frames == 0:
        raise SeaCanaryError(f"{file} holds no samples")
    digest = hashlib.sha256(content).hexdigest()
    return CatalogueEntry(
        id=f"{path.stem}-{digest[:8]}",
        file=file.as_posix(),
        sha256=digest,
        sample_rate_hz=facts.samplerate,
        duration_s=facts.frames / facts.samplerate,
        site=place,
        start=start_in_name(path.stem),
        licence=licence,
        simulated=False,
    )


def start_in_name(stem: str) -> datetime | None:
    """The UTC time in a file name like 20200817_011352 or 20200817T011352.250, None if there is none."""
    match = _TIME_IN_NAME.search(stem)
    if match is None:
        return None
    date, time, milliseconds = match.groups()
    try:
        at = datetime.strptime(date + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # digits, but no date
        return None
    return at.replace(microsecond=int(milliseconds or 0) * 1000)


def annotations_path(path: Path) -> Path:
    """Where the annotations of the catalogue at `path` are kept."""
    return path.with_suffix(f".annotations{path.suffix}")


def write_catalogue(catalogue: Catalogue, path: Path) -> None:
    """Write the recordings to `path` and the annotations beside it; both are whole or untouched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [path.with_suffix(".part"), annotations_path(path).with_suffix(".part")]
    with parts[0].open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(CatalogueEntry.model_fields))
        writer.writeheader()
        writer.writerows(_cells(entry) for entry in catalogue.entries)
    write_csv(parts[1], catalogue.annotations)
    parts[1].replace(annotations_path(path))
    parts[0].replace(path)


def load_catalogue(path: Path) -> Catalogue:
    """Read what write_catalogue wrote.

    Raises:
        SeaCanaryError: not such files; with file, line and column, or what contradicts what.
    """
    table = read_table(path, delimiter=None, numeric=("duration_s", "use_s"), encoding=None)
    table.require(*CatalogueEntry.model_fields)
    entries = [_entry(row) for row in table.rows]
    origin = Origin(annotator="", licence="")  # every row must name its own
    return make_catalogue(entries, read_csv(annotations_path(path), origin))


def _cells(entry: CatalogueEntry) -> dict[str, object]:
    return {**entry.model_dump(mode="json"), "complete": " ".join(entry.complete)}


def _entry(row: Row) -> CatalogueEntry:
    fields: dict[str, object] = {**row.cells, "complete": tuple((row.text("complete") or "").split())}
    try:
        return CatalogueEntry.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = f", column '{first['loc'][0]}'" if first["loc"] else ""
        hint = f" (call types are {', '.join(CALL_TYPES)})" if "complete" in first["loc"] else ""
        raise SeaCanaryError(f"{row.where}{where}: {first['msg']}{hint}") from exc


def _check_unique(what: str, values: Iterable[str]) -> None:
    value, count = next(iter(Counter(values).most_common(1)), ("", 0))
    if count > 1:
        raise ValueError(f"{count} recordings have the {what} '{value}'; each needs its own")


def _check_one_site(what: str, keyed: Iterable[tuple[str | None, CatalogueEntry]]) -> None:
    """Parts are drawn by site, so what must stay together must lie in one site."""
    first: dict[str, CatalogueEntry] = {}
    for key, entry in keyed:
        if key is not None and first.setdefault(key, entry).site != entry.site:
            other = first[key]
            raise ValueError(
                f"{other.file} (site '{other.site}') and {entry.file} (site '{entry.site}') "
                f"share their {what}; give them one site"
            )


def _check_within(one: Annotation, durations_s: dict[str, float]) -> None:
    duration_s = durations_s.get(one.file)
    if duration_s is None:
        raise ValueError(f"an annotation is about '{one.file}', which is not among the recordings")
    if one.start_s >= duration_s:
        raise ValueError(
            f"an annotation of {one.file} begins at {one.start_s:g} s, but the recording ends at {duration_s:g} s; "
            "is it about another recording?"
        )
