"""Tables as people's programs write them: encodings, decimal commas, and errors that name the cell."""

import codecs
import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from seacanary.errors import SeaCanaryError
from seacanary_models.annotations import Annotation

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as text.

    Attributes:
        where: file and line, for errors.
        cells: by lower-case column name, stripped; blank cells are left out.
        decimal_comma: whether numbers of this file are written 1,5.
    """

    where: str
    cells: Mapping[str, str]
    decimal_comma: bool = False

    def text(self, *columns: str) -> str | None:
        """The first of these columns that is filled, in whatever case its name is written."""
        return next((self.cells[name.lower()] for name in columns if name.lower() in self.cells), None)

    def number(self, column: str) -> float | None:
        """A number, None where the cell is blank.

        Raises:
            SeaCanaryError: it is not a finite number.
        """
        text = self.text(column)
        if text is None:
            return None
        written = text.replace(",", ".") if self.decimal_comma else text
        if not _NUMBER.fullmatch(written) or not math.isfinite(float(written)):
            raise self.error(column, f"'{text}' is not a number like {'12,5' if self.decimal_comma else '12.5'}")
        return float(written)

    def needed(self, column: str) -> float:
        """A number that must be there.

        Raises:
            SeaCanaryError: the cell is blank or not a finite number.
        """
        number = self.number(column)
        if number is None:
            raise self.error(column, "is blank; a number like 12.5 is needed")
        return number

    def error(self, column: str, what: str) -> SeaCanaryError:
        """An error that names file, line and column."""
        return SeaCanaryError(f"{self.where}, column '{column}': {what}")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header of lower-case column names."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def require(self, *columns: str) -> None:
        """Check the header.

        Raises:
            SeaCanaryError: a column is missing; the message lists those there are.
        """
        missing = [name for name in columns if name.lower() not in self.columns]
        if missing:
            there = ", ".join(filter(None, self.columns))
            raise SeaCanaryError(f"{self.name}, line 1: no column '{missing[0]}'; there are {there}")


def annotation(row: Row, fields: Mapping[str, object]) -> Annotation:
    """Check the fields of one annotation.

    Raises:
        SeaCanaryError: a field breaks the schema; the message names row, field, value and rule.
    """
    try:
        return Annotation.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        if not first["loc"]:  # a rule over several fields says which itself
            raise SeaCanaryError(f"{row.where}: {first['ctx']['error']}") from exc
        field = first["loc"][0]
        raise SeaCanaryError(f"{row.where}, {field}: {first['msg']}, got {first['input']!r}") from exc


def read_text(path: Path, encoding: str | None) -> str:
    """A text file's content without byte order mark.

    Raises:
        SeaCanaryError: the file is absent, binary, or in another encoding; with the line of the first bad byte.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SeaCanaryError(f"{path} cannot be read: {exc.strerror}") from exc
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    chosen = encoding or ("utf-16" if utf16 else "utf-8-sig")
    try:
        text = content.decode(chosen)
    except LookupError as exc:
        raise SeaCanaryError(f"encoding '{chosen}' is not known; try utf-8, utf-16, cp1252 or latin-1") from exc
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise SeaCanaryError(
            f"{path.name}, line {line}: byte 0x{content[exc.start]:02x} is not {chosen.removesuffix('-sig')}; "
            "save the file as UTF-8, or name its encoding (often cp1252)"
        ) from exc
    if "\0" in text:
        raise SeaCanaryError(f"{path.name} is not a text file; give the table as tab- or comma-separated text")
    return text.removeprefix("\ufeff")


def read_table(path: Path, *, delimiter: str | None, numeric: Collection[str], encoding: str | None) -> Table:
    """A table with a header line; blank lines are skipped.

    Args:
        path: the table.
        delimiter: a tab (then quotes are letters like others), or None: whichever of comma, semicolon and
            tab the header has most of, with cells in double quotes where needed.
        numeric: columns that hold numbers: they tell whether the file has decimal commas.
        encoding: None: UTF-8, or UTF-16 with its mark.

    Raises:
        SeaCanaryError: not such a table; with file and line.
    """
    text = read_text(path, encoding)
    first_line = text.lstrip().partition("\n")[0]
    chosen = delimiter or max(",;\t", key=first_line.count)
    quotes = '"' if delimiter is None else None
    style: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=chosen, quotechar=quotes, quoting=style, strict=True)
    try:
        numbered = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as exc:
        raise SeaCanaryError(f"{path.name}, line {reader.line_num}: {exc}") from exc
    if not numbered:
        raise SeaCanaryError(f"{path.name} is empty; its first line must name the columns")
    header = _header(path, numbered[0][1])
    rows = [Row(f"{path.name}, line {line}", _cells(path, line, header, cells)) for line, cells in numbered[1:]]
    return Table(path.name, tuple(header), tuple(with_decimal_mark(rows, numeric)))


def with_decimal_mark(rows: list[Row], numeric: Iterable[str]) -> list[Row]:
    """The same rows, knowing whether their numbers have decimal commas.

    Raises:
        SeaCanaryError: commas and points are mixed, so that nobody can tell 1,000 from 1.
    """
    written = [(row, name, row.text(name) or "") for row in rows for name in numeric]
    commas = [cell for cell in written if "," in cell[2]]
    if not commas:
        return rows
    if any("." in text for _, _, text in written):
        row, name, text = commas[0]
        raise row.error(name, f"'{text}' has a comma, but other numbers of the file a point; write all with a point")
    return [Row(row.where, row.cells, decimal_comma=True) for row in rows]


def _header(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise SeaCanaryError(f"{path.name}, line 1: column '{twice}' is there twice; rename one")
    return names


def _cells(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    surplus = [cell for cell in cells[len(header) :] if cell.strip()]
    if surplus:
        raise SeaCanaryError(f"{path.name}, line {line}: {len(cells)} cells, but the header names {len(header)}")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name and cell.strip()}
