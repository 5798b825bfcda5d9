"""Ultrasonic calls made audible: played ten times slower, a 100 kHz click is heard at 10 kHz."""

import io
from dataclasses import dataclass
from datetime import datetime

import guano
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from seacanary import __version__
from seacanary.contract import ModelContract
from seacanary.presence_event import PresenceEvent
from seacanary.resampling import QUALITY

SLOWED = 10
# Every player takes it; slowed, it carries 240 kHz.
OUTPUT_HZ = 48_000
# A call type that begins above what people hear.
AUDIBLE_LIMIT_HZ = 20_000
# Flow and ships are loudest at the bottom and would set the level; slowed, this is 100 Hz.
HIGH_PASS_HZ, HIGH_PASS_ORDER = 1_000, 4
PEAK_DBFS, MOST_GAIN_DB = -1.0, 80.0


@dataclass(frozen=True, slots=True, eq=False)
class Slowed:
    """Audio to be listened to.

    Attributes:
        samples: float32 [n] at OUTPUT_HZ, peak at PEAK_DBFS unless that takes more than MOST_GAIN_DB.
        gain_db: by which it was made louder.
    """

    samples: NDArray[np.float32]
    gain_db: float


def is_ultrasonic(event: PresenceEvent, contract: ModelContract) -> bool:
    """Whether the event has a call type that nobody hears as it is."""
    return any(c.name in event.call_types and c.band_hz[0] >= AUDIBLE_LIMIT_HZ for c in contract.call_types)


def slow_down(samples: NDArray[np.float32], sample_rate_hz: int) -> Slowed:
    """Slow a clip ten times and level it.

    Args:
        samples: float32 [n], full scale ±1, n >= 1.
        sample_rate_hz: the clip's own.
    """
    from scipy import signal  # takes a second, which no other command has to wait for

    sections = signal.butter(HIGH_PASS_ORDER, HIGH_PASS_HZ, "highpass", fs=sample_rate_hz, output="sos")
    heard = signal.sosfilt(sections, samples.astype(np.float64))
    slowed: NDArray[np.float64] = soxr.resample(heard, sample_rate_hz / SLOWED, OUTPUT_HZ, QUALITY)
    peak = float(np.abs(slowed).max(initial=0.0))
    gain_db = min(MOST_GAIN_DB, PEAK_DBFS - 20 * np.log10(peak)) if peak else 0.0
    return Slowed((slowed * 10 ** (gain_db / 20)).astype(np.float32), gain_db)


def audible(samples: NDArray[np.float32], sample_rate_hz: int, *, start: datetime, event: PresenceEvent) -> bytes:
    """A clip as a FLAC file to listen to: 16 bits, slowed ten times, its gain in the metadata.

    Args:
        samples: float32 [n], full scale ±1, n >= 1; zeros where they are missing.
        sample_rate_hz: the clip's own.
        start: UTC of the first sample.
        event: what it is the clip of.
    """
    slowed, file = slow_down(samples, sample_rate_hz), io.BytesIO()
    with soundfile.SoundFile(file, "w", OUTPUT_HZ, channels=1, subtype="PCM_16", format="FLAC") as flac:
        flac.comment = _guano(sample_rate_hz, start=start, gain_db=slowed.gain_db, event=event)
        flac.write(slowed.samples)
    return file.getvalue()


def _guano(sample_rate_hz: int, *, start: datetime, gain_db: float, event: PresenceEvent) -> str:
    """Source: Riggsby and Reed, GUANO metadata specification 1.0; TE is its time expansion factor."""
    text = guano.GuanoFile()
    text["GUANO|Version"] = "1.0"
    text["Timestamp"] = start
    text["TE"] = SLOWED
    text["Samplerate"] = OUTPUT_HZ
    text["Species Auto ID"] = event.species
    text["SeaCanary|Version"] = __version__
    text["SeaCanary|Event"] = event.id
    text["SeaCanary|Hydrophone"] = event.hydrophone
    text["SeaCanary|Recorded Samplerate"] = sample_rate_hz
    text["SeaCanary|High Pass"] = f"{HIGH_PASS_HZ} Hz as recorded, Butterworth of order {HIGH_PASS_ORDER}"
    text["SeaCanary|Gain"] = f"{gain_db:.1f} dB"
    return str(text.to_string())
