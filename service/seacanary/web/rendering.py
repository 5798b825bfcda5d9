"""Templates to HTML: always escaped, one style sheet, no script."""

import base64
import hashlib
from datetime import UTC, datetime
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response


class Rendering:
    """The pages' templates, which come with the package."""

    def __init__(self, station: str, *, prefix: str) -> None:
        """Load.

        Args:
            station: name, for the heading.
            prefix: path under which people find the server, "" for none.
        """
        loader = PackageLoader("seacanary.web")
        self._environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        style, _, _ = loader.get_source(self._environment, "style.css")
        self.style_hash = "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        # The style sheet is ours and holds no markup; it must stand in the page letter by letter.
        self._environment.globals.update(station=station, prefix=prefix, style=Markup(style))
        self._environment.filters.update(utc=_utc, path=quote, words=_words)

    def icon(self) -> Response:
        """The mark in a browser's tab."""
        return Response(self._environment.get_template("icon.svg").render(), media_type="image/svg+xml")

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render a template with what it asks for."""
        return HTMLResponse(self._environment.get_template(template).render(values), status)


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _words(name: str) -> str:
    """A name such as gray_seal as words."""
    return name.replace("_", " ")
