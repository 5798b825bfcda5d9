"""LabelMap: what an annotator's words mean in call types, from a small YAML or CSV file."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from seacanary.errors import SeaCanaryError
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName
from seacanary_models.annotation_formats.tables import read_table, read_text
from seacanary_models.annotations import Annotation, Meaning, Text


class LabelMeaning(BaseModel):
    """What one label says; without a call type it is another sound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_type: CallTypeName | None = None
    species: Text | None = None
    meaning: Meaning = "present"


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Meanings by label, in whatever case it is written."""

    meanings: Mapping[str, LabelMeaning]

    def meaning_of(self, label: str | None) -> LabelMeaning | None:
        """What a label says, None if the map has no entry for it."""
        return self.meanings.get((label or "").casefold())


OWN_NAMES = LabelMap({name: LabelMeaning(call_type=name) for name in CALL_TYPES})


@dataclass(frozen=True, slots=True)
class Mapped:
    """Annotations after mapping.

    Attributes:
        unmapped: how often each label that nobody explained stands; None: no label at all.
    """

    annotations: tuple[Annotation, ...]
    unmapped: Mapping[str | None, int]

    def require_all(self) -> tuple[Annotation, ...]:
        """The annotations.

        Raises:
            SeaCanaryError: some labels have no meaning; the message lists them, the most frequent first.
        """
        if self.unmapped:
            by_count = sorted(self.unmapped.items(), key=lambda item: (-item[1], item[0] or ""))
            listed = ", ".join(f"{'(no label)' if label is None else repr(label)} x {n}" for label, n in by_count)
            raise SeaCanaryError(f"labels without a meaning: {listed}; add them to the label map")
        return self.annotations


def map_labels(annotations: Iterable[Annotation], label_map: LabelMap) -> Mapped:
    """Give annotations the call type, species and meaning of their labels.

    A label without an entry leaves its annotation as it is: counted, unless it has a call type or is no
    annotation of presence.
    A species that an annotation already has is kept where the map gives none.
    """
    mapped, unmapped = [], Counter[str | None]()
    for one in annotations:
        meaning = label_map.meaning_of(one.label)
        if meaning is None:
            unmapped[one.label] += one.call_type is None and one.meaning == "present"
            mapped.append(one)
            continue
        said = meaning.model_dump(exclude_unset=True)
        mapped.append(one.model_copy(update={**said, "species": meaning.species or one.species}))
    return Mapped(tuple(mapped), +unmapped)


def read_label_map(path: Path) -> LabelMap:
    """Read a map from .yaml or .yml (label: {call_type, species, meaning}) or a table with those columns.

    Raises:
        SeaCanaryError: not such a file; the message names the label.
    """
    raw = _from_yaml(path) if path.suffix.lower() in (".yaml", ".yml") else _from_table(path)
    meanings: dict[str, LabelMeaning] = {}
    for label, fields in raw:
        key = " ".join(label.split()).casefold()
        if key in meanings:
            raise SeaCanaryError(f"{path.name}: label '{label}' is there twice (upper and lower case are one)")
        meanings[key] = _meaning(path, label, fields)
    return LabelMap(meanings)


def _meaning(path: Path, label: str, fields: object) -> LabelMeaning:
    try:
        return LabelMeaning.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = f", {first['loc'][0]}" if first["loc"] else ""
        raise SeaCanaryError(f"{path.name}, label '{label}'{field}: {first['msg']}, got {first['input']!r}") from exc


def _from_yaml(path: Path) -> list[tuple[str, object]]:
    try:
        content: object = yaml.safe_load(read_text(path, None))
    except yaml.YAMLError as exc:
        raise SeaCanaryError(f"{path.name} is not YAML: {exc}") from exc
    if not isinstance(content, dict):
        raise SeaCanaryError(f"{path.name} must hold one entry per label, like  whistle: {{call_type: whistle}}")
    return [(str(label), {} if fields is None else fields) for label, fields in content.items()]


def _from_table(path: Path) -> list[tuple[str, object]]:
    table = read_table(path, delimiter=None, numeric=(), encoding=None)
    table.require("label")
    rows = [(row.text("label"), row) for row in table.rows]
    blank = next((row for label, row in rows if label is None), None)
    if blank:
        raise blank.error("label", "is blank; each row needs the word it explains")
    return [(label or "", {n: v for n, v in row.cells.items() if n != "label"}) for label, row in rows]
