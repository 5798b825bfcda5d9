"""RTP (RFC 3550, L16/L24 of RFC 3551 and 3190): packets in any order in, exact stretches and gaps out."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MISORDER_MAX = 3000  # packets; beyond it the sender has restarted its count (RFC 3550 appendix A.1: 3000 dropout)
_GAP_MAX_S = 60  # a longer jump of the timestamp is a restarted clock, not a loss
_RTCP_TYPES = range(72, 77)  # RTCP on the same port (RFC 5761) looks like these payload types


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet.

    Attributes:
        sequence: 16-bit count of packets.
        timestamp: 32-bit count of sample frames, of the payload's first.
        ssrc: names the sender's stream.
        payload: the samples, padding removed.
    """

    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples in their place.

    Attributes:
        payload: whole frames.
        lost_frames: frames that are missing just before them.
        new_epoch: they cannot be placed relative to what came before.
    """

    payload: bytes
    lost_frames: int = 0
    new_epoch: bool = False


def parse_rtp(raw: bytes) -> RtpPacket | None:
    """Read one datagram; None if it is no RTP audio (too short, RTCP, another version)."""
    if len(raw) < 12 or raw[0] >> 6 != 2 or raw[1] & 0x7F in _RTCP_TYPES:
        return None
    sequence, timestamp, ssrc = struct.unpack_from(">HII", raw, 2)
    start = 12 + 4 * (raw[0] & 0x0F)
    if raw[0] & 0x10:  # header extension: its length in words follows its profile
        if len(raw) < start + 4:
            return None
        start += 4 + 4 * int(struct.unpack_from(">H", raw, start + 2)[0])
    end = len(raw) - (raw[-1] if raw[0] & 0x20 else 0)
    return RtpPacket(sequence, timestamp, ssrc, raw[start:end]) if start <= end else None


class RtpStream:
    """Orders packets by sequence number and places their samples by timestamp.

    Args:
        frame_bytes: bytes of one frame, all channels.
        sample_rate_hz: rate at which the timestamp counts.
        reorder_packets: packets held back while an earlier one is missing.
    """

    def __init__(self, *, frame_bytes: int, sample_rate_hz: int, reorder_packets: int) -> None:
        self._frame_bytes, self._depth = frame_bytes, reorder_packets
        self._longest_gap = _GAP_MAX_S * sample_rate_hz
        self._ssrc: int | None = None
        self._stranger: RtpPacket | None = None
        self._waiting: dict[int, RtpPacket] = {}
        self._next_sequence: int | None = None
        self._next_timestamp: int | None = None

    def push(self, packet: RtpPacket) -> Iterator[Stretch]:
        """Take one packet in; yield the stretches that are now in order."""
        if len(packet.payload) % self._frame_bytes or not packet.payload:
            return  # not what was agreed on; its time shows up as lost
        if self._ssrc is None:
            self._ssrc = packet.ssrc
        if packet.ssrc != self._ssrc:
            yield from self._heard_stranger(packet)
            return
        self._stranger = None
        yield from self._own(packet)

    def flush(self) -> Iterator[Stretch]:
        """Give up waiting for missing packets."""
        while self._waiting:
            yield from self._release(self._earliest())

    def _heard_stranger(self, packet: RtpPacket) -> Iterator[Stretch]:
        """Follow another SSRC from its second packet in a row on (RFC 3550 A.1: MIN_SEQUENTIAL)."""
        held, self._stranger = self._stranger, packet
        if held is None or held.ssrc != packet.ssrc:
            return
        yield from self._restart()
        self._ssrc, self._stranger = packet.ssrc, None
        yield from self._own(held)
        yield from self._own(packet)

    def _restart(self) -> Iterator[Stretch]:
        yield from self.flush()
        self._next_sequence = self._next_timestamp = None

    def _own(self, packet: RtpPacket) -> Iterator[Stretch]:
        if self._next_sequence is None:
            self._next_sequence = packet.sequence
        ahead = _signed(packet.sequence - self._next_sequence, bits=16)
        if abs(ahead) > _MISORDER_MAX:
            yield from self._restart()
            self._next_sequence = packet.sequence
        elif ahead < 0:
            return  # a repeat, or too late: it has been counted as lost
        self._waiting.setdefault(packet.sequence, packet)
        while self._waiting and (self._next_sequence in self._waiting or len(self._waiting) > self._depth):
            yield from self._release(self._earliest())

    def _earliest(self) -> int:
        expected = self._next_sequence or 0
        return min(self._waiting, key=lambda sequence: (sequence - expected) & 0xFFFF)

    def _release(self, sequence: int) -> Iterator[Stretch]:
        packet = self._waiting.pop(sequence)
        self._next_sequence = (sequence + 1) & 0xFFFF
        frames = len(packet.payload) // self._frame_bytes
        jump = 0 if self._next_timestamp is None else _signed(packet.timestamp - self._next_timestamp, bits=32)
        known = self._next_timestamp is not None and 0 <= jump <= self._longest_gap
        self._next_timestamp = (packet.timestamp + frames) & 0xFFFFFFFF
        yield Stretch(packet.payload, lost_frames=jump if known else 0, new_epoch=not known)


def _signed(difference: int, *, bits: int) -> int:
    """A difference of wrapping counters as the nearest signed number."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
