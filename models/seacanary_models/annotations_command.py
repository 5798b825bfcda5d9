"""The `annotations` commands: bring people's labels into a catalogue, and say what a catalogue holds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import track
from rich.table import Table

from seacanary.errors import SeaCanaryError
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName
from seacanary_models.annotation_formats import (
    CsvColumns,
    TimedRecording,
    read_audacity,
    read_csv,
    read_pamguard_csv,
    read_pamguard_sqlite,
    read_raven,
)
from seacanary_models.annotations import Annotation, Origin
from seacanary_models.catalogue import (
    AUDIO_SUFFIXES,
    Catalogue,
    CatalogueEntry,
    describe,
    find_file,
    load_catalogue,
    make_catalogue,
    write_catalogue,
)
from seacanary_models.catalogue_split import PARTS, SplitPart, SplitRule
from seacanary_models.label_map import OWN_NAMES, Mapped, map_labels, read_label_map

app = typer.Typer(
    name="annotations",
    no_args_is_help=True,
    help="Bring annotations of any program into one catalogue, and count them.",
)
console = Console()


class Format(StrEnum):
    """What wrote an annotation file."""

    RAVEN = "raven"
    AUDACITY = "audacity"
    PAMGUARD_CSV = "pamguard-csv"
    PAMGUARD_SQLITE = "pamguard-sqlite"
    CSV = "csv"


class Reading(BaseModel):
    """How to read one annotation file."""

    model_config = ConfigDict(frozen=True)

    format: Format
    annotator: str
    licence: str
    recording: str | None = None
    encoding: str | None = None
    label_column: str | None = None
    table: str | None = None
    columns: CsvColumns = CsvColumns()


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Selection table, label track, export or CSV.")]
FormatOption = Annotated[Format, typer.Option("--format", help="What wrote FILE.")]
AudioOption = Annotated[Path, typer.Option(help="Folder of the recordings; subfolders are sites.")]
OutOption = Annotated[Path, typer.Option(help="The catalogue; one that exists is added to.")]
AnnotatorOption = Annotated[str, typer.Option(help="Who annotated: a person, or a detector and its version.")]
LicenceOption = Annotated[str, typer.Option(help="Licence of the annotations.")]
AudioLicenceOption = Annotated[str, typer.Option(help="Licence of the recordings that are new to the catalogue.")]
SiteOption = Annotated[str | None, typer.Option(help="Site of new recordings; otherwise their subfolder.")]
RecordingOption = Annotated[
    str | None, typer.Option(help="Recording that FILE is about, where FILE does not say; otherwise by FILE's name.")
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(help="Label map, YAML or CSV: label, call_type, species, meaning. Without: the call types' names."),
]
KeepOption = Annotated[bool, typer.Option("--keep-unmapped", help="Keep labels without a meaning as other sounds.")]
CompleteOption = Annotated[
    list[str] | None,
    typer.Option(help="Call type of which every call in every recording of --audio is annotated. May be repeated."),
]
EncodingOption = Annotated[str | None, typer.Option(help="Of FILE, if not UTF-8: often cp1252.")]
LabelColumnOption = Annotated[str | None, typer.Option(help="Raven: the column with the label.")]
TableOption = Annotated[str | None, typer.Option(help="PAMGuard SQLite: the table.")]
ColumnOption = Annotated[
    list[str] | None, typer.Option(help="CSV: field=Header, as in start_s=Begin. May be repeated.")
]


@app.command("import")
def import_command(
    file: FileArgument,
    *,
    format_: FormatOption,
    audio: AudioOption,
    out: OutOption,
    annotator: AnnotatorOption,
    licence: LicenceOption,
    audio_licence: AudioLicenceOption,
    site: SiteOption = None,
    recording: RecordingOption = None,
    labels: LabelsOption = None,
    keep_unmapped: KeepOption = False,
    complete: CompleteOption = None,
    encoding: EncodingOption = None,
    label_column: LabelColumnOption = None,
    table: TableOption = None,
    column: ColumnOption = None,
) -> None:
    """Read annotations and write them, with the recordings they are about, into a catalogue.

    What is in the catalogue already stays; the same import twice changes nothing.
    """
    before = load_catalogue(out) if out.exists() else Catalogue()
    entries = scan(audio, before, licence=audio_licence, site=site)
    reading = Reading(
        format=format_,
        annotator=annotator,
        licence=licence,
        recording=recording,
        encoding=encoding,
        label_column=label_column,
        table=table,
        columns=_columns(column or []),
    )
    read = read_annotations(file, reading, entries)
    mapped = map_labels(read, read_label_map(labels) if labels else OWN_NAMES)
    annotations = mapped.annotations if keep_unmapped else mapped.require_all()
    whole = [_completed(entry, complete or []) for entry in entries]
    after = _added(before, whole, annotations)
    write_catalogue(after, out)
    console.print(_imported(before, after, file, mapped), highlight=False, markup=False)


@app.command()
def summary(
    catalogue: Annotated[Path, typer.Argument(help="A catalogue written by import.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the split by site.")] = 1,
    pin: Annotated[list[str] | None, typer.Option(help="site=part, decided by hand. May be repeated.")] = None,
) -> None:
    """Show recordings, hours, annotations per call type and licences of each part of the split."""
    content = load_catalogue(catalogue)
    console.print(summary_table(content, SplitRule(seed=seed, pinned=_pins(pin or []))))
    licences = Counter(entry.licence for entry in content.entries)
    listed = ", ".join(f"{name} ({count})" for name, count in licences.most_common())
    console.print(
        f"licences of the recordings: {listed or 'none'}\ncatalogue {content.digest[:12]}",
        highlight=False,
        markup=False,
    )


def scan(folder: Path, known: Catalogue, *, licence: str, site: str | None) -> list[CatalogueEntry]:
    """Entries of all audio files in a folder and below; files that are catalogued are not read again.

    Raises:
        SeaCanaryError: there is no such folder, no audio in it, or a file cannot be read.
    """
    if not folder.is_dir():
        raise SeaCanaryError(f"{folder} is not a folder; give the one with the recordings")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise SeaCanaryError(f"{folder} holds no recordings ({', '.join(sorted(AUDIO_SUFFIXES))})")
    by_file = {entry.file: entry for entry in known.entries}
    shown = track(paths, "reading recordings", console=console, transient=True, disable=not console.is_terminal)
    return [
        by_file.get(path.relative_to(folder).as_posix()) or describe(path, folder=folder, licence=licence, site=site)
        for path in shown
    ]


def read_annotations(file: Path, reading: Reading, entries: Sequence[CatalogueEntry]) -> list[Annotation]:
    """Read an annotation file with the reader of its format.

    Raises:
        SeaCanaryError: the file is not such a file, or is about recordings that are not among the entries.
    """
    subject = _subject(file, reading, entries)
    origin = Origin(reading.annotator, reading.licence, subject, reading.encoding)
    match reading.format:
        case Format.RAVEN:
            return read_raven(file, origin, label_column=reading.label_column)
        case Format.AUDACITY:
            return read_audacity(file, origin)
        case Format.CSV:
            return read_csv(file, origin, reading.columns)
        case Format.PAMGUARD_CSV:
            return read_pamguard_csv(file, origin, _timed(entries, subject))
        case Format.PAMGUARD_SQLITE:
            return read_pamguard_sqlite(file, origin, _timed(entries, subject), table=reading.table)


def summary_table(catalogue: Catalogue, rule: SplitRule) -> Table:
    """One row per part and kind of recording; annotations of presence by call type, then the other kinds."""
    table = Table("part", "kind", "sites", "recordings", "hours", *CALL_TYPES, "other sounds", "absent", "uncertain")
    for part in PARTS:
        for simulated in (False, True):
            entries = [e for e in catalogue.entries if e.simulated is simulated and rule.part_of(e.site) == part]
            if entries:
                table.add_row(part, "simulated" if simulated else "real", *_counts(catalogue, entries))
    return table


def _counts(catalogue: Catalogue, entries: Sequence[CatalogueEntry]) -> list[str]:
    files = {entry.file for entry in entries}
    kinds = Counter(_kind(one) for one in catalogue.annotations if one.file in files)
    hours = sum(entry.usable_s for entry in entries) / 3600
    counted = (kinds[kind] for kind in (*CALL_TYPES, "other", "absent", "uncertain"))
    return [str(len({e.site for e in entries})), str(len(entries)), f"{hours:.2f}", *map(str, counted)]


def _kind(one: Annotation) -> str:
    return one.call_type or "other" if one.meaning == "present" else one.meaning


def _subject(file: Path, reading: Reading, entries: Sequence[CatalogueEntry]) -> str | None:
    files = [entry.file for entry in entries]
    if reading.recording is not None:
        return find_file(files, reading.recording)
    if reading.format in (Format.PAMGUARD_CSV, Format.PAMGUARD_SQLITE):
        return None
    # Raven saves "a.Table.1.selections.txt" beside a.wav, Audacity's users mostly "a.txt".
    named = [name for name in files if file.name.startswith(f"{Path(name).stem}.")]
    return named[0] if len(named) == 1 else None


def _timed(entries: Iterable[CatalogueEntry], subject: str | None) -> list[TimedRecording]:
    chosen = [entry for entry in entries if subject in (None, entry.file)]
    return [TimedRecording(e.file, e.start, e.sample_rate_hz, e.duration_s) for e in chosen]


def _completed(entry: CatalogueEntry, names: Sequence[str]) -> CatalogueEntry:
    unknown = [name for name in names if name not in CALL_TYPES]
    if unknown:
        raise SeaCanaryError(f"--complete: '{unknown[0]}' is not a call type; choose {', '.join(CALL_TYPES)}")
    whole: list[CallTypeName] = [name for name in CALL_TYPES if name in entry.complete or name in names]
    return entry.model_copy(update={"complete": tuple(whole)})


def _added(before: Catalogue, entries: Iterable[CatalogueEntry], annotations: Iterable[Annotation]) -> Catalogue:
    by_file = {entry.file: entry for entry in before.entries} | {entry.file: entry for entry in entries}
    fresh = make_catalogue(by_file.values(), annotations)
    return fresh.model_copy(update={"annotations": tuple(dict.fromkeys((*before.annotations, *fresh.annotations)))})


def _imported(before: Catalogue, after: Catalogue, file: Path, mapped: Mapped) -> str:
    gained = len(after.annotations) - len(before.annotations)
    lines = [
        f"{file.name}: {len(mapped.annotations)} annotations, {gained} of them new; "
        f"the catalogue has {len(after.entries)} recordings and {len(after.annotations)} annotations"
    ]
    if mapped.unmapped:
        lines.append(f"kept as other sounds: {sum(mapped.unmapped.values())} whose label has no meaning in the map")
    return "\n".join(lines)


def _columns(pairs: Sequence[str]) -> CsvColumns:
    chosen = dict(_pair(pair, "--column", "field=Header") for pair in pairs)
    try:
        return CsvColumns.model_validate(chosen)
    except ValidationError as exc:
        field = exc.errors()[0]["loc"][0]
        known = ", ".join(CsvColumns.model_fields)
        raise SeaCanaryError(f"--column: '{field}' cannot be '{chosen[str(field)]}'; fields are {known}") from exc


def _pins(pairs: Sequence[str]) -> dict[str, SplitPart]:
    pins = dict(_pair(pair, "--pin", "site=part") for pair in pairs)
    unknown = [part for part in pins.values() if part not in PARTS]
    if unknown:
        raise SeaCanaryError(f"--pin: '{unknown[0]}' is not a part; choose {', '.join(PARTS)}")
    return {site: cast("SplitPart", part) for site, part in pins.items()}


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    left, found, right = text.partition("=")
    if not found or not left or not right:
        raise SeaCanaryError(f"{option}: '{text}' must have the form {form}")
    return left, right
