"""The benchmark's tables as Markdown, from the finished cells: mean and spread over seeds."""

from collections.abc import Callable
from statistics import mean, stdev

from seacanary_models.reproduce_cells import PART_OF, Cell, ReproducePreset, Shift, networks
from seacanary_models.scenes import CALL_TYPES

SHIFT_TITLES: dict[Shift, str] = {
    "in_distribution": "test part",
    "alternative_transform": "alternative transform",
    "unseen_noise": "unseen noise",
    "unseen_recorder": "unseen recorder",
    "real": "over real recordings",
}
MASK_TITLES = {"none": "none", "hand_made": "exact", "generated": "generated", "soft": "generated, soft"}


def tables(cells: list[Cell], preset: ReproducePreset) -> str:
    """The page docs/benchmark.md, whole; cells that are missing are said to be."""
    wanted = len(networks(preset)) * len(preset.seeds)
    return "\n".join(
        [
            _introduction(cells, preset, wanted=wanted),
            "## Joint accuracy\n",
            "All three call types right at once, per cent; mean ± standard deviation over seeds.\n",
            _table(cells, lambda cell, shift: cell.shifts[shift].joint.joint_accuracy),
            "## Macro-F1 over call types\n",
            _table(cells, lambda cell, shift: cell.shifts[shift].joint.macro_f1_call_types),
            "## Average precision on the test part\n",
            _precision_table(cells),
            "## What was spent\n",
            _cost_table(cells),
        ]
    )


def _introduction(cells: list[Cell], preset: ReproducePreset, *, wanted: int) -> str:
    hours = sum(cell.training_s for cell in cells) / 3600
    machines = ", ".join(sorted({cell.machine for cell in cells}))
    counts = {cell.windows for cell in cells}
    sizes = ", ".join(f"{SHIFT_TITLES[s]} {cells[0].shifts[s].windows}" for s in PART_OF) if cells else ""
    return f"""# The benchmark: networks, masks, fusions, shifts

Made by `seacanary-models reproduce --preset {preset.name}`; do not edit. {len(cells)} of {wanted} cells are done
(seeds {", ".join(map(str, preset.seeds))}), {hours:.1f} hours of training in all on {machines or "no machine yet"}.

**All windows are simulated**, the last column's laid over real recordings; what they hold is stated in
`benchmarks/mgc/benchmark.json`. Each network learned from {", ".join(map(str, counts)) or "no"} windows.
Windows judged: {sizes}.
Names that begin with `small_` are compact networks of like size, each of one published family, not the published
networks. Masks: *exact* are the simulation's own (what a careful hand would draw at best), *generated* those of one
segmenter that learned from 200 exact masks and was then frozen, *soft* the same let fade by a Gaussian.
"""


def _table(cells: list[Cell], figure: Callable[[Cell, Shift], float]) -> str:
    head = "| network | masks | fusion | seeds | " + " | ".join(SHIFT_TITLES.values()) + " |"
    lines = [head, "|---" * (4 + len(SHIFT_TITLES)) + "|"]
    for rows in _by_network(cells).values():
        first = rows[0]
        figures = [_mean_and_spread([100 * figure(cell, shift) for cell in rows]) for shift in SHIFT_TITLES]
        label = first.encoder if first.fusion is None else f"MGC ({first.encoder})"
        fusion = (first.fusion or "image only").replace("_", "-")
        lines.append(" | ".join([f"| {label}", MASK_TITLES[first.masks], fusion, str(len(rows)), *figures]) + " |")
    return "\n".join(lines) + "\n"


def _precision_table(cells: list[Cell]) -> str:
    lines = ["| network | " + " | ".join(CALL_TYPES) + " |", "|---" * (1 + len(CALL_TYPES)) + "|"]
    for name, rows in _by_network(cells).items():
        columns = [
            _mean_and_spread([100 * cell.shifts["in_distribution"].average_precision[n] for cell in rows])
            for n in CALL_TYPES
        ]
        lines.append(f"| {name} | " + " | ".join(columns) + " |")
    return "\n".join(lines) + "\n"


def _cost_table(cells: list[Cell]) -> str:
    lines = ["| network | parameters | training, s |", "|---|---|---|"]
    for name, rows in _by_network(cells).items():
        seconds = _mean_and_spread([cell.training_s for cell in rows])
        lines.append(f"| {name} | {rows[0].parameters:,} | {seconds} |")
    return "\n".join(lines) + "\n"


def _by_network(cells: list[Cell]) -> dict[str, list[Cell]]:
    named: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.masks != "none", cell.masks, str(cell.fusion), cell.seed)):
        named.setdefault(cell.network, []).append(cell)
    return named


def _mean_and_spread(values: list[float]) -> str:
    return f"{mean(values):.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"
