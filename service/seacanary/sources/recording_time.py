"""When a recording began: from its metadata, its name, or the configuration, in that order.

Times without a zone are the recorder's own clock; `utc_offset` says how far
that clock was set from UTC.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePath
from typing import Literal

import guano
from wavinfo.wave_bext_reader import WavBextReader
from wavinfo.wave_ixml_reader import WavIXMLFormat

from seacanary.sources.chunks import Chunks, comment

StartSource = Literal["guano", "comment", "bext", "ixml", "file_name", "config", "unknown"]

# The start of a recording that nothing dates; `time_known` is False for it.
UNKNOWN_START = datetime(1970, 1, 1, tzinfo=UTC)

# 20200817_011352 (AudioMoth, Wildlife Acoustics, icListen), 20200817T120000Z (AMAR, ISO),
# 2020-08-17T120000 (Loggerhead), 20200623_000152_885 (PAMGuard), 2020-08-17T12:00:00.250+02:00.
_LONG = re.compile(
    r"(?<!\d)(?P<year>199\d|20\d\d)[-_.]?(?P<month>\d\d)[-_.]?(?P<day>\d\d)[T_ .$-]?"
    r"(?P<hour>\d\d)[-_:h]?(?P<minute>\d\d)[-_:m]?(?P<second>\d\d)"
    r"(?:[._,](?P<fraction>\d{6}|\d{3})(?![\dA-Ya-z]))?"
    r"(?P<zone>Z|[+-](?:0\d|1[0-4]):?(?:00|15|30|45))?(?!\d)"
)
# 5146.200817120000: serial number, then a two-digit year (SoundTrap).
_SOUNDTRAP = re.compile(
    r"^\d{3,}\.(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?!\d)"
)
# 200817_120000 or 200817120000 (HARP and others).
_SHORT = re.compile(
    r"(?<!\d)(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)[T_-]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?!\d)"
)
# 5F39D4C0: seconds since 1970 in hexadecimal (early AudioMoth firmware).
_HEX = re.compile(r"^(?P<hex>[0-9A-F]{8})$")
_HEX_YEARS = range(2015, 2038)

_AUDIOMOTH = re.compile(
    r"Recorded at (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{3}))? "
    r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4}) \(UTC(?P<zone>[+-]\d{1,2}(?::\d\d)?)?\)"
)
_CLOCK = re.compile(r"(\d\d)\D(\d\d)\D(\d\d)")
_DATE = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)")


@dataclass(frozen=True, slots=True)
class StartTime:
    """When a recording began, and how we know.

    Attributes:
        start: UTC of the first sample.
        source: what said so; "unknown" means that nothing did.
    """

    start: datetime
    source: StartSource


def find_start(
    path: PurePath, chunks: Chunks, *, utc_offset: timedelta = timedelta(), configured: datetime | None = None
) -> StartTime:
    """Find the start of a recording; a damaged source of time is passed over.

    Args:
        path: the file, for its name.
        chunks: its metadata chunks.
        utc_offset: what the recorder's clock showed minus UTC.
        configured: the start to assume when neither metadata nor name says.

    Returns:
        The first answer of GUANO, AudioMoth's comment, BWF bext, iXML, the file
        name, the configuration; else UNKNOWN_START.
    """
    zone = timezone(utc_offset)
    readers: tuple[tuple[StartSource, Callable[[], datetime | None]], ...] = (
        ("guano", lambda: _from_guano(chunks.bodies.get(b"guan"))),
        ("comment", lambda: _from_comment(comment(chunks))),
        ("bext", lambda: _from_bext(chunks.bodies.get(b"bext"))),
        ("ixml", lambda: _from_ixml(chunks.bodies.get(b"iXML"))),
        ("file_name", lambda: start_from_name(path.stem)),
        ("config", lambda: configured),
    )
    for source, read in readers:
        start = read()
        if start is not None:
            return StartTime(_in_utc(start, zone), source)
    return StartTime(UNKNOWN_START, "unknown")


def start_from_name(stem: str) -> datetime | None:
    """Start time in a recorder's file name; naive unless the name gives a zone."""
    for pattern in (_SOUNDTRAP, _LONG, _SHORT):
        for match in pattern.finditer(stem):
            start = _from_fields(match.groupdict())
            if start is not None:
                return start
    return _from_hex(stem)


def _in_utc(start: datetime, zone: timezone) -> datetime:
    return (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)


def _from_fields(fields: dict[str, str | None]) -> datetime | None:
    fraction = (fields.get("fraction") or "").ljust(6, "0")
    century = "20" if len(fields["year"] or "") == 2 else ""
    text = "{year}-{month}-{day}T{hour}:{minute}:{second}".format(**fields)
    try:
        return datetime.fromisoformat(f"{century}{text}.{fraction}").replace(tzinfo=_zone(fields.get("zone")))
    except ValueError:
        return None


def _zone(text: str | None) -> timezone | None:
    """Z, +02:00, -0500 or -5 as a zone; None stays None."""
    if text is None:
        return None
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if text[0] == "-" else offset)


def _from_hex(stem: str) -> datetime | None:
    match = _HEX.match(stem)
    if match is None:
        return None
    start = datetime.fromtimestamp(int(match["hex"], 16), UTC)
    return start if start.year in _HEX_YEARS else None


def _from_guano(body: bytes | None) -> datetime | None:
    if body is None:
        return None
    try:
        stamp = guano.GuanoFile.from_string(body).get("Timestamp")
        # guano reads fractions of three digits and more only; the rest stays text.
        return datetime.fromisoformat(stamp) if isinstance(stamp, str) else _or_none(stamp)
    except (ValueError, KeyError):
        return None


def _or_none(stamp: object) -> datetime | None:
    return stamp if isinstance(stamp, datetime) else None


def _from_comment(text: str | None) -> datetime | None:
    match = _AUDIOMOTH.search(text or "")
    if match is None:
        return None
    return _from_fields(match.groupdict() | {"zone": match["zone"] or "Z"})


def _from_bext(body: bytes | None) -> datetime | None:
    if body is None:
        return None
    try:
        bext = WavBextReader(body, "latin-1")
    except struct.error:
        return None
    return _from_date_and_time(bext.originator_date, bext.originator_time)


def _from_ixml(body: bytes | None) -> datetime | None:
    if body is None:
        return None
    try:
        root = WavIXMLFormat(body.strip(b"\0")).raw_xml
        date, clock = (root.findtext(f".//BWF_ORIGINATION_{part}") for part in ("DATE", "TIME"))
    except (SyntaxError, AssertionError, ValueError):  # lxml's XML errors are SyntaxErrors; no root asserts
        return None
    return _from_date_and_time(date or "", clock or "")


def _from_date_and_time(date: str, clock: str) -> datetime | None:
    """BWF's yyyy?mm?dd and hh?mm?ss, any separator (EBU Tech 3285 allows several)."""
    day, time = _DATE.match(date), _CLOCK.match(clock)
    if day is None or time is None:
        return None
    names = ("year", "month", "day", "hour", "minute", "second")
    return _from_fields(dict(zip(names, day.groups() + time.groups(), strict=True)))
