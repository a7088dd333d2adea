"""
The routes of the one port: page, health, metrics, HTTP endpoints, the realtime WebSocket.

The page is served as it lies in ``web/``; its content security policy allows nothing
inline and nothing from elsewhere.
"""

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.gateway import calls, chat, endpoints, metrics
from assistant.gateway.cors import CrossOrigin
from assistant.gateway.service import Service
from assistant.gateway.websocket import realtime
from assistant.web_files import web_directory

_PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; "
        "connect-src 'self' ws: wss:; img-src 'self' blob: data:; media-src 'self' blob:; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "permissions-policy": "camera=(self), microphone=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # The page and its modules change together; a stale module beside a new one is a bug
    # that only some people see. Revalidation costs one small answer on loopback.
    "cache-control": "no-cache",
}

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class _HeadersOnEverything:
    """Add the page's headers to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _PAGE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def build(service: Service) -> ASGIApp:
    """Return the ASGI application of one gateway."""
    app = Starlette(
        routes=[
            Route("/health", _health),
            Route("/ready", _ready),
            Route("/metrics", metrics.metrics),
            Route("/v1/models", endpoints.models),
            Route("/v1/models/{name:path}", endpoints.model),
            Route("/v1/realtime/client_secrets", endpoints.client_secret, methods=["POST"]),
            Route("/v1/realtime/ice_servers", calls.servers),
            Route(calls.PATH, calls.create, methods=["POST"]),
            Route(calls.PATH + "/{call_id}", calls.hang_up, methods=["DELETE"]),
            Route(calls.PATH + "/{call_id}", calls.trickle, methods=["PATCH"]),
            Route(calls.PATH + "/{call_id}/hangup", calls.hang_up, methods=["POST"]),
            Route("/v1/chat/completions", chat.completions, methods=["POST"]),
            WebSocketRoute("/v1/realtime", realtime),
            Route("/v1/{rest:path}", endpoints.unknown, methods=_METHODS),
            Mount("/", StaticFiles(directory=web_directory(), html=True)),
        ],
    )
    app.state.service = service
    return _HeadersOnEverything(CrossOrigin(app, service.config.server))


async def _health(request: Request) -> JSONResponse:
    """The gateway is alive; what the engine said of itself, if it is there."""
    service: Service = request.app.state.service
    ready = service.engine.ready
    engine = None
    if ready is not None:
        engine = {
            "device": ready.device,
            "dtype": ready.dtype,
            "max_sequence_tokens": ready.max_sequence_tokens,
            "num_slots": ready.num_slots,
            "fallbacks": ready.fallbacks,
        }
    return JSONResponse(
        {
            "status": "ok" if service.is_ready else "degraded",
            "model": service.model_name,
            "device": None if ready is None else ready.device,
            "is_meaningless": None if ready is None else ready.is_meaningless,
            "engine": engine,
            "webrtc": service.config.rtc.enabled,
            "sessions": len(service.calls),
            "requests": service.num_requests,
        }
    )


async def _ready(request: Request) -> JSONResponse:
    """200 when a turn would be answered now, else 503."""
    service: Service = request.app.state.service
    return JSONResponse(
        {"ready": service.is_ready}, status_code=200 if service.is_ready else 503
    )
