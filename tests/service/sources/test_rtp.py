"""RTP: whatever the network does to the packets, what is heard is in its place and the rest is a gap."""

import struct
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seacanary.sources.rtp import RtpPacket, RtpStream, Stretch, parse_rtp

RATE = 48_000
FRAMES = 10


def datagram(
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    ssrc: int = 1,
    first: int = 0x80,
    kind: int = 96,
    extra: bytes = b"",
) -> bytes:
    return struct.pack(">BBHII", first, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + extra + payload


def packets(count: int, *, sequence: int = 0, timestamp: int = 0, ssrc: int = 1) -> list[RtpPacket]:
    """Mono L16 packets whose samples count up from 0."""
    made = []
    for i in range(count):
        payload = np.arange(i * FRAMES, (i + 1) * FRAMES, dtype=">i2").tobytes()
        made.append(RtpPacket((sequence + i) & 0xFFFF, (timestamp + i * FRAMES) & 0xFFFFFFFF, ssrc, payload))
    return made


def stream(reorder_packets: int = 8) -> RtpStream:
    return RtpStream(frame_bytes=2, sample_rate_hz=RATE, reorder_packets=reorder_packets)


def heard(arrived: Iterable[RtpPacket], receiver: RtpStream) -> list[Stretch]:
    stretches = [stretch for packet in arrived for stretch in receiver.push(packet)]
    return stretches + list(receiver.flush())


def placed(stretches: list[Stretch]) -> dict[int, int]:
    """Position since the epoch -> sample value; one epoch."""
    at, position = {}, 0
    for stretch in stretches:
        position += stretch.lost_frames
        for value in np.frombuffer(stretch.payload, ">i2"):
            at[position] = int(value)
            position += 1
    return at


@given(data=st.data(), sequence=st.integers(0, 0xFFFF), timestamp=st.integers(0, 0xFFFFFFFF))
def test_loss_repeats_and_reordering_leave_every_sample_in_its_place(
    data: st.DataObject, sequence: int, timestamp: int
) -> None:
    sent = packets(40, sequence=sequence, timestamp=timestamp)
    kept = [0, *data.draw(st.lists(st.integers(1, 39), unique=True).map(sorted))]
    doubled = [i for i in kept for _ in range(data.draw(st.integers(1, 2)))]
    # no packet is overtaken by more than the buffer holds back
    delays = [i + (data.draw(st.integers(0, 4)) if i else 0) for i in doubled]
    arrived = [sent[i] for _, i in sorted(zip(delays, doubled, strict=True), key=lambda pair: pair[0])]
    stretches = heard(arrived, stream())
    assert stretches[0].new_epoch
    assert not any(stretch.new_epoch for stretch in stretches[1:])
    samples = placed(stretches)
    assert sorted(samples) == [position for i in kept for position in range(i * FRAMES, (i + 1) * FRAMES)]
    assert all(position == value for position, value in samples.items())


def test_a_missing_packet_is_waited_for_only_so_long() -> None:
    sent, receiver = packets(6), stream(reorder_packets=2)
    out = [len(list(receiver.push(packet))) for packet in (sent[0], sent[2], sent[3], sent[4], sent[1], sent[5])]
    assert out == [1, 0, 0, 3, 0, 1]  # packet 1 is given up when the third one waits, and comes too late


def test_another_sender_is_followed_from_its_second_packet_on() -> None:
    first, second = packets(3, ssrc=1), packets(3, ssrc=2, timestamp=12345)
    stretches = heard([*first, *second], stream())
    assert [stretch.new_epoch for stretch in stretches] == [True, False, False, True, False, False]
    assert b"".join(stretch.payload for stretch in stretches[3:]) == b"".join(p.payload for p in second)


def test_a_stray_sender_between_ours_changes_nothing() -> None:
    ours, stray = packets(4, ssrc=1), packets(4, ssrc=2)
    mixed = [packet for pair in zip(ours, stray, strict=True) for packet in pair]
    stretches = heard(mixed, stream())
    assert [stretch.payload for stretch in stretches] == [packet.payload for packet in ours]


@pytest.mark.parametrize(
    ("sequence", "timestamp"),
    [(20_000, 30), (3, 2**31), (3, -50), (3, 61 * RATE)],
    ids=["sequence restarted", "timestamp far off", "timestamp back", "longer than a minute"],
)
def test_a_restarted_count_begins_a_new_epoch(sequence: int, timestamp: int) -> None:
    restarted = packets(2, sequence=sequence, timestamp=timestamp)
    stretches = heard([*packets(3), *restarted], stream())
    assert [stretch.new_epoch for stretch in stretches] == [True, False, False, True, False]


def test_a_pause_in_the_timestamps_alone_is_a_gap() -> None:
    stretches = heard([*packets(3), *packets(1, sequence=3, timestamp=130)], stream())
    assert stretches[-1].lost_frames == 100


def test_a_payload_that_is_no_whole_frames_counts_as_lost() -> None:
    sent = packets(3)
    sent[1] = RtpPacket(1, FRAMES, 1, b"odd")
    assert [stretch.lost_frames for stretch in heard(sent, stream())] == [0, FRAMES]


def test_the_header_is_read_with_all_its_options() -> None:
    extension = struct.pack(">HH", 0xBEDE, 2) + bytes(8)
    raw = datagram(7, 9, b"audio" + b"\0\0\3", first=0x80 | 0x20 | 0x10 | 2, extra=bytes(8) + extension)
    assert parse_rtp(raw) == RtpPacket(7, 9, 1, b"audio")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(11),
        datagram(1, 1, b"", first=0x40),
        datagram(1, 1, b"", kind=72),
        datagram(1, 1, b"", first=0x90),
        datagram(1, 1, b"", first=0x90, extra=struct.pack(">HH", 0, 99)),
        datagram(1, 1, b"\xff", first=0xA0),
        datagram(1, 1, b"", first=0x8F),
    ],
)
def test_what_is_no_rtp_audio_is_none(raw: bytes) -> None:
    assert parse_rtp(raw) is None


@given(st.binary(max_size=80))
def test_no_datagram_raises(raw: bytes) -> None:
    packet = parse_rtp(raw)
    assert packet is None or len(packet.payload) <= len(raw) - 12
