"""The committed real recordings as a catalogue: labels.csv in the one schema, their split as it was fixed."""

from pathlib import Path
from typing import cast

from seacanary.simulation.sounds import CALL_TYPES
from seacanary_models.annotation_formats import CsvColumns, read_csv
from seacanary_models.annotations import Annotation, Origin
from seacanary_models.catalogue import Catalogue, CatalogueEntry, describe, make_catalogue
from seacanary_models.catalogue_split import SplitPart, SplitRule
from seacanary_models.label_map import LabelMap, LabelMeaning, map_labels
from seacanary_models.recordings import SPLIT_FILE, Recording, read_catalogue

AUDIO_USES = ("audio", "template")  # the others are stores of detections
_COLUMNS = CsvColumns(low_hz="f_low_hz", high_hz="f_high_hz", annotator="source")
_ABSENT = LabelMeaning(meaning="absent")
# Only what the labels themselves say: that a recording of another animal holds no call of ours is said of the
# whole recording, by the weights of the split.
LABELS = LabelMap(
    {
        "porpoise_click": LabelMeaning(call_type="porpoise_click", species="Phocoena phocoena"),
        "ambient": _ABSENT,
        "ambient_ice": _ABSENT,
        "digital_silence": _ABSENT,
        "orca": LabelMeaning(species="Orcinus orca"),
        "humpback": LabelMeaning(species="Megaptera novaeangliae"),
        "sperm_whale": LabelMeaning(species="Physeter macrocephalus"),
    }
    | {
        name: LabelMeaning()
        for name in (
            "airgun",
            "bat",
            "dolphin_burst_pulse",
            "dolphin_whistle",
            "echosounder_pings",
            "pile_strike",
            "seal",
            "unidentified_odontocete_click",
        )
    }
)


def read_labels(folder: Path) -> list[Annotation]:
    """The folder's labels.csv; the annotator is what stands behind a row, as its `source` says.

    Raises:
        SeaCanaryError: it is absent, breaks the schema, or holds a label that LABELS does not know.
    """
    origin = Origin(annotator="unknown", licence="not stated")
    return list(map_labels(read_csv(folder / "labels.csv", origin, _COLUMNS), LABELS).require_all())


def real_catalogue(folder: Path, *, split: Path = SPLIT_FILE) -> Catalogue:
    """The folder's audio files; a site is a group of the split, which kept streams, nights and places together.

    A call type whose absence the split trusts (weight 1) is annotated completely.

    Raises:
        SeaCanaryError: as read_catalogue and read_labels.
    """
    recordings = [r for r in read_catalogue(folder, split=split).recordings if r.use in AUDIO_USES]
    entries = [_entry(recording, folder) for recording in recordings]
    files = {entry.file for entry in entries}
    return make_catalogue(entries, (one for one in read_labels(folder) if one.file in files))


def real_split_rule(folder: Path, *, split: Path = SPLIT_FILE) -> SplitRule:
    """The split that was fixed once, as a rule: each site pinned to its part.

    Raises:
        SeaCanaryError: as read_catalogue.
    """
    recordings = read_catalogue(folder, split=split).recordings
    return SplitRule(pinned={r.group: cast("SplitPart", r.part) for r in recordings if r.use in AUDIO_USES})


def _entry(recording: Recording, folder: Path) -> CatalogueEntry:
    found = describe(recording.path, folder=folder, licence=recording.licence, site=recording.group)
    trusted = [name for name, weight in zip(CALL_TYPES, recording.weights, strict=True) if weight == 1]
    said = {"use_s": recording.use_s, "credit": recording.credit, "complete": trusted}
    return CatalogueEntry.model_validate({**found.model_dump(), **said})
