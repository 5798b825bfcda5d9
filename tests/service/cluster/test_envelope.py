import re
import struct
import zlib
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import EPOCH, tiny_contract
from seacanary.audio import Window
from seacanary.cluster.envelope import (
    DetectionEnvelope,
    EdgeClock,
    EndEnvelope,
    Envelope,
    ImageEnvelope,
    LostEnvelope,
    contract_sha256,
    key_of,
)
from seacanary.cluster.envelope_codec import EnvelopeRefused, decode, encode
from seacanary.detection import DetectorSection
from seacanary.image_detection import Transformer
from seacanary.observations import CallSpan, Detection, Unobserved
from seacanary.simulation import Scene, Soundscape

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
instants = st.integers(0, 4 * 10**15).map(lambda us: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
positions = st.integers(0, 2**33)
shares = st.floats(0, 1)
clocks = st.builds(
    EdgeClock,
    synchronised=st.none() | st.booleans(),
    maximum_error_s=st.none() | shares,
    broker_ahead_s=st.none() | st.floats(-1e6, 1e6),
)
images = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 256, drawn[:2], np.uint8)
)
addressed = {"station": names, "run": instants, "number": st.integers(0, 2**53)}
placed = {
    "hydrophone": names,
    "epoch": instants,
    "first_sample": positions,
    "end_sample": positions.map(lambda samples: samples + 2**33),
    "sample_rate_hz": st.integers(1000, 10**6),
    "start": instants,
}
spans = st.builds(
    CallSpan,
    call_type=names,
    onset_sample=positions,
    offset_sample=positions.map(lambda samples: samples + 2**33),
    band_hz=st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
)
detections = st.builds(
    Detection,
    **placed,
    probability=st.dictionaries(names, shares, max_size=3),
    unobserved=st.frozensets(names, max_size=2),
    spans=st.lists(spans, max_size=3).map(tuple),
    mask=st.none(),
    model_id=names,
    source_file=st.none() | names,
    abstained=st.frozensets(names, max_size=2),
)
envelopes = st.one_of(
    st.builds(
        ImageEnvelope,
        **addressed,
        **placed,
        contract_sha256=names,
        missing_fraction=shares,
        clipped_fraction=shares,
        source_file=st.none() | names,
        image=images,
        clock=clocks,
    ),
    st.builds(DetectionEnvelope, **addressed, contract_sha256=names, detection=detections, clock=clocks),
    st.builds(
        LostEnvelope,
        **addressed,
        lost=st.builds(Unobserved, **placed, reason=st.sampled_from(["lost", "shed", "too_short", "inference_failed"])),
    ),
    st.builds(
        EndEnvelope,
        **addressed,
        hydrophone=names,
        reason=st.sampled_from(["stream_ended", "station_stopped", "lost_coverage"]),
        silent_s=st.none() | st.floats(0, 1e6),
    ),
)


def image_envelope(image: np.ndarray | None = None) -> ImageEnvelope:
    return ImageEnvelope(
        station="pier",
        run=EPOCH,
        number=7,
        hydrophone="h1",
        contract_sha256=contract_sha256(tiny_contract()),
        epoch=EPOCH,
        first_sample=512,
        end_sample=1536,
        sample_rate_hz=8000,
        start=EPOCH + timedelta(seconds=0.064),
        missing_fraction=0.0,
        clipped_fraction=0.25,
        source_file=None,
        image=np.arange(64, dtype=np.uint8).reshape(4, 16) if image is None else image,
    )


def comparable(item: Envelope) -> dict[str, object]:
    plain = asdict(item)
    if isinstance(item, ImageEnvelope):
        plain["image"] = (item.image.shape, item.image.tobytes())
    return {"type": type(item), **plain}


def with_header(header: bytes, pixels: bytes = b"") -> bytes:
    """A record with a good prefix and checksum around any header."""
    record = struct.pack("<3sBI", b"SCE", 1, len(header)) + header + pixels
    return record + struct.pack("<I", zlib.crc32(record))


@settings(deadline=None)
@given(item=envelopes)
def test_what_was_encoded_is_decoded(item: Envelope) -> None:
    assert comparable(decode(encode(item))) == comparable(item)


