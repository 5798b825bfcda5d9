"""What every request and every answer is held to: one place, a small body in, strict headers out."""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A name, a note and a token: 1000 letters of four bytes, each percent-encoded in a form, and room.
MOST_BODY_BYTES = 16 << 10
TOO_LARGE = f"the body may have {MOST_BODY_BYTES} bytes"


def strict_headers(style_hash: str) -> dict[str, str]:
    """Headers that let pages load what this server sends and nothing else, and run no script.

    Args:
        style_hash: the one style sheet allowed, as `sha256-BASE64`.
    """
    policy = (
        f"default-src 'none'; style-src '{style_hash}'; img-src 'self'; media-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",  # a link's address is its key
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }


class Limits:
    """ASGI middleware: refuses large bodies and sets headers where an answer has not set its own."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > MOST_BODY_BYTES:
            await PlainTextResponse(TOO_LARGE, 413)(scope, receive, self._stricter(send))
            return
        await self._app(scope, _bounded(receive), self._stricter(send))

    def _stricter(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return sent


class Unprefixed:
    """ASGI middleware: takes the public URL's path off, for proxies that pass it on; others have taken it off."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"].startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._prefix)}
        await self._app(scope, receive, send)


def _bounded(receive: Receive) -> Receive:
    """Count a body that does not declare its size."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MOST_BODY_BYTES:
            raise HTTPException(413, TOO_LARGE)
        return message

    return bounded
