"""Checkpoints of training runs: written whole or not at all, read back as a model or as facts."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import torch

from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier


def write_checkpoint(path: Path, kept: dict[str, Any]) -> None:
    """Replace the file in one step, so that a kill leaves the old one."""
    unfinished = _beside(path)
    torch.save(kept, unfinished)
    unfinished.rename(path)


def write_whole(path: Path, text: str) -> None:
    """Replace a text file in one step: whoever reads it sees the old one or the new one."""
    unfinished = _beside(path)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)


def _beside(path: Path) -> Path:
    """A name of this process's own in the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.{os.getpid()}.part")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a run kept, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
    """
    kept: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return kept


def load_model(checkpoint: Path) -> MaskGuidedClassifier:
    """The averaged model of a checkpoint, in eval mode."""
    kept = read_checkpoint(checkpoint)
    config = ClassifierConfig.model_validate(json.loads(kept["config"])["classifier"])
    model = MaskGuidedClassifier(config)
    prefix = "module."
    weights = {k.removeprefix(prefix): v for k, v in kept["average"].items() if k.startswith(prefix)}
    model.load_state_dict(weights)
    return model.eval()


def run_facts(checkpoint: Path) -> dict[str, str]:
    """How a checkpoint came about: its configuration, steps and minutes, and the run it went on from."""
    kept = read_checkpoint(checkpoint)
    before = {"begun_from": json.dumps(kept["before"])} if kept.get("before") else {}
    return before | {
        "config": kept["config"],
        "steps": str(kept["steps"]),
        "training_minutes": f"{kept['spent_s'] / 60:.1f}",
        "trained": kept.get("trained", "unknown"),
        "trained_by": kept.get("commit", "unknown"),
        "torch": str(torch.__version__),
    }


def git_commit(folder: Path) -> str:
    """Commit the code is at, with a plus sign if files differ from it; 'unknown' outside a repository."""
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--", "models", "service") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", "-C", str(folder), *arguments), check=True, capture_output=True, text=True
    ).stdout.strip()