@settings(deadline=None)
@given(item=envelopes, data=st.data())
def test_a_truncated_envelope_is_refused(item: Envelope, data: st.DataObject) -> None:
    record = encode(item)
    kept = data.draw(st.integers(0, len(record) - 1))
    with pytest.raises(EnvelopeRefused):
        decode(record[:kept])


@settings(deadline=None)
@given(item=envelopes, data=st.data())
def test_a_damaged_byte_is_refused(item: Envelope, data: st.DataObject) -> None:
    record = bytearray(encode(item))
    place = data.draw(st.integers(0, len(record) - 1))
    record[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EnvelopeRefused):
        decode(bytes(record))


@settings(deadline=None)
@given(noise=st.binary(max_size=300))
def test_noise_is_refused_whatever_it_is(noise: bytes) -> None:
    for record in (noise, b"SCE\x01" + noise, with_header(noise), with_header(b'{"kind":"image"}', noise)):
        with pytest.raises(EnvelopeRefused):
            decode(record)


def test_another_version_is_refused_by_name() -> None:
    record = bytearray(encode(image_envelope()))
    record[3] = 2
    with pytest.raises(EnvelopeRefused, match="envelope version 2; this release reads version 1"):
        decode(bytes(record))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(EnvelopeRefused, match=r"end\.hydrophone: Field required"):
        decode(with_header(b'{"kind":"end","station":"s","run":"2026-05-01T12:00:00Z","number":1}'))


NEVER = datetime(9999, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("impossible", "said"),
    [
        ({"sample_rate_hz": 0}, "sample_rate_hz 0 is not above 0"),
        ({"sample_rate_hz": -4}, "sample_rate_hz -4 is not above 0"),
        ({"first_sample": 9, "end_sample": 8}, "samples 9 to 8 are no stretch"),
        ({"first_sample": -1}, "samples -1 to 1536 are no stretch"),
        ({"end_sample": 10**13}, "are more than ten years"),
        ({"first_sample": 10**15, "end_sample": 10**15}, "a century after its epoch"),
        ({"start": NEVER}, "start is in the year 9999"),
        ({"epoch": datetime(1, 1, 1, tzinfo=UTC)}, "epoch is in the year 1"),
    ],
)
def test_a_stretch_that_no_hydrophone_can_have_is_refused(impossible: dict[str, Any], said: str) -> None:
    """Dates would overflow, or hours be counted for ever, at every worker that reads it."""
    stretch = {
        "hydrophone": "h1", "epoch": EPOCH, "first_sample": 512, "end_sample": 1536, "sample_rate_hz": 8000,
        "start": EPOCH, "reason": "lost",
    } | impossible  # fmt: skip
    lost = LostEnvelope(station="pier", run=EPOCH, number=1, lost=Unobserved(**stretch))
    with pytest.raises(EnvelopeRefused, match=f"impossible: .*{said}"):
        decode(encode(lost))


@pytest.mark.parametrize(
    ("impossible", "said"),
    [
        ({"run": NEVER}, "run is in the year 9999"),
        ({"clipped_fraction": 1.5}, "clipped_fraction 1.5"),
        ({"clock": EdgeClock(broker_ahead_s=-1e12)}, "broker_ahead_s is -1000000000000.0"),
    ],
)
def test_an_image_that_says_the_impossible_is_refused(impossible: dict[str, Any], said: str) -> None:
    record = encode(replace(image_envelope(), **impossible))
    with pytest.raises(EnvelopeRefused, match=said):
        decode(record)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (b'"missing_fraction":NaN', "missing_fraction nan"),
        (b'"clipped_fraction":-Infinity', "clipped_fraction -inf"),
        (b'"broker_ahead_s":Infinity', "broker_ahead_s is inf"),
    ],
)
def test_numbers_that_are_none_are_refused(number: bytes, said: str) -> None:
    record = encode(image_envelope())
    header_end = 8 + int.from_bytes(record[4:8], "little")
    name = number.split(b":")[0]
    header = re.sub(name + rb":[^,}]*", number, record[8:header_end])
    with pytest.raises(EnvelopeRefused, match=said):
        decode(with_header(header, record[header_end:-4]))


