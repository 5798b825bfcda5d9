"""The lower envelope of block arrivals, from which the clock learns the true sample rate."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import floor

FIT_POINTS = 10  # fewer cannot tell rate from jitter
FIT_SPAN_S = 600  # long against jitter, short against the warming of a crystal
MAX_DRIFT = 1000e-6  # beyond this the counts are wrong, not the crystal (sound cards: below 200)


@dataclass(frozen=True, slots=True)
class Line:
    """Lower envelope of lateness over nominal stream time, both in seconds.

    Attributes:
        anchor_s: nominal time at which `lateness_s` holds.
        lateness_s: height of the line there.
        slope: seconds of lateness gained per second.
        support_s: nominal time of the last point the line rests on.
        scatter_s: how far above the line the points lie, 95th percentile.
        slope_error: what that scatter leaves open of the slope.
    """

    anchor_s: float
    lateness_s: float
    slope: float
    support_s: float
    scatter_s: float
    slope_error: float

    def at(self, nominal_s: float) -> float:
        """Lateness on the line, seconds."""
        return self.lateness_s + self.slope * (nominal_s - self.anchor_s)


class Envelope:
    """The earliest arrival of each second of the last FIT_SPAN_S, and the line under them."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=FIT_SPAN_S + 1)

    def add(self, nominal_s: float, lateness_s: float) -> None:
        """Enter one arrival; nominal times ascend."""
        if self._points and floor(self._points[-1][0]) == floor(nominal_s):
            if lateness_s > self._points[-1][1]:
                return
            self._points.pop()
        self._points.append((nominal_s, lateness_s))
        while nominal_s - self._points[0][0] > FIT_SPAN_S:
            self._points.popleft()

    def range_s(self) -> float:
        """Latest minus earliest of the points."""
        late = [lateness for _, lateness in self._points]
        return max(late) - min(late)

    def line(self) -> Line | None:
        """The line below all points whose summed distance to them is least.

        It is the edge of their lower convex hull at their mean time. None
        with fewer points than can tell.

        Source: Moon, Skelly, Towsley (1999), Estimation and Removal of Clock
        Skew from Network Delay Measurements, IEEE INFOCOM.
        """
        if len(self._points) < FIT_POINTS:
            return None
        mean_s = sum(at for at, _ in self._points) / len(self._points)
        hull = _lower_hull(self._points)
        left, right = next((a, b) for a, b in pairwise(hull) if b[0] >= mean_s)
        edge = (right[1] - left[1]) / (right[0] - left[0])
        slope = min(max(edge, -MAX_DRIFT), MAX_DRIFT)
        lateness_s = left[1] + edge * (mean_s - left[0])
        above = sorted(late - lateness_s - slope * (at - mean_s) for at, late in self._points)
        scatter_s = max(0.0, above[int(0.95 * (len(above) - 1))])
        return Line(mean_s, lateness_s, slope, right[0], scatter_s, scatter_s / (right[0] - left[0]))


def _lower_hull(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Lower convex hull of points in ascending order (Andrew's monotone chain)."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (ax, ay), (bx, by) = hull[-2:]
            if (bx - ax) * (y - ay) > (by - ay) * (x - ax):
                break
            hull.pop()
        hull.append((x, y))
    return hull
