import errno
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import guano
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from known_audio import EPOCH, presence, sample_values
from seacanary.events import PresenceEvent
from seacanary.evidence.clips import Held, Range, Stream, subtract
from seacanary.evidence.files import ClipFacts, is_whole, read_facts
from seacanary.evidence.names import stem_of
from seacanary.evidence.section import EvidenceSection
from seacanary.evidence.writer import ClipWriter

RATE_HZ = 1000
STREAM = Stream("north", EPOCH, RATE_HZ)
EVENT = presence(STREAM, 5000, 6000)


@dataclass
class Shelf:
    """Known audio of one stream, where it is said to be held."""

    ranges: list[Range]
    dropped_when_read: list[Range] = field(default_factory=list)
    reads: int = 0

    def held(self, hydrophone: str) -> Iterable[Held]:
        assert hydrophone == "north"
        return [Held(STREAM, first, end, EPOCH + timedelta(seconds=first / RATE_HZ)) for first, end in self.ranges]

    def read(self, stream: Stream, first: int, end: int) -> tuple[NDArray[np.float32], list[Range]]:
        self.reads += 1
        self.ranges = subtract(self.ranges, self.dropped_when_read)
        return sample_values(stream, first, end), subtract([(first, end)], self.ranges)


def writer(folder: Path, shelf: Shelf) -> ClipWriter:
    section = EvidenceSection(path=folder, pre_roll_s=2, post_roll_s=1)
    return ClipWriter(folder, shelf, span_of=section.span_of, location=(59.25, -151.5))


def files_of(folder: Path, event: PresenceEvent) -> dict[str, bytes]:
    base = folder / stem_of(event)
    return {path.name.removeprefix(base.name): path.read_bytes() for path in sorted(base.parent.iterdir())}


def facts_at(folder: Path) -> ClipFacts:
    facts = read_facts(folder, stem_of(EVENT))
    assert facts is not None
    return facts


def test_a_clip_holds_its_event_and_says_where(tmp_path: Path) -> None:
    facts = writer(tmp_path, Shelf([(0, 9000)])).write(EVENT)
    assert facts == facts_at(tmp_path)
    assert (facts.outcome, facts.part, facts.whole) == ("complete", (5000, 6000), True)
    assert (facts.clip, facts.missing) == ((3000, 7000), ())
    clip = facts.clip_audio(tmp_path, stem_of(EVENT))
    assert clip is not None
    assert (clip.first_sample, clip.start) == (3000, EPOCH + timedelta(seconds=3))
    samples, rate_hz = soundfile.read(clip.path, dtype="float32")
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(samples, sample_values(STREAM, 3000, 7000))
    assert facts.audio is not None
    assert facts.audio.sha256 == sha256(clip.path.read_bytes()).hexdigest()


def test_its_metadata_are_guano(tmp_path: Path) -> None:
    facts = writer(tmp_path, Shelf([(0, 5100), (5200, 9000)])).write(EVENT)
    clip = facts.clip_audio(tmp_path, stem_of(EVENT))
    assert clip is not None
    with soundfile.SoundFile(clip.path) as file:
        text = guano.GuanoFile.from_string(file.comment)
    assert text["GUANO|Version"] == "1.0"
    assert text["Timestamp"].astimezone(UTC) == datetime(2026, 5, 1, 12, 0, 3, tzinfo=UTC)
    assert (text["Samplerate"], text["Length"]) == (RATE_HZ, 4.0)
    assert text["Loc Position"] == (59.25, -151.5)
    assert text["Species Auto ID"] == "beluga"
    assert text["SeaCanary|Event"] == str(EVENT.id)
    assert text["SeaCanary|First Sample"] == "3000"
    assert text["SeaCanary|Event Samples"] == "5000-6000"
    assert text["SeaCanary|Missing Samples"] == "5100-5200"


def test_what_is_missing_is_zeros_in_place_and_listed(tmp_path: Path) -> None:
    facts = writer(tmp_path, Shelf([(0, 5100), (5200, 9000)])).write(EVENT)
    assert (facts.outcome, facts.missing) == ("partial", ((5100, 5200),))
    samples, _ = soundfile.read(tmp_path / f"{stem_of(EVENT)}.flac", dtype="float32")
    expected = sample_values(STREAM, 3000, 7000)
    expected[2100:2200] = 0
    np.testing.assert_array_equal(samples, expected)


def test_of_a_missed_event_the_facts_remain(tmp_path: Path) -> None:
    facts = writer(tmp_path, Shelf([(0, 5000)])).write(EVENT)
    assert (facts.outcome, facts.audio, facts.clip, facts.missing) == ("missed", None, None, ((5000, 6000),))
    assert list(files_of(tmp_path, EVENT)) == [".json"]
    assert facts.clip_audio(tmp_path, stem_of(EVENT)) is None


def test_samples_dropped_while_the_clip_is_made_are_missing_in_it(tmp_path: Path) -> None:
    shelf = Shelf([(0, 9000)], dropped_when_read=[(0, 5500)])
    facts = writer(tmp_path, shelf).write(EVENT)
    assert (facts.outcome, facts.clip, facts.missing) == ("partial", (5000, 7000), ((5000, 5500),))
    samples, _ = soundfile.read(tmp_path / f"{stem_of(EVENT)}.flac", dtype="float32")
    assert not samples[:500].any()
    np.testing.assert_array_equal(samples[500:], sample_values(STREAM, 5500, 7000))


def test_a_repeat_leaves_what_is_there_even_if_less_audio_is_left(tmp_path: Path) -> None:
    writer(tmp_path, Shelf([(0, 9000)])).write(EVENT)
    before = files_of(tmp_path, EVENT)
    shelf = Shelf([(5500, 9000)])
    assert writer(tmp_path, shelf).write(EVENT).outcome == "complete"
    assert files_of(tmp_path, EVENT) == before
    assert shelf.reads == 0


@pytest.mark.parametrize("harm", ["no facts", "torn facts", "no audio", "torn audio"])
def test_what_a_crash_left_half_done_is_done_anew_with_the_same_bytes(tmp_path: Path, harm: str) -> None:
    facts = writer(tmp_path, Shelf([(0, 9000)])).write(EVENT)
    before = files_of(tmp_path, EVENT)
    path = tmp_path / (stem_of(EVENT) + (".json" if "facts" in harm else ".flac"))
    if harm.startswith("no "):
        path.unlink()
    else:
        os.truncate(path, 100)
    if "audio" in harm:
        assert not is_whole(tmp_path, stem_of(EVENT), facts)
    writer(tmp_path, Shelf([(0, 9000)])).write(EVENT)
    assert files_of(tmp_path, EVENT) == before


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            writer(tmp_path, Shelf([(0, 9000)])).write(EVENT)
        assert files_of(tmp_path, EVENT) == {}
    assert writer(tmp_path, Shelf([(0, 9000)])).write(EVENT).outcome == "complete"


def test_the_facts_are_plain_json_with_the_whole_event(tmp_path: Path) -> None:
    writer(tmp_path, Shelf([(0, 9000)])).write(EVENT)
    facts = json.loads((tmp_path / f"{stem_of(EVENT)}.json").read_text())
    assert PresenceEvent.model_validate(facts["event"]) == EVENT
    assert facts["sources"] == [{"epoch": "2026-05-01T12:00:00Z", "first_sample": 3000, "end_sample": 7000, "at": 3000}]
