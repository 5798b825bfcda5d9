"""The `masks` commands: propose masks on recordings, take them to a tool and back, and learn from few."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from seacanary.errors import SeaCanaryError
from seacanary_models.console import console, progress_bar
from seacanary_models.few_shot_command import few_shot
from seacanary_models.mask_canvas import DEFAULT_SCALE
from seacanary_models.mask_exchange import (
    Judgement,
    Layer,
    Picture,
    from_coco,
    from_label_studio,
    label_studio_config,
    proposed_picture,
    read_document,
    to_coco,
    to_label_studio,
)
from seacanary_models.mask_proposals import Region, candidates
from seacanary_models.mask_store import Decision, MaskStore
from seacanary_models.mask_windows import AudioFile, SourceWindow
from seacanary_models.proposal_files import Proposal, read_picture, read_proposals, write_proposal

app = typer.Typer(
    name="masks",
    no_args_is_help=True,
    help="Propose masks, have people correct them in Label Studio or any COCO tool, keep what they accept.",
)
app.command("few-shot")(few_shot)


class Format(StrEnum):
    """What a document is written for."""

    LABEL_STUDIO = "label-studio"
    COCO = "coco"


FormatOption = Annotated[Format, typer.Option("--format", help="The tool's format.")]
StoreOption = Annotated[Path, typer.Option(help="The store of accepted masks, a SQLite file.")]
DEFAULT_STORE = Path("work/masks.sqlite")


@app.command()
def propose(
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Recordings: WAV, FLAC, MP3, AIFF, ...")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for pictures and proposals.")],
    channel: Annotated[int | None, typer.Option(min=0, help="Channel, counted from 0; otherwise their mean.")] = None,
    hop_s: Annotated[float, typer.Option(min=0.1, help="Seconds between windows, which are 1.024 s long.")] = 1.024,
    scale: Annotated[int, typer.Option(min=1, max=8, help="Canvas pixels per image pixel.")] = DEFAULT_SCALE,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Candidates that score lower are left out.")] = 0.15,
    all_windows: Annotated[bool, typer.Option("--all", help="Also windows without a candidate.")] = False,
) -> None:
    """Write a picture, a mask and a JSON document per window, for a person to correct."""
    files = [AudioFile(path, channel) for path in audio]
    starts = [file.window_starts(hop_s=hop_s) for file in files]
    out.mkdir(parents=True, exist_ok=True)
    windows, regions = 0, 0
    with progress_bar() as progress:
        task = progress.add_task("proposing", total=sum(map(len, starts)))
        for file, begin in zip(files, starts, strict=True):
            for window in file.windows(begin):
                found = [region for region in _candidates(window) if region.score >= min_score]
                if found or all_windows:
                    write_proposal(out, window, found, scale=scale)
                    windows, regions = windows + 1, regions + len(found)
                progress.advance(task)
    console.print(f"{regions} candidates in {windows} of {sum(map(len, starts))} windows; see {out}", highlight=False)


@app.command()
def export(
    *,
    format_: FormatOption,
    out: Annotated[Path, typer.Option(help="The document to write.")],
    proposals: Annotated[Path | None, typer.Option(help="Folder of proposals to be judged.")] = None,
    store: Annotated[Path | None, typer.Option(help="Instead: what people decided, from this store.")] = None,
    image_prefix: Annotated[str, typer.Option(help="Label Studio: what goes before the pictures' names.")] = "",
    uncompressed: Annotated[bool, typer.Option("--uncompressed", help="COCO: counts as lists.")] = False,
) -> None:
    """Write proposals, or decisions, as tasks of Label Studio or as a COCO data set.

    For Label Studio the labelling interface is written beside the tasks, as XML.
    """
    if (proposals is None) == (store is None):
        raise SeaCanaryError("give either --proposals or --store")
    pictures = (
        [proposed_picture(one) for one in read_proposals(proposals).values()]
        if proposals is not None
        else _decided(_existing(store))
    )
    if format_ is Format.LABEL_STUDIO:
        _write_text(out.with_suffix(".xml"), label_studio_config())
        document: object = to_label_studio(pictures, image_prefix=image_prefix)
    else:
        document = to_coco(pictures, compressed=not uncompressed)
    _write_text(out, json.dumps(document))
    console.print(f"{len(pictures)} windows, {sum(len(p.layers) for p in pictures)} masks: {out}", highlight=False)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the tool exported, JSON.")],
    *,
    format_: FormatOption,
    annotator: Annotated[str, typer.Option(help="Who corrected the masks.")],
    proposals: Annotated[Path, typer.Option(help="Folder of the proposals that were judged.")],
    store: StoreOption = DEFAULT_STORE,
    accept_empty: Annotated[
        bool, typer.Option("--accept-empty", help="COCO: a picture without a mask was looked at, and nothing is there.")
    ] = False,
) -> None:
    """Record what a person decided. The same import twice records nothing new."""
    document = read_document(file)
    judged = (
        from_label_studio(document)
        if format_ is Format.LABEL_STUDIO
        else from_coco(document, accept_empty=accept_empty)
    )
    known = read_proposals(proposals)
    with MaskStore(store) as opened:
        new = sum(_record(opened, one, known, folder=proposals, annotator=annotator) for one in judged)
    console.print(f"{len(judged)} decisions read, {new} of them new; the store is {store}", highlight=False)


def _candidates(window: SourceWindow) -> list[Region]:
    image = window.image.astype(np.float32) / np.float32(255)
    return candidates(image, highest_hz=window.source.sample_rate_hz / 2)


def _record(store: MaskStore, judged: Judgement, known: dict[str, Proposal], *, folder: Path, annotator: str) -> bool:
    """Record one decision unless it is what the store's newest says already."""
    if judged.proposal_id not in known:
        raise SeaCanaryError(f"{folder} holds no proposal '{judged.proposal_id}'; name the folder that was exported")
    proposal = known[judged.proposal_id]
    store.add_proposal(proposal, read_picture(folder, proposal.id))
    decision = Decision(
        proposal_id=proposal.id,
        proposal_digest=proposal.digest,
        annotator=annotator,
        decided_at=judged.decided_at or datetime.now(UTC),
        status=judged.status,
    )
    if _stands(store, decision, judged):
        return False
    store.decide(decision, judged.masks)
    return True


def _stands(store: MaskStore, decision: Decision, judged: Judgement) -> bool:
    latest = store.latest(decision.proposal_id)
    if latest is None or latest.decision.model_copy(update={"decided_at": decision.decided_at}) != decision:
        return False
    before, now = store.masks(latest), {label: mask for label, mask in judged.masks.items() if mask.any()}
    return before.keys() == now.keys() and all(np.array_equal(before[label], now[label]) for label in now)


def _decided(path: Path) -> list[Picture]:
    with MaskStore(path) as store:
        newest = [*store.newest("accepted"), *store.newest("rejected")]
        pictures = []
        for recorded in newest:
            layers = tuple(Layer(label, mask) for label, mask in store.masks(recorded).items())
            said = recorded.decision
            pictures.append(Picture(store.proposal(said.proposal_id), layers, said.status))
    return pictures


def _existing(store: Path | None) -> Path:
    if store is None or not store.is_file():
        raise SeaCanaryError(f"{store} is no store of masks; masks import makes one")
    return store


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
