"""Hard negatives that click, ping, knock or bang; and the converter's own faults."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from seacanary.simulation.clicks import click_train, gammatone_envelope
from seacanary.simulation.sounds import FloatArray, Piece, Sound

ECHOSOUNDERS_HZ = (28e3, 38e3, 50e3, 83e3, 120e3, 200e3)


def _time(duration_s: float, sample_rate_hz: int) -> NDArray[np.float64]:
    return np.arange(max(4, round(duration_s * sample_rate_hz))) / sample_rate_hz


def _normalised(samples: NDArray[np.float64]) -> FloatArray:
    return np.divide(samples, max(float(np.abs(samples).max()), 1e-9)).astype(np.float32)


def _dull_noise(rng: np.random.Generator, count: int, *, corner_hz: float, rate: int) -> NDArray[np.float64]:
    """Noise of variance near 1 that falls by 6 dB per octave above corner_hz, as of blows."""
    pole = float(np.exp(-2 * np.pi * corner_hz / rate))
    turn = np.exp(-2j * np.pi * scipy.fft.rfftfreq(count))
    response = np.sqrt(1 - pole**2) / (1 - pole * turn)
    return scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(count)) * response, count)


def _ringing(
    rng: np.random.Generator, *, modes_hz: NDArray[np.float64], decay_s: float, hiss: float, sample_rate_hz: int
) -> FloatArray:
    """A struck body: damped modes after a burst of noise, peak 1."""
    time_s = _time(min(6 * decay_s, 1.0), sample_rate_hz)
    out = (
        hiss
        * _dull_noise(rng, time_s.size, corner_hz=rng.uniform(1e3, 8e3), rate=sample_rate_hz)
        * np.exp(-time_s / (decay_s * 0.1))
    )
    for mode in modes_hz[modes_hz < 0.45 * sample_rate_hz]:
        decay = decay_s * rng.uniform(0.3, 1)
        out += rng.uniform(0.2, 1) * np.exp(-time_s / decay) * np.sin(2 * np.pi * mode * time_s + rng.uniform(0, 6.3))
    return _normalised(out)


def _scattered(
    rng: np.random.Generator,
    templates: tuple[FloatArray, ...],
    *,
    count: int,
    span_s: float,
    spread_db: float,
    rate: int,
) -> Sound:
    """Clicks at random moments (no train structure) with random levels."""
    times = np.sort(rng.uniform(0, span_s, count))
    gains = 10 ** (-np.abs(rng.normal(0, spread_db, count)) / 20) * rng.choice([-1, 1], count)
    return click_train(rng, templates, times_s=times, gains=gains, sample_rate_hz=rate)


def echosounder(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Pulses of 0.2-2 ms, 1-20 a second, very regular, with weak bottom echoes; off and on axis.

    Carriers as sold: 28, 38, 50, 83, 120, 200 kHz. Longer, steadier and of more even
    level than clicks of porpoises.
    """
    carried = [hz for hz in ECHOSOUNDERS_HZ if hz < 0.45 * sample_rate_hz] or [0.3 * sample_rate_hz]
    carrier = float(rng.choice(carried)) * rng.uniform(0.99, 1.01)
    time_s = _time(float(np.exp(rng.uniform(np.log(2e-4), np.log(2e-3)))), sample_rate_hz)
    edge = np.minimum(1, np.minimum(time_s, time_s[-1] - time_s) / rng.uniform(2e-5, 8e-5))
    pulse = (np.sin(2 * np.pi * carrier * time_s) * edge).astype(np.float32)
    period_s = 1 / float(np.exp(rng.uniform(0, np.log(20))))
    starts = np.arange(0, rng.uniform(1, 6), period_s)
    echo_s, echo_gain = rng.uniform(0.003, 0.045), rng.uniform(0, 0.4)
    pieces = [Piece(round(s * sample_rate_hz), 0, float(rng.uniform(0.9, 1))) for s in starts]
    pieces += [Piece(round((s + echo_s) * sample_rate_hz), 0, float(echo_gain)) for s in starts]
    ordered = tuple(sorted(pieces, key=lambda piece: piece.start))
    return Sound(sample_rate_hz, (pulse,), ordered, 0, ordered[-1].start + pulse.size, "peak")


