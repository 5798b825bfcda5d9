"""Entry point of `seacanary-models`: says what to install where the workshop's libraries are missing."""

import sys

WORKSHOP_NEEDS = "the model workshop needs its own libraries: pip install 'seacanary[train]' (torch, about 6 GB)"


def main() -> None:
    """Run the command, or exit with 2 and a remedy."""
    try:
        from seacanary_models.cli import main as run
    except ModuleNotFoundError as exc:
        sys.stderr.write(f"error: {exc.name} is not installed; {WORKSHOP_NEEDS}\n")
        sys.exit(2)
    run()