def test_a_detection_that_says_the_impossible_is_refused() -> None:
    image = image_envelope()
    call = CallSpan("whistle", 10**15, 10**15 + 1, (1.0, 2.0))
    detection = Detection(
        hydrophone="h1", epoch=EPOCH, first_sample=512, end_sample=1536, sample_rate_hz=8000, start=EPOCH,
        probability={"whistle": 2.0}, unobserved=frozenset(), spans=(call,), mask=None, model_id="tiny",
        source_file=None,
    )  # fmt: skip
    item = DetectionEnvelope(
        station="pier", run=EPOCH, number=1, contract_sha256=image.contract_sha256, detection=detection
    )
    said = "whistle 2.0 is not within 0 to 1; a call from sample 1000000000000000 to 1000000000000001"
    with pytest.raises(EnvelopeRefused, match=said):
        decode(encode(item))


def test_unknown_fields_are_ignored_so_that_versions_can_roll() -> None:
    known = (
        b'"kind":"end","station":"s","run":"2026-05-01T12:00:00Z","number":1,"hydrophone":"h","reason":"stream_ended"'
    )
    assert decode(with_header(b"{" + known + b',"new":1}')) == EndEnvelope(
        station="s", run=EPOCH, number=1, hydrophone="h", reason="stream_ended"
    )


def test_an_image_that_inflates_to_more_than_it_says_is_refused() -> None:
    small, large = encode(image_envelope()), encode(image_envelope(np.zeros((256, 256), np.uint8)))
    header = small[8 : 8 + int.from_bytes(small[4:8], "little")]
    pixels = large[8 + int.from_bytes(large[4:8], "little") : -4]
    with pytest.raises(EnvelopeRefused, match="its pixels are not 4 x 16"):
        decode(with_header(header, pixels))


@pytest.mark.parametrize("image", [np.zeros((4, 16), np.float32), np.zeros((1, 4, 16), np.uint8)])
def test_only_byte_images_of_two_dimensions_are_encoded(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"an image must be uint8 \[rows, columns\]"):
        encode(image_envelope(image))


def test_a_decoded_image_is_read_only() -> None:
    decoded = decode(encode(image_envelope()))
    assert isinstance(decoded, ImageEnvelope)
    assert not decoded.image.flags.writeable


def test_the_contract_hash_tells_contracts_apart() -> None:
    contract = tiny_contract()
    assert contract_sha256(contract) == contract_sha256(tiny_contract())
    assert contract_sha256(contract) != contract_sha256(contract.model_copy(update={"model_id": "tiny-2"}))


def test_a_hydrophone_has_its_station_in_its_key() -> None:
    assert key_of("pier", "h1") == b"pier/h1"


@pytest.mark.parametrize(
    ("clock", "unsure"),
    [
        (EdgeClock(), False),
        (EdgeClock(synchronised=True, maximum_error_s=0.1, broker_ahead_s=-3599.9), True),
        (EdgeClock(synchronised=False, maximum_error_s=16.0, broker_ahead_s=0.2), False),
        (EdgeClock(synchronised=False, maximum_error_s=16.0), True),
        (EdgeClock(synchronised=False, maximum_error_s=0.5), False),
        (EdgeClock(synchronised=True, maximum_error_s=16.0), False),
    ],
)
def test_a_clock_is_unsure_if_the_broker_disagrees_or_nobody_keeps_it(clock: EdgeClock, unsure: bool) -> None:
    assert clock.is_unsure(2.0) == unsure


def test_an_image_of_simulated_sound_takes_less_than_four_fifths_of_its_pixels() -> None:
    transformer = Transformer.load(DetectorSection(sessions=1))
    contract = transformer.contract
    scape = Soundscape(Scene(seed=4), sample_rate_hz=contract.sample_rate_hz)
    pcm = np.concatenate([scape.render(contract.window_samples // 4).samples for _ in range(12)]).astype(np.float32)
    windows = [
        Window("h1", pcm[first : first + contract.window_samples], EPOCH, EPOCH, first, first + 1, 384_000)
        for first in range(0, pcm.size - contract.window_samples + 1, contract.hop_samples)
    ]
    images = transformer.images(windows)
    sizes = [len(encode(image_envelope(image))) for image in images]
    transformer.close()
    assert len(sizes) == 5
    assert np.mean(sizes) < 0.8 * images[0].size