def chain(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Rattling chain: 5-60 knocks within 0.2-3 s, metal modes at 1-20 kHz that ring for milliseconds."""
    templates = tuple(
        _ringing(
            rng,
            modes_hz=np.exp(rng.uniform(np.log(900), np.log(20e3), 6)),
            decay_s=float(rng.uniform(0.003, 0.03)),
            hiss=float(rng.uniform(0, 0.5)),
            sample_rate_hz=sample_rate_hz,
        )
        for _ in range(3)
    )
    count = int(rng.integers(5, 60))
    return _scattered(rng, templates, count=count, span_s=rng.uniform(0.2, 3), spread_db=8, rate=sample_rate_hz)


def mooring_knock(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """One to five dull knocks: modes at 60-2000 Hz, ringing for 20-150 ms."""
    template = _ringing(
        rng,
        modes_hz=np.exp(rng.uniform(np.log(60), np.log(2500), 5)),
        decay_s=float(rng.uniform(0.02, 0.15)),
        hiss=float(rng.uniform(0, 0.4)),
        sample_rate_hz=sample_rate_hz,
    )
    count = int(rng.integers(1, 6))
    return _scattered(rng, (template,), count=count, span_s=rng.uniform(0.1, 4), spread_db=5, rate=sample_rate_hz)


def _snaps(rng: np.random.Generator, *, decay_s: tuple[float, float], sample_rate_hz: int) -> tuple[FloatArray, ...]:
    def snap() -> FloatArray:
        tau = rng.uniform(*decay_s)
        time_s = _time(8 * tau, sample_rate_hz)
        burst = rng.standard_normal(time_s.size) * np.exp(-time_s / tau)
        return _normalised(burst)

    return tuple(snap() for _ in range(8))


def snapping(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Crackle like snapping shrimp (Au and Banks 1998): 20-300 broadband impulses a second, no order."""
    span_s = rng.uniform(0.5, 3)
    count = max(2, int(span_s * np.exp(rng.uniform(np.log(20), np.log(300)))))
    templates = _snaps(rng, decay_s=(1e-5, 1.5e-4), sample_rate_hz=sample_rate_hz)
    return _scattered(rng, templates, count=count, span_s=span_s, spread_db=10, rate=sample_rate_hz)


def sediment(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Gravel moved by the tide (Thorne 1986; Bassett et al. 2013): 300-1500 short collisions a second, 2-200 kHz."""
    span_s = rng.uniform(0.3, 1.5)
    count = int(span_s * rng.uniform(300, 1500))
    templates = _snaps(rng, decay_s=(3e-6, 4e-5), sample_rate_hz=sample_rate_hz)
    return _scattered(rng, templates, count=count, span_s=span_s, spread_db=8, rate=sample_rate_hz)


def spikes(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """One to six stray clicks or electrical spikes: too few for a train."""
    spike = np.array([1.0], np.float32)
    step = np.array([1.0, -0.8, 0.3], np.float32)
    snap = _snaps(rng, decay_s=(1e-5, 8e-5), sample_rate_hz=sample_rate_hz)[0]
    count = int(rng.integers(1, 7))
    return _scattered(rng, (spike, step, snap), count=count, span_s=2.0, spread_db=6, rate=sample_rate_hz)


def dropout(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """One to four stretches of 0.1-40 ms that the converter or a driver lost."""
    hole = np.ones(max(1, round(np.exp(rng.uniform(np.log(1e-4), np.log(0.04))) * sample_rate_hz)), np.float32)
    times = np.sort(rng.uniform(0, 1.0, int(rng.integers(1, 5))))
    return click_train(rng, (hole,), times_s=times, gains=np.ones(times.size), sample_rate_hz=sample_rate_hz)


def overload(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A thump of 20-300 ms that drives the converter 1.2-5 times over full scale."""
    time_s = _time(float(rng.uniform(0.02, 0.3)), sample_rate_hz)
    bump = np.sin(np.pi * time_s / time_s[-1]) ** 2
    wave = rng.uniform(1.2, 5) * bump * np.sin(2 * np.pi * rng.uniform(8, 400) * time_s)
    return Sound.whole(wave.astype(np.float32), sample_rate_hz=sample_rate_hz)


def _clicker(
    rng: np.random.Generator, *, centre_hz: float, duration_s: float, ici_s: float, span_s: float, rate: int
) -> Sound:
    carrier = min(centre_hz, 0.4 * rate)
    time_s = _time(3 * duration_s, rate)
    click = gammatone_envelope(time_s, duration_s) * np.cos(2 * np.pi * carrier * time_s)
    count = max(3, int(span_s / ici_s))
    times = np.cumsum(ici_s * (1 + rng.normal(0, 0.04, count)))
    gains = 10 ** (np.cumsum(rng.normal(0, 1, count)).clip(-15, 0) / 20)
    return click_train(rng, (click.astype(np.float32),), times_s=times, gains=gains, sample_rate_hz=rate)


def sperm_clicks(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Usual clicks of a sperm whale (Goold and Jones 1995): 2-20 kHz, several pulses, every 0.5-1 s."""
    sound = _clicker(
        rng,
        centre_hz=float(rng.uniform(3e3, 15e3)),
        duration_s=float(rng.uniform(2e-4, 1e-3)),
        ici_s=float(rng.uniform(0.4, 1.0)),
        span_s=6.0,
        rate=sample_rate_hz,
    )
    spacing = round(rng.uniform(2e-3, 8e-3) * sample_rate_hz)
    echoes = [Piece(p.start + n * spacing, p.template, p.gain * 0.5**n) for p in sound.pieces for n in range(3)]
    ordered = tuple(sorted(echoes, key=lambda piece: piece.start))
    return Sound(sample_rate_hz, sound.templates, ordered, 0, sound.offset, "peak")


def delphinid_clicks(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Dolphin clicks (Soldevilla et al. 2008): 25-50 kHz, 30-80 µs, every 30-150 ms; not to be taught as no beluga."""
    return _clicker(
        rng,
        centre_hz=float(rng.uniform(25e3, 50e3)),
        duration_s=float(rng.uniform(3e-5, 8e-5)),
        ici_s=float(rng.uniform(0.03, 0.15)),
        span_s=float(rng.uniform(0.5, 3)),
        rate=sample_rate_hz,
    )


def bat(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """A bat over a recorder in air (Russ 2012): sweeps 60 to 25 kHz in 3-10 ms, or 20 kHz almost level, harmonics.

    Calls come every 60-250 ms; harmonics reach 125 kHz and more.
    """
    level = rng.random() < 0.4
    time_s = _time(float(rng.uniform(6e-3, 20e-3) if level else rng.uniform(3e-3, 10e-3)), sample_rate_hz)
    u = time_s / time_s[-1]
    low_hz = rng.uniform(17e3, 28e3) if level else rng.uniform(20e3, 40e3)
    contour = low_hz * (1 + (rng.uniform(0.02, 0.4) if level else rng.uniform(0.8, 2)) * (1 - u) ** 2)
    phase = 2 * np.pi * np.cumsum(contour) / sample_rate_hz
    call = np.zeros(u.size)
    for number in range(1, int(rng.integers(2, 7))):
        gain = 10 ** (-rng.uniform(8, 20) * (number - 1) / 20)
        call += np.where(number * contour < 0.45 * sample_rate_hz, gain * np.sin(number * phase), 0)
    call *= np.sin(np.pi * u) ** 0.5
    times = np.cumsum(rng.uniform(0.06, 0.25, int(rng.integers(4, 25))))
    gains = 10 ** (-np.abs(rng.normal(0, 4, times.size)) / 20)
    return click_train(rng, (_normalised(call),), times_s=times, gains=gains, sample_rate_hz=sample_rate_hz)


def _bang(rng: np.random.Generator, *, low_hz: float, high_hz: float, decay_s: float, rate: int) -> FloatArray:
    time_s = _time(8 * decay_s, rate)
    modes = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz), 8))
    hiss = _dull_noise(rng, time_s.size, corner_hz=high_hz * rng.uniform(0.3, 1), rate=rate)
    out = 0.3 * hiss * np.exp(-time_s / (0.15 * decay_s))
    for mode in modes[modes < 0.45 * rate]:
        out += np.exp(-time_s / decay_s) * np.sin(2 * np.pi * mode * time_s + rng.uniform(0, 6.3)) / np.sqrt(mode)
    return _normalised(out)


def airgun(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """One airgun shot (Greene and Richardson 1988): 10-500 Hz, 30-300 ms with its echoes."""
    return Sound.whole(
        _bang(rng, low_hz=12, high_hz=500, decay_s=float(rng.uniform(0.02, 0.15)), rate=sample_rate_hz),
        sample_rate_hz=sample_rate_hz,
    )


def pile_strike(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Strikes on a pile every 0.8-2 s (Bailey et al. 2010): 50-3000 Hz, 30-100 ms."""
    strike = _bang(rng, low_hz=60, high_hz=3000, decay_s=float(rng.uniform(0.01, 0.05)), rate=sample_rate_hz)
    times = np.cumsum(np.full(int(rng.integers(1, 6)), rng.uniform(0.8, 2)))
    gains = rng.uniform(0.7, 1, times.size)
    return click_train(rng, (strike,), times_s=times, gains=gains, sample_rate_hz=sample_rate_hz)


def ice_crack(rng: np.random.Generator, *, sample_rate_hz: int) -> Sound:
    """Cracking ice (Xie and Farmer 1991): one to eight broadband cracks, falling modes at 0.3-8 kHz."""
    crack = _bang(rng, low_hz=300, high_hz=8000, decay_s=float(rng.uniform(0.001, 0.02)), rate=sample_rate_hz)
    count = int(rng.integers(1, 9))
    return _scattered(rng, (crack,), count=count, span_s=0.6, spread_db=8, rate=sample_rate_hz)
