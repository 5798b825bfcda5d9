"""The review page in a real browser: a link from an alert, a name, a press of the button, an event in the journal."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib import image
from pydantic import SecretStr

from event_samples import event
from seacanary.events import AlertEvent, PresenceEvent, ReviewEvent
from seacanary.evidence.names import stem_of
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.web.review_links import ReviewLinks
from seacanary.web.section import WebSection
from seacanary.web.server import WebServer
from web_samples import alert_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium"),
]

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}

# Contrast of every text on the page with what lies behind it, after WCAG 2.2, success criterion 1.4.3.
LOWEST_CONTRAST = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter(e =>
    e.matches('input, textarea') || [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  const ratios = texts.map(e => {
    const [a, b] = [parts(getComputedStyle(e).color), behind(e)].map(luminance).sort((p, q) => q - p);
    return (a + 0.05) / (b + 0.05);
  });
  return [texts.length, Math.min(...ratios)];
}"""
UNNAMED = """() => [...document.querySelectorAll('input, textarea, button, a, img, audio, section')].filter(e => {
  const ids = (e.getAttribute('aria-labelledby') || '').split(' ');
  const labelled = ids.some(id => document.getElementById(id)?.textContent);
  return !(labelled || e.labels?.length || e.getAttribute('alt') || e.textContent.trim());
}).map(e => e.outerHTML)"""
SEEK = """audio => new Promise((done, fail) => {
  audio.onerror = () => fail(audio.error.message);
  audio.onseeked = () => done(audio.currentTime);
  const seek = () => { audio.currentTime = audio.duration / 2; };
  audio.readyState >= 1 ? seek() : audio.onloadedmetadata = seek;
})"""


@dataclass
class Visit:
    """A running server, its journal, and a browser."""

    journal: Journal
    server: WebServer
    links: ReviewLinks
    browser: "playwright.Browser"

    def link(self, alert: AlertEvent, name: str) -> str:
        """A link, to this server whatever its port."""
        return self.links.links(alert)[name].replace("http://localhost:1", self.server.url)

    async def reviews(self) -> list[ReviewEvent]:
        return [entry.event async for entry in self.journal.entries() if isinstance(entry.event, ReviewEvent)]


@asynccontextmanager
async def visit(folder: Path) -> AsyncIterator[Visit]:
    path = folder / "journal.db"
    links = ReviewLinks("http://localhost:1", SecretStr("a key for this test only"), ttl_s=10**9)
    async with (
        await Journal.open(path) as journal,
        WebServer.open(
            WebSection(port=0, public_url="http://localhost:1"),
            station="station",
            journal=path,
            links=links,
            evidence=folder / "evidence",
            tell=journal.append,
            metrics=Metrics(),
        ) as server,
        playwright.async_playwright() as driver,
    ):
        running = asyncio.create_task(server.run())
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield Visit(journal, server, links, browser)
        await browser.close()
        running.cancel()
        await asyncio.wait({running})


def heard(folder: Path) -> PresenceEvent:
    """An event with a real clip of 2 s at 384 kHz, the same slowed ten times, and a picture."""
    bare = event(384_000)
    stem = folder / "evidence" / stem_of(bare)
    stem.parent.mkdir(parents=True)
    t_s = np.arange(2 * 384_000) / 384_000
    whistle = 0.3 * np.sin(2 * np.pi * 8000 * t_s)
    soundfile.write(f"{stem}.flac", whistle, 384_000, subtype="PCM_24")
    soundfile.write(f"{stem}_x10.flac", whistle, 38_400, subtype="PCM_24")
    image.imsave(f"{stem}.png", np.random.default_rng(1).random((300, 900)), cmap="magma")
    Path(f"{stem}.json").write_text("{}")
    return bare.model_copy(update={"evidence": stem_of(bare)})


@pytest.mark.timeout(120)
async def test_a_person_confirms_an_event(tmp_path: Path) -> None:
    beluga = heard(tmp_path)
    async with visit(tmp_path) as at:
        await at.journal.append([beluga])
        page = await at.browser.new_page(viewport=PHONE)
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))

        await page.goto(at.link(alert_of(beluga), "confirm"))
        assert await page.get_by_role("heading", level=1).inner_text() == "Was this a beluga?"
        assert await page.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth)") == 900
        slowed, as_it_was = await page.locator("audio").all()
        assert await slowed.evaluate(SEEK) == pytest.approx(10, abs=0.1)
        assert await as_it_was.evaluate(SEEK) == pytest.approx(1, abs=0.1)
        assert await at.reviews() == []

        await page.get_by_role("button", name="Confirm this beluga").click()
        assert await page.get_by_label("Your name").evaluate("field => field.validity.valueMissing")
        assert await at.reviews() == []

        await page.get_by_label("Your name").fill("Åse Ñandú")
        await page.get_by_label("Note").fill("three whistles\nand a creak")
        await page.get_by_role("button", name="Confirm this beluga").dblclick()
        await page.get_by_role("status").wait_for()
        assert "Thank you, Åse Ñandú" in await page.get_by_role("status").inner_text()
        [review] = await at.reviews()
        assert (review.event_id, review.verdict) == (beluga.id, "confirmed")
        assert (review.reviewer, review.note) == ("Åse Ñandú", "three whistles\nand a creak")

        await page.goto(at.link(alert_of(beluga), "reject"))
        assert await page.get_by_label("Your name").input_value() == "Åse Ñandú"
        assert "confirmed by Åse Ñandú" in await page.get_by_role("region", name="What people said").inner_text()
        assert troubles == []


@pytest.mark.timeout(120)
async def test_a_person_changes_to_the_other_word(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.journal.append([event(1)])
        page = await at.browser.new_page()
        await page.goto(at.link(alert_of(event(1)), "confirm"))
        await page.get_by_role("link", name="No, I want to reject it").click()
        await page.get_by_label("Your name").fill("Ben")
        await page.get_by_label("Your name").press("Enter")
        await page.get_by_role("status").wait_for()
        assert [review.verdict for review in await at.reviews()] == ["rejected"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_can_be_read_by_everybody(tmp_path: Path, scheme: str) -> None:
    beluga = heard(tmp_path)
    async with visit(tmp_path) as at:
        await at.journal.append([beluga])
        context = await at.browser.new_context(viewport=PHONE, color_scheme=scheme)
        page = await context.new_page()
        addresses = [
            at.link(alert_of(beluga), "confirm"),
            at.link(alert_of(beluga), "evidence"),
            f"{at.server.url}/review/forged",
        ]
        for address in addresses:
            await page.goto(address)
            texts, contrast = await page.evaluate(LOWEST_CONTRAST)
            assert texts >= 3
            assert contrast >= 4.5
            assert await page.evaluate(UNNAMED) == []
            assert await page.evaluate("document.documentElement.lang") == "en"
            assert await page.locator("main").count() == await page.locator("h1").count() == 1
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        await page.goto(addresses[0])
        button = await page.get_by_role("button").bounding_box()
        assert button
        assert button["height"] >= 44
