"""
Cross-origin requests: which pages may read what the endpoints under ``/v1/`` answer.

The rule is the one of ``access``: the own origin and those on the list. Preflights of
others are refused, so that their browsers never send the request itself.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.config import ServerConfig
from assistant.gateway import access
from assistant.gateway.http import refusal

METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "if-match",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "openai-safety-identifier",
    "x-openai-agents-sdk",
)
_CLIENT_HEADERS = "x-stainless-"
"""Stock clients tell their platform in headers of this family."""
EXPOSED_HEADERS = "location, retry-after, server-timing"
MAX_AGE_S = 600


class CrossOrigin:
    """Answer preflights, and mark answers as readable for the pages that may read them."""

    def __init__(self, app: ASGIApp, server: ServerConfig) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        server = self._server
        is_allowed = origin is not None and access.is_allowed_origin(
            headers, server.allowed_origins, server.host
        )

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                marked = MutableHeaders(scope=message)
                marked.add_vary_header("Origin")
                if is_allowed and origin is not None:
                    marked["Access-Control-Allow-Origin"] = origin
                    marked["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            await send(message)

        if scope["method"] == "OPTIONS":
            answer = _preflight(headers) if is_allowed or origin is None else _refused()
            await answer(scope, receive, send_marked)
        else:
            await self._app(scope, receive, send_marked)


def allowed_headers(requested: str) -> list[str]:
    """Return which request headers a page may send, of those it asked for and ours."""
    names = (name.strip().lower() for name in requested.split(","))
    family = {name for name in names if name.startswith(_CLIENT_HEADERS)}
    return [*REQUEST_HEADERS, *sorted(family)]


def _preflight(headers: Headers) -> Response:
    requested = headers.get("access-control-request-headers", "")
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": ", ".join(allowed_headers(requested)),
            "Access-Control-Max-Age": str(MAX_AGE_S),
        },
    )


def _refused() -> Response:
    return refusal("origin_not_allowed", "This origin may not connect.")
