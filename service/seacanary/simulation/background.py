"""What is always there: ambient noise, ships, the recorder's own noise and tones; and how loud it is in a band."""

import numpy as np

from seacanary.simulation.ambient import ambient_density, wander_db
from seacanary.simulation.noise import ShapedNoise
from seacanary.simulation.scene import Scene
from seacanary.simulation.ships import Ship, ShipNoise
from seacanary.simulation.sounds import FloatArray

_GRID_POINTS = 400
_SHIP_COUNTS_ABOVE = 0.01  # of the background's density, anywhere: else the ship is left out of the segment


class Background:
    """Renders the stationary part of a scene, one aligned segment after the other.

    Args:
        scene: what is heard.
        sample_rate_hz: rate of the result.
        segment_samples: length of every segment.
    """

    def __init__(self, scene: Scene, *, sample_rate_hz: int, segment_samples: int) -> None:
        self._scene = scene
        self._rate = sample_rate_hz
        self._segment_samples = segment_samples
        self._noise = ShapedNoise((scene.seed, 0), sample_rate_hz=sample_rate_hz, segment_samples=segment_samples)
        self._ships = [
            (ship, ShipNoise(ship, (scene.seed, 1, n), sample_rate_hz=sample_rate_hz, segment_samples=segment_samples))
            for n, ship in enumerate(scene.ships)
        ]
        self._tones = scene.recorder.tones(np.random.default_rng((scene.seed, 3)), sample_rate_hz=sample_rate_hz)
        self._index = 0
        self._spacing_hz = float(self._noise.frequency_hz[1])
        self._prepare_grid()
        self._amplitudes: list[FloatArray] = []

    def _prepare_grid(self) -> None:
        """Spectra are computed on a logarithmic grid and interpolated to the noise's many bins."""
        self._grid = np.geomspace(1.0, self._rate / 2, _GRID_POINTS)
        position = np.interp(
            np.log(np.maximum(self._noise.frequency_hz, 1.0)), np.log(self._grid), np.arange(_GRID_POINTS)
        )
        self._below = np.minimum(position.astype(np.intp), _GRID_POINTS - 2)
        self._part = (position - self._below).astype(np.float32)
        recorder = self._scene.recorder
        gain = recorder.response(self._grid, sample_rate_hz=self._rate) ** 2
        self._sensitivity = gain * 10 ** (-recorder.full_scale_db / 10)
        self._ambient = ambient_density(self._scene.ambient, self._grid) * self._sensitivity
        self._self_noise = recorder.noise_density(self._grid, sample_rate_hz=self._rate)
        self._rounding = recorder.quantisation_density(self._rate)

    def segment(self) -> FloatArray:
        """The next segment before the converter, float32 [segment_samples]."""
        first = self._index * self._segment_samples
        time_s = (first + self._segment_samples / 2) / self._rate
        wander = 10 ** (wander_db(self._scene.ambient, seed=self._scene.seed, time_s=time_s) / 10)
        density = self._ambient * wander + self._self_noise
        ambient = self._on_bins(np.sqrt(density))
        self._amplitudes = [ambient]
        out = self._noise.segment(ambient)
        for ship, noise in self._ships:
            out += noise.segment(self._ship_amplitude(ship, noise, time_s=time_s, floor=density), first=first)
        tones = self._tones.stretch(first, out.size)
        if tones is not None:
            out += tones
        self._index += 1
        return out

    def _ship_amplitude(
        self, ship: Ship, noise: ShipNoise, *, time_s: float, floor: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> FloatArray | None:
        range_m = float(ship.range_m(np.array([time_s]))[0])
        density = ship.density(self._grid, range_m=range_m) * self._sensitivity
        if np.all(density < _SHIP_COUNTS_ABOVE * floor):
            return None
        amplitude = noise.amplitude(self._on_bins(density), range_m=range_m)
        self._amplitudes.append(amplitude)
        return amplitude

    def _on_bins(self, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> FloatArray:
        table = values.astype(np.float32)
        low = table[self._below]
        return low + self._part * (np.diff(table)[self._below])

    def rms(self, band_hz: tuple[float, float]) -> float:
        """Expected RMS of the current segment's noise within a band, full scale 1; tones not counted."""
        low, high = (round(hz / self._spacing_hz) for hz in band_hz)
        high = min(max(high, low + 1), self._noise.frequency_hz.size)
        power = sum(float(np.sum(np.square(a[low:high], dtype=np.float64))) for a in self._amplitudes)
        return float(np.sqrt((power + self._rounding * (high - low)) * self._spacing_hz))
