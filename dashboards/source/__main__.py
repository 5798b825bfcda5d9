"""Write every dashboard; the same source always gives the same bytes."""

import sys
from pathlib import Path

from dashboards.source.rendering import DASHBOARDS, rendered

FOLDER = Path(__file__).parents[1]


def main() -> int:
    """Write the files that differ, and name them."""
    for name in DASHBOARDS:
        path, text = FOLDER / f"{name}.json", rendered(name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
