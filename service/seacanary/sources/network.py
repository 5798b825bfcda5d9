"""What one tells a network feed: raw PCM over TCP or UDP, RTP, or any URL that FFmpeg opens."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import PcmEncoding, sample_bytes
from seacanary.sources.recordings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ


class _PcmFeed(BaseModel):
    """What every feed of bare samples must be told, for its packets do not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hydrophones: tuple[str, ...] = Field(
        min_length=1, max_length=256, description="one name per channel, in channel order"
    )
    sample_rate_hz: int = Field(ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ, description="frames per second")
    block_s: float = Field(0.05, ge=0.005, le=1, description="length of the blocks that samples are gathered into")

    @property
    def hydrophone_names(self) -> tuple[str, ...]:
        """Names of the hydrophones this source feeds."""
        return self.hydrophones

    @property
    def block_samples(self) -> int:
        """Samples of one block."""
        return max(1, round(self.block_s * self.sample_rate_hz))


class TcpSection(_PcmFeed):
    """Raw interleaved PCM over TCP."""

    kind: Literal["tcp"] = "tcp"
    mode: Literal["connect", "listen"] = Field("connect", description="connect to the sender, or wait for it to call")
    host: str = Field("127.0.0.1", min_length=1, description="sender's address; with listen: our own, to listen on")
    port: int = Field(ge=1, le=65_535, description="TCP port")
    encoding: PcmEncoding = Field("s16le", description="sample format and byte order; s24 is packed in 3 bytes")
    connect_s: float = Field(5.0, gt=0, description="longest wait for a connection to be made, seconds")
    idle_s: float = Field(2.0, gt=0, description="a connection that is silent for this long is given up, seconds")

    @property
    def can_stall(self) -> bool:
        """Waiting for the sender to call is no stall; a silent caller is given up after idle_s."""
        return self.mode == "connect"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, all channels."""
        return sample_bytes(self.encoding) * len(self.hydrophones)


class UdpSection(_PcmFeed):
    """Raw interleaved PCM in UDP datagrams of whole frames; without RTP, what the network loses goes unnoticed."""

    kind: Literal["udp"] = "udp"
    host: str = Field(
        "127.0.0.1", min_length=1, description="our own address, to listen on, or a multicast group to join"
    )
    port: int = Field(ge=1, le=65_535, description="UDP port")
    encoding: PcmEncoding = Field("s16le", description="sample format and byte order; s24 is packed in 3 bytes")
    pause_s: float = Field(
        1.0, gt=0, description="after a pause this long, a new epoch begins: what was lost is not known"
    )

    @property
    def can_stall(self) -> bool:
        """A sender that stops is a stall."""
        return True

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, all channels."""
        return sample_bytes(self.encoding) * len(self.hydrophones)


class RtpSection(_PcmFeed):
    """L16 or L24 audio in RTP over UDP; loss shows as exact gaps."""

    kind: Literal["rtp"] = "rtp"
    host: str = Field(
        "127.0.0.1", min_length=1, description="our own address, to listen on, or a multicast group to join"
    )
    port: int = Field(ge=1, le=65_535, description="UDP port")
    encoding: Literal["L16", "L24"] = Field("L24", description="sample format: 16 or 24 bit, big-endian")
    reorder_packets: int = Field(16, ge=0, le=1000, description="packets held back while an earlier one is missing")
    reorder_s: float = Field(0.1, gt=0, le=5, description="longest wait for a missing packet, seconds")

    @property
    def can_stall(self) -> bool:
        """A sender that stops is a stall."""
        return True

    @property
    def pcm_encoding(self) -> PcmEncoding:
        """The sample format by its PCM name."""
        return "s16be" if self.encoding == "L16" else "s24be"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, all channels."""
        return sample_bytes(self.pcm_encoding) * len(self.hydrophones)


class UrlSection(BaseModel):
    """Any URL FFmpeg opens: RTSP, RTP by SDP file, HLS, SRT, Icecast, HTTP, a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["url"] = "url"
    url: str = Field(min_length=1, description="what FFmpeg shall open")
    hydrophones: tuple[str, ...] = Field(
        min_length=1, max_length=256, description="one name per channel, in channel order"
    )
    open_s: float = Field(8.0, gt=0, description="longest wait for the far side to answer, seconds")
    read_s: float = Field(5.0, gt=0, description="longest wait for more audio, seconds")
    block_s: float = Field(0.1, ge=0.005, le=1, description="length of the blocks that samples are gathered into")
    stream: int = Field(0, ge=0, description="which audio stream, if there are several")
    options: dict[str, str] = Field(
        default_factory=dict, description="FFmpeg options, such as rtsp_transport: tcp or protocol_whitelist"
    )

    @property
    def hydrophone_names(self) -> tuple[str, ...]:
        """Names of the hydrophones this source feeds."""
        return self.hydrophones

    @property
    def can_stall(self) -> bool:
        """A sender that stops is a stall."""
        return True
