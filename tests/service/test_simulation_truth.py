"""What the simulator says of its calls is measured in the audio it made."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.fft

from seacanary.simulation import (
    CALL_TYPES,
    NEGATIVES,
    Ambient,
    CallBouts,
    ElectricalLine,
    HardNegative,
    Planned,
    Recorder,
    Rendered,
    Scene,
    Ship,
    SimulatedCall,
    Soundscape,
    absorption_db_per_km,
    beluga_train,
    beluga_whistle,
    porpoise_click,
    porpoise_train,
    pulsed_call,
)

RATE = 384_000
SILENT = CallBouts(bouts_per_min=0)
QUIET = Scene(
    ambient=Ambient(wander_db=0),
    whistle=SILENT,
    beluga_click=SILENT,
    porpoise_click=SILENT,
    recorder=Recorder(bits=32, full_scale_db=185),
)


def only(call_type: str, *, seed: int) -> tuple[Rendered, SimulatedCall]:
    """One call of 20 dB in a quiet sea, and everything else of it that was rendered."""
    planned = Planned(position=RATE // 2, seed=seed, kind=call_type, snr_db=20.0)
    sea = Soundscape(QUIET.model_copy(update={"seed": seed}), sample_rate_hz=RATE, planned=[planned])
    heard = sea.render(5 * RATE)
    return heard, heard.calls[0]


def in_band(samples: np.ndarray, band_hz: tuple[float, float]) -> np.ndarray:
    spectrum = scipy.fft.rfft(samples.astype(np.float64))
    frequency = scipy.fft.rfftfreq(samples.size, 1 / RATE)
    spectrum[(frequency < band_hz[0]) | (frequency >= band_hz[1])] = 0
    return scipy.fft.irfft(spectrum, samples.size)


def measured_snr_db(heard: Rendered, call: SimulatedCall) -> float:
    stem = heard.stems[call.call_type]
    span = slice(call.onset_sample, call.offset_sample)
    around = slice(max(0, call.onset_sample - RATE // 8), call.offset_sample + RATE // 8)
    noise = np.std(in_band((heard.samples - stem)[around], call.band_hz))
    level = np.sqrt(np.mean(stem[span] ** 2)) if call.call_type == "whistle" else np.abs(stem[span]).max()
    return float(20 * np.log10(level / noise))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("call_type", CALL_TYPES)
def test_labels_tell_where_the_energy_is_and_how_strong_it_is(call_type: str, seed: int) -> None:
    heard, call = only(call_type, seed=seed)
    stem = heard.stems[call_type]
    inside = stem[call.onset_sample : call.offset_sample]
    assert np.sum(inside**2) > 0.8 * np.sum(stem**2)
    assert np.sum(in_band(inside, call.band_hz) ** 2) > 0.8 * np.sum(inside**2)
    assert call.snr_db == 20
    assert measured_snr_db(heard, call) == pytest.approx(20, abs=1.5)


@pytest.mark.parametrize("call_type", ["beluga_click", "porpoise_click"])
def test_a_train_starts_and_ends_with_its_clicks(call_type: str) -> None:
    heard, call = only(call_type, seed=2)
    loud = np.flatnonzero(np.abs(heard.stems[call_type]) > 0)
    assert loud[0] == pytest.approx(call.onset_sample, abs=RATE // 1000)
    assert loud[-1] == pytest.approx(call.offset_sample, abs=RATE // 100)


@pytest.mark.parametrize("kind", sorted(NEGATIVES))
@pytest.mark.parametrize("rate", [48_000, 384_000])
def test_every_hard_negative_is_heard_and_named(kind: str, rate: int) -> None:
    loud = HardNegative(kind=kind, per_min=60, snr_db=(30, 30))
    with_it = Soundscape(QUIET.model_copy(update={"negatives": (loud,)}), sample_rate_hz=rate).render(4 * rate)
    without = Soundscape(QUIET, sample_rate_hz=rate).render(4 * rate)
    assert with_it.negatives == (kind,)
    assert with_it.stems == {}
    assert with_it.calls == ()
    assert np.any(with_it.samples != without.samples)


def test_electrical_line_is_a_tone_of_the_stated_level() -> None:
    recorder = Recorder(lines=(ElectricalLine(hz=60_000, dbfs=-40),))
    heard = Soundscape(QUIET.model_copy(update={"recorder": recorder}), sample_rate_hz=RATE).render(RATE)
    tone = in_band(heard.samples, (59_990, 60_010))
    assert 20 * np.log10(np.std(tone)) == pytest.approx(-40, abs=0.2)
    assert heard.negatives == ("electrical_line",)


def test_dropouts_silence_audio_and_stems_alike() -> None:
    lost = HardNegative(kind="dropout", per_min=300)
    calling = CallBouts(bouts_per_min=300)
    scene = QUIET.model_copy(update={"negatives": (lost,), "whistle": calling})
    heard = Soundscape(scene, sample_rate_hz=48_000).render(4 * 48_000)
    hole = heard.samples == 0
    assert hole.sum() > 100
    assert not heard.stems["whistle"][hole].any()


def test_noise_is_stationary_across_segment_borders() -> None:
    heard = Soundscape(QUIET, sample_rate_hz=RATE).render(10 * RATE)
    power = np.array([np.var(in_band(part, (1e3, 150e3))) for part in np.split(heard.samples, 100)])
    assert np.ptp(10 * np.log10(power)) < 0.5


def test_self_noise_has_the_stated_level() -> None:
    calm = Ambient(wind_m_s=0, traffic=0, flow_db=0, wander_db=0)
    scene = QUIET.model_copy(update={"ambient": calm, "recorder": Recorder(bits=32, self_noise_dbfs=-60)})
    heard = Soundscape(scene, sample_rate_hz=RATE).render(RATE)
    assert 20 * np.log10(np.std(in_band(heard.samples, (10e3, 170e3)))) == pytest.approx(-60.8, abs=0.3)


def test_a_ship_is_louder_when_it_is_near() -> None:
    scene = QUIET.model_copy(update={"ships": (Ship(closest_s=2, closest_m=30, speed_m_s=15),)})
    heard = Soundscape(scene, sample_rate_hz=48_000).render(20 * 48_000)
    near, far = heard.samples[2 * 48_000 : 3 * 48_000], heard.samples[-48_000:]
    assert np.std(near) > 3 * np.std(far)


def test_a_machine_makes_the_same_sound_each_time() -> None:
    steady = HardNegative(kind="echosounder", per_min=60, snr_db=(40, 40), sound_seed=3)
    scene = QUIET.model_copy(update={"negatives": (steady,)})
    heard = Soundscape(scene, sample_rate_hz=RATE).render(8 * RATE)
    peaks = [np.abs(scipy.fft.rfft(part))[10_000:].argmax() for part in np.split(heard.samples[RATE:], 7)]
    assert np.ptp(peaks) < 2000


def test_clipping_reaches_the_recorder_s_limit_and_not_more() -> None:
    scene = QUIET.model_copy(
        update={
            "negatives": (HardNegative(kind="clipping", per_min=120),),
            "recorder": Recorder(clip_at=0.7, bits=32),
        }
    )
    heard = Soundscape(scene, sample_rate_hz=48_000).render(3 * 48_000)
    assert np.abs(heard.samples).max() == np.float32(0.7)
    assert np.sum(np.abs(heard.samples) == np.float32(0.7)) > 100


def test_samples_lie_on_the_converter_s_steps() -> None:
    heard = Soundscape(QUIET.model_copy(update={"recorder": Recorder(bits=12)}), sample_rate_hz=48_000).render(9999)
    assert np.array_equal(heard.samples * 2048, np.rint(heard.samples * 2048))


def test_absorption_agrees_with_published_values() -> None:
    """Ainslie and McColm 1998 at 10 degrees, 35 ppt, pH 8: about 1 dB/km at 10 kHz, 36 at 100 kHz."""
    loss = absorption_db_per_km(np.array([10e3, 100e3]), temperature_c=10, salinity=35, depth_m=0)
    assert loss == pytest.approx([1.0, 36], rel=0.15)


def test_porpoise_click_is_narrow_and_high() -> None:
    click = porpoise_click(np.random.default_rng(1), sample_rate_hz=576_000, centre_hz=131e3, duration_s=80e-6)
    power = np.abs(scipy.fft.rfft(click, 8192)) ** 2
    frequency = scipy.fft.rfftfreq(8192, 1 / 576_000)
    half = frequency[power > power.max() / 2]
    assert frequency[power.argmax()] == pytest.approx(131e3, abs=3e3)
    assert 6e3 < np.ptp(half) < 20e3
    assert power[frequency < 100e3].sum() < 0.01 * power.sum()


def test_a_train_can_be_rebuilt_from_measured_click_times() -> None:
    times_s = np.array([3.0, 3.05, 3.12, 3.2])
    gains = np.array([0.1, 1.0, 0.5, 0.2])
    train = porpoise_train(np.random.default_rng(1), sample_rate_hz=RATE, times_s=times_s, gains=gains)
    starts = [piece.start for piece in train.pieces]
    assert starts == [0, 19_200, 46_080, 76_800]
    assert [piece.gain for piece in train.pieces] == gains.tolist()
    assert train.onset == 0
    assert starts[-1] < train.offset <= train.end == train.waveform().size


def test_trains_have_the_intervals_of_their_species() -> None:
    rng = np.random.default_rng(7)
    for train in (porpoise_train, beluga_train):
        medians = []
        for _ in range(60):
            starts = [piece.start for piece in train(rng, sample_rate_hz=RATE).pieces]
            medians.append(np.median([b - a for a, b in pairwise(starts)]) / RATE)
        assert min(medians) < 0.01
        assert 0.15 < max(medians) < 0.6


def test_whistle_follows_the_wished_contour() -> None:
    whistle = beluga_whistle(
        np.random.default_rng(3), sample_rate_hz=96_000, shape="upsweep", duration_s=1.0, band_hz=(4000, 8000)
    ).waveform()
    first, last = whistle[10_000:15_000], whistle[-15_000:-10_000]
    peaks = [scipy.fft.rfftfreq(5000, 1 / 96_000)[np.abs(scipy.fft.rfft(part)).argmax()] for part in (first, last)]
    assert 3800 < peaks[0] < peaks[1] < 8400


def test_pulsed_call_has_sidebands_at_its_pulse_rate() -> None:
    call = pulsed_call(np.random.default_rng(4), sample_rate_hz=96_000, duration_s=1.0, rate_hz=200).waveform()
    beat = np.abs(scipy.fft.rfft(np.abs(call)))
    assert 100 < beat[50:450].argmax() + 50 < 400
