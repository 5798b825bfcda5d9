"""The repository's pages for people, taken apart: code blocks, headings, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "dashboards/*.md", "service/**/*.md")
    for path in ROOT.glob(pattern)
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: relative path.
        line: where it begins, from 1.
        heading: the last one before it.
        text: what is in it.
    """

    page: Path
    line: int
    heading: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text(encoding="utf-8"))


def blocks(language: str, *pages: Path) -> list[Block]:
    """Fenced blocks of a language, of these pages or of all."""
    return [block for page in pages or PAGES for block in _blocks(page, language)]


def _blocks(page: Path, language: str) -> Iterator[Block]:
    heading = ""
    parsed = tokens(page)
    for before, token in pairwise(parsed):
        if before.type == "heading_open":
            heading = token.content
        if token.type == "fence" and token.info == language and token.map:
            yield Block(page, token.map[0] + 1, heading, token.content)


def anchors(page: Path) -> set[str]:
    """What a link into a page may name, as GitHub makes it of the headings."""
    parsed = tokens(page)
    titles = [b.content for a, b in pairwise(parsed) if a.type == "heading_open"]
    slugs = [re.sub(r"[^\w\- ]", "", re.sub(r"[*`]", "", title).lower()).replace(" ", "-") for title in titles]
    return {slug if n == 0 else f"{slug}-{n}" for i, slug in enumerate(slugs) for n in [slugs[:i].count(slug)]}


def links(page: Path) -> list[str]:
    """Targets of a page's links and pictures, those to other sites left out."""
    inline = [child for token in tokens(page) for child in token.children or ()]
    targets = [str(child.attrs.get("href", child.attrs.get("src", ""))) for child in inline]
    return [target for target in targets if target and not re.match(r"[a-z]+:", target)]
