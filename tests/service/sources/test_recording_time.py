"""Start times: every recorder's naming, every metadata chunk, and what damage does to them."""

import struct
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seacanary.sources.chunks import Chunks
from seacanary.sources.recording_time import UNKNOWN_START, find_start, start_from_name

NOON = datetime(2020, 8, 17, 12, tzinfo=UTC)


def bext(date: str, time: str) -> bytes:
    return struct.pack("<256s32s32s10s8sQH", b"", b"", b"", date.encode(), time.encode(), 0, 0) + bytes(254)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("5146.200817120000.wav", "2020-08-17T12:00:00"),  # SoundTrap
        ("671879209.201105120000.wav", "2020-11-05T12:00:00"),  # SoundTrap, a date that could be read as 2011
        ("20200817_011352.WAV", "2020-08-17T01:13:52"),  # AudioMoth
        ("5F39D4C0.WAV", "2020-08-17T00:52:16+00:00"),  # early AudioMoth
        ("SBW1391_20200817_120000.wav", "2020-08-17T12:00:00"),  # icListen
        ("icListenHF1266_20200817T120000.250Z.wav", "2020-08-17T12:00:00.250+00:00"),
        ("2020-08-17T120000_0123456789ABCDEF_2.0dB.wav", "2020-08-17T12:00:00"),  # Loggerhead
        ("20200817T120000_384kHz.wav", "2020-08-17T12:00:00"),
        ("SM4_20200817_120000.wav", "2020-08-17T12:00:00"),  # Wildlife Acoustics
        ("SMM05-A_20200817$120000.wav", "2020-08-17T12:00:00"),
        ("AMAR123.20200817T120000Z.wav", "2020-08-17T12:00:00+00:00"),  # JASCO
        ("DUB_20200623_000152_885.wav", "2020-06-23T00:01:52.885"),  # PAMGuard
        ("HTI96_20200817-120000.wav", "2020-08-17T12:00:00"),
        ("SOCAL_200817_120000.x.wav", "2020-08-17T12:00:00"),  # HARP
        ("site 2020-08-17 12:00:00.wav", "2020-08-17T12:00:00"),
        ("2020-08-17T12-00-00.wav", "2020-08-17T12:00:00"),
        ("20200817120000.flac", "2020-08-17T12:00:00"),
        ("OO-HYVM2--YDH-2020-08-17T12:00:00.000015.flac", "2020-08-17T12:00:00.000015"),
        ("20200817T120000+1000_Rec.flac", "2020-08-17T12:00:00+10:00"),  # Frontier Labs
        ("a_20200817T120000-0330.wav", "2020-08-17T12:00:00-03:30"),
        ("20201317_120000 copy 20200817_120000.wav", "2020-08-17T12:00:00"),  # the first is no date
    ],
)
def test_recorder_names_give_their_start(name: str, start: str) -> None:
    assert start_from_name(PurePath(name).stem) == datetime.fromisoformat(start)


@pytest.mark.parametrize(
    "name", ["live000", "20200817", "Megaptera_novaeangliae", "20209917_120000", "123456789012345678", "DEADBEEF", ""]
)
def test_other_names_give_none(name: str) -> None:
    assert start_from_name(name) is None


@given(st.text(max_size=60))
def test_no_name_raises(name: str) -> None:
    start = start_from_name(name)
    assert start is None or start.year >= 1990


@pytest.mark.parametrize(
    ("bodies", "source", "start"),
    [
        ({b"guan": b"GUANO|Version: 1.0\nTimestamp: 2020-08-17T14:00:00+02:00\n"}, "guano", NOON),
        ({b"guan": b"Timestamp: 2020-08-17T12:00:00.250000Z"}, "guano", NOON + timedelta(seconds=0.25)),
        ({b"guan": b"Timestamp: 2020-08-17T12:00:00.5Z"}, "guano", NOON + timedelta(seconds=0.5)),
        ({b"guan": b"Timestamp: 2020-08-17 13:00:00"}, "guano", NOON),  # the recorder's own clock
        ({b"bext": bext("2020-08-17", "13:00:00")}, "bext", NOON),
        ({b"bext": bext("2020_08_17", "13-00-00")}, "bext", NOON),
        (
            {
                b"iXML": b"<BWFXML><BEXT><BWF_ORIGINATION_DATE>2020-08-17</BWF_ORIGINATION_DATE>"
                b"<BWF_ORIGINATION_TIME>13:00:00</BWF_ORIGINATION_TIME></BEXT></BWFXML>"
            },
            "ixml",
            NOON,
        ),
        (
            {b"LIST": b"INFOICMT" + struct.pack("<I", 51) + b"Recorded at 14:00:00 17/08/2020 (UTC+2) by AudioMoth"},
            "comment",
            NOON,
        ),
        (
            {b"LIST": b"INFOICMT" + struct.pack("<I", 49) + b"Recorded at 12:00:00 17/08/2020 (UTC) by AudioMoth"},
            "comment",
            NOON,
        ),
        ({b"guan": b"\xff\xfe\x00garbage", b"bext": bext("2020-08-17", "13:00:00")}, "bext", NOON),
    ],
)
def test_metadata_gives_the_start(bodies: dict[bytes, bytes], source: str, start: datetime) -> None:
    # the recorder's clock is an hour ahead of UTC wherever no zone is given
    found = find_start(PurePath("20210101_000000.wav"), Chunks(bodies), utc_offset=timedelta(hours=1))
    assert (found.source, found.start) == (source, start)


@given(st.dictionaries(st.sampled_from([b"guan", b"bext", b"iXML", b"LIST"]), st.binary(max_size=700)))
def test_damaged_metadata_falls_back_to_the_name(bodies: dict[bytes, bytes]) -> None:
    assert find_start(PurePath("SM4_20200817_120000.wav"), Chunks(bodies)).start == NOON


def test_the_configuration_dates_what_nothing_else_does() -> None:
    assert find_start(PurePath("a.wav"), Chunks(), configured=NOON).source == "config"
    assert find_start(PurePath("20210101_000000.wav"), Chunks(), configured=NOON).source == "file_name"


def test_an_undated_file_says_so() -> None:
    found = find_start(PurePath("a.wav"), Chunks())
    assert (found.start, found.source) == (UNKNOWN_START, "unknown")
