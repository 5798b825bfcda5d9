"""Seeded soundscapes with exact labels and stems: for the demo, the self-test and training alike."""

from seacanary.simulation.ambient import Ambient
from seacanary.simulation.clicks import beluga_click, beluga_train, click_train, porpoise_click, porpoise_train
from seacanary.simulation.negatives import NEGATIVES
from seacanary.simulation.propagation import Path, absorption_db_per_km, random_path
from seacanary.simulation.recorder import ElectricalLine, Recorder
from seacanary.simulation.scene import CallBouts, HardNegative, Scene
from seacanary.simulation.schedule import Planned
from seacanary.simulation.ships import Ship
from seacanary.simulation.sounds import CALL_TYPES, SPECIES, Piece, Rendered, SimulatedCall, Sound
from seacanary.simulation.soundscape import Soundscape
from seacanary.simulation.training_windows import training_window
from seacanary.simulation.variety import Part, WindowMix, random_scene
from seacanary.simulation.whistles import beluga_whistle, mixed_call, pulsed_call, social_call

__all__ = [
    "CALL_TYPES",
    "NEGATIVES",
    "SPECIES",
    "Ambient",
    "CallBouts",
    "ElectricalLine",
    "HardNegative",
    "Part",
    "Path",
    "Piece",
    "Planned",
    "Recorder",
    "Rendered",
    "Scene",
    "Ship",
    "SimulatedCall",
    "Sound",
    "Soundscape",
    "WindowMix",
    "absorption_db_per_km",
    "beluga_click",
    "beluga_train",
    "beluga_whistle",
    "click_train",
    "mixed_call",
    "porpoise_click",
    "porpoise_train",
    "pulsed_call",
    "random_path",
    "random_scene",
    "social_call",
    "training_window",
]
