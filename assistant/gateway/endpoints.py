"""The small HTTP endpoints: which model there is, and client secrets for browsers."""

import secrets
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from assistant.gateway import http
from assistant.gateway.service import Service
from assistant.turns import settings as session_settings
from assistant.wire import client_secrets as wire
from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

MAX_SECRET_BODY_BYTES = 64 * 1024
"""Settings are kept for as long as their secret is valid."""


@http.guarded
async def models(request: Request) -> Response:
    """``GET /v1/models``."""
    service: Service = request.app.state.service
    return JSONResponse({"object": "list", "data": [_model(service.model_name)]})


@http.guarded
async def model(request: Request) -> Response:
    """``GET /v1/models/{name}``; a hub id has a slash in it."""
    service: Service = request.app.state.service
    name = request.path_params["name"]
    if name not in service.model_names:
        message = f"The model '{name}' does not exist."
        raise EventRefused("model_not_found", message, "model")
    return JSONResponse(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "local"}


@http.guarded
async def client_secret(request: Request) -> Response:
    """``POST /v1/realtime/client_secrets``: needs a full key, a secret issues no others."""
    service: Service = request.app.state.service
    deadline_s = service.config.server.request_body_s
    asked = wire.decode(await http.read_body(request, MAX_SECRET_BODY_BYTES, deadline_s))
    patch = asked.session or SessionPatch()
    # Checked now: whoever is given the secret cannot mend what is wrong with it.
    initial = session_settings.initial(service.config, service.model_name, hangover_ms=0)
    settings = session_settings.updated(initial, patch)
    value, secret = service.secrets.issue(patch, asked.seconds, time.time())
    session = settings.to_wire(f"sess_{secrets.token_hex(12)}", 0)
    return JSONResponse(
        {"value": value, "expires_at": secret.expires_at, "session": session},
        headers={"Cache-Control": "no-store"},
    )


async def unknown(request: Request) -> Response:
    """Whatever else there is not under ``/v1/``, in the words of the protocol."""
    return http.refusal("unknown_url", f"{request.method} is not served at this path.")
