"""Simulated recordings in the catalogue: the simulator's exact truth as annotations."""

from pathlib import Path

import soundfile

from seacanary.simulation.sounds import CALL_TYPES, Rendered, SimulatedCall
from seacanary_models.annotations import Annotation
from seacanary_models.catalogue import Catalogue, CatalogueEntry, describe, make_catalogue

ANNOTATOR = "simulator"
SIMULATED_LICENCE = "Apache-2.0"  # this project's own, which made them
SUBTYPE = "PCM_24"  # the same samples always give the same bytes, which libsndfile's float files do not


def store_simulated(
    rendered: Rendered, *, folder: Path, recipe: str, seed: int, sample_rate_hz: int, site: str
) -> Catalogue:
    """Write a simulated stretch as a WAV file; its catalogue has every call, cut to the stretch.

    Args:
        rendered: samples and calls.
        folder: the catalogue's audio folder; the file lies in its subfolder `simulated`.
        recipe: what made it, in a word: with the seed it says how to make it again.
        seed: of the recipe.
        sample_rate_hz: of the samples.
        site: the simulated sea: stretches that share noise, ships or recorder share a site.
    """
    path = folder / "simulated" / f"{recipe}-{seed}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, rendered.samples, sample_rate_hz, subtype=SUBTYPE)
    found = describe(path, folder=folder, licence=SIMULATED_LICENCE, site=site)
    made = {"simulated": True, "recipe": recipe, "seed": seed, "complete": CALL_TYPES, "start": None}
    entry = CatalogueEntry.model_validate({**found.model_dump(), **made})
    calls = [_annotation(call, entry) for call in rendered.calls]
    return make_catalogue([entry], [call for call in calls if call.end_s > call.start_s])


def _annotation(call: SimulatedCall, entry: CatalogueEntry) -> Annotation:
    start_s = max(0.0, call.onset_sample / entry.sample_rate_hz)
    return Annotation(
        file=entry.file,
        start_s=start_s,
        end_s=max(start_s, min(call.offset_sample / entry.sample_rate_hz, entry.duration_s)),
        low_hz=call.band_hz[0],
        high_hz=call.band_hz[1],
        label=call.call_type,
        call_type=call.call_type,
        species=call.species,
        annotator=ANNOTATOR,
        licence=SIMULATED_LICENCE,
        confidence=1.0,
        notes=f"simulated, SNR {call.snr_db:.1f} dB",
    )
