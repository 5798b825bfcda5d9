"""Small pictures of a soak as SVG: a quantity of the process over time, life by life, with the storm below."""

from collections.abc import Sequence
from html import escape

from benchmarks.soaking.plan import KINDS
from benchmarks.soaking.records import Life, Struck

WIDTH, HEIGHT, LEFT, TOP, LANE = 900, 190, 80, 24, 12
LANES = tuple(dict.fromkeys(kind.lane for kind in KINDS.values()))
COLOUR, FAULT_COLOUR = "#1f6f8b", "#c8553d"


def over_time(what: str, title: str, lives: Sequence[Life], struck: Sequence[Struck], *, seconds: float) -> str:
    """An SVG of one of Vitals' quantities: a line per life, a mark per fault in the lane that it struck."""
    values = [float(getattr(vitals, what)) for life in lives for vitals in life.vitals] or [0.0]
    low, high = min(values), max(*values, min(values) + 1)

    def x(at_s: float) -> float:
        return round(LEFT + at_s / seconds * (WIDTH - LEFT - 10), 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP), 1)

    lines = [
        f'<polyline fill="none" stroke="{COLOUR}" points="{_points(life, what, x, y)}"/>'
        for life in lives
        if life.vitals
    ]
    marks = [
        f'<rect x="{x(fault.began_s)}" y="{HEIGHT + 14 + LANE * LANES.index(KINDS[fault.kind].lane)}" '
        f'width="{max(1.5, x(fault.ended_s) - x(fault.began_s)):.1f}" height="8" fill="{FAULT_COLOUR}">'
        f"<title>{escape(f'{fault.kind} at {fault.began_s:.0f} s: {fault.detail}')}</title></rect>"
        for fault in struck
        if fault.kind in KINDS
    ]
    names = [_text(4, HEIGHT + 22 + LANE * number, lane) for number, lane in enumerate(LANES)]
    scale = [_text(4, TOP + 8, f"{high:.0f}"), _text(4, HEIGHT, f"{low:.0f}"), _text(LEFT, 14, title)]
    bottom = HEIGHT + 30 + LANE * len(LANES)
    ends = [_text(LEFT, bottom, "0"), _text(WIDTH - 60, bottom, f"{seconds / 60:.0f} min")]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 8}" font-family="sans-serif">'
    ground = f'<rect width="{WIDTH}" height="{bottom + 8}" fill="#fff"/>'
    return "\n".join([head, ground, *scale, *names, *ends, *lines, *marks, "</svg>"]) + "\n"


def _points(life: Life, what: str, x: object, y: object) -> str:
    every = max(1, len(life.vitals) // 600)
    return " ".join(f"{x(v.at_s)},{y(getattr(v, what))}" for v in life.vitals[::every])  # type: ignore[operator]


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="11" fill="#333">{escape(text)}</text>'
