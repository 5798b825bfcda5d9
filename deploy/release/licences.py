"""Licences of everything that a station installs: a page, and what is on no list of those we can ship with.

    python deploy/release/licences.py ENVIRONMENT > docs/licences.md

Exit code 1: some licence is not allowed; it is named on stderr.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Permissive ones, and those of libraries that are used unchanged and as a whole: LGPL, MPL.
ALLOWED = re.compile(
    r"""(apache([ -]software)?([ -]license)?[ ,v-]*(version[ ])?2(\.0)?([ ]license)?|apache([ ]software)?[ ]license
    |apache-2\.0[ ]with[ ]llvm-exception
    |mit(-cmu|-0)?([ ]license)?|the[ ]mit[ ]license(.*)?|[023]-clause[ ]bsd([ ]license)?
    |(new[ ]|modified[ ]|simplified[ ])?bsd([ -][0-4][ -]clause)?([ ]license)?|bsd-\d-clause|0bsd|isc([ ]license.*)?
    |psf(-2\.0)?|python([ ]software[ ]foundation)?[ ]license([ ]version[ ]2)?|python-2\.0(\.1)?|psfl
    |repoze[ ]public[ ]license|zlib|libpng|cc0-1\.0
    |unlicense|the[ ]unlicense.*|hpnd|zpl[ -]2\.1|ofl-1\.1|openssl|ncsa|boost.*|bsl-1\.0
    |mpl[ -]2\.0|mozilla[ ]public[ ]license[ ]2\.0[ ]\(mpl[ ]2\.0\)
    |lgpl-?(v?[23](\.[01])?)(\+|-or-later|-only)?|gnu[ ]lesser[ ]general[ ]public[ ]license.*
    |gnu[ ]library[ ]or[ ]lesser[ ]general[ ]public[ ]license.*
    |gpl-3\.0-(or-later|only)[ ]with[ ]gcc-exception-3\.1)""",
    re.IGNORECASE | re.VERBOSE,
)
# Whose metadata says nothing, or not in a word; read from the files they come with.
READ_BY_US = {"matplotlib": "PSF-2.0", "sounddevice": "MIT"}
OUR_OWN = {"seacanary"}

HEADER = """# Licences

Of every package that `pip install 'seacanary[cpu,cluster]'` installs, as `constraints.txt` pins them, from their own
metadata. Not listed: what `[gpu]`, `[alsa]` and `[s3]` add (onnxruntime-gpu in place of onnxruntime; pyalsaaudio; s3fs
with what it needs), and the model workshop (`[train]`), which is not shipped. Written by `make licences`;
`make release-test` holds it to what is installed.

| package | version | licence |
|---|---|---|
"""


@dataclass(frozen=True)
class Licensed:
    """A package and what its metadata says of its licence."""

    name: str
    version: str
    licence: str

    @property
    def is_allowed(self) -> bool:
        """Whether a way to read its licence is on the list: of "A OR B" one must be, of all else each."""
        return allowed(self.licence)


def allowed(licence: str) -> bool:
    """Whether an expression leaves us a licence of the list."""
    text = licence.replace("(", "").replace(")", "") if " OR " in licence or " AND " in licence else licence
    parts = re.split(r"\s*;\s*|\s+AND\s+|,\s*(?=BSD|MIT|Apache)", text)
    return all(any(ALLOWED.fullmatch(way.strip()) for way in re.split(r"\s+OR\s+", part)) for part in parts)


def packages_in(environment: Path) -> list[Licensed]:
    """Of an environment, by name, without pip's own tools.

    Raises:
        subprocess.CalledProcessError: pip-licenses cannot read it.
    """
    command = [sys.executable, "-m", "piplicenses", f"--python={environment / 'bin' / 'python'}"]
    answer = subprocess.run(
        [*command, "--format=json", "--from=mixed"], check=True, capture_output=True, text=True
    ).stdout
    found = [Licensed(row["Name"], row["Version"], _licence(row)) for row in json.loads(answer)]
    return sorted((one for one in found if one.name.lower() not in OUR_OWN), key=lambda one: one.name.lower())


def page(packages: Iterable[Licensed]) -> str:
    """The report as Markdown."""
    return HEADER + "".join(f"| {one.name} | {one.version} | {one.licence.replace('|', '/')} |\n" for one in packages)


def _licence(row: dict[str, str]) -> str:
    said = " ".join(row["License"].split())
    if said in ("UNKNOWN", "") or len(said) > 100:
        return READ_BY_US.get(row["Name"].lower(), said[:100] or "UNKNOWN")
    return said


def main() -> int:
    """Print the page."""
    packages = packages_in(Path(sys.argv[1]))
    sys.stdout.write(page(packages))
    refused = [one for one in packages if not one.is_allowed]
    for one in refused:
        sys.stderr.write(f"{one.name} {one.version}: licence not allowed: {one.licence}\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
