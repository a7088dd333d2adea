"""
What all HTTP endpoints share: who may ask, how a body is read, how a refusal looks.

A refusal is JSON of the shape that stock clients read, with a status that says whether
to try again: 429 and 503 come with ``Retry-After``, 401 with ``WWW-Authenticate``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from assistant.errors import MediaError
from assistant.gateway import access
from assistant.gateway.service import Service
from assistant.wire.refusals import EventRefused

RETRY_AFTER_S = {429: "1", 503: "5"}

_STATUS = {
    "invalid_api_key": 401,
    "origin_not_allowed": 403,
    "model_not_found": 404,
    "call_not_found": 404,
    "unknown_url": 404,
    "webrtc_disabled": 404,
    "request_timeout": 408,
    "request_too_large": 413,
    "unsupported_media_type": 415,
    "ice_restart_unsupported": 422,
    "rate_limit_exceeded": 429,
    "adapter_unavailable": 500,
    "generation_pending": 500,
    "internal_error": 500,
    "invalid_sampling": 500,
    "non_finite_logits": 500,
    "sequence_exists": 500,
    "sequence_failed": 500,
    "unknown_sequence": 500,
    "call_limit_reached": 503,
    "engine_gone": 503,
    "no_free_slot": 503,
    "no_media_port": 503,
    "out_of_memory": 503,
    "server_overloaded": 503,
    "server_shutting_down": 503,
    "session_limit_reached": 503,
    "too_many_sequences": 503,
    "completion_timeout": 504,
}
"""Codes that are not plainly the client's fault, which is 400."""

Endpoint = Callable[[Request], Awaitable[Response]]


def error_body(
    code: str | None, message: str, param: str | None = None
) -> dict[str, dict[str, str | None]]:
    """Return the error object of the protocol."""
    status = status_of(code)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if status == 429:
        kind = "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def status_of(code: str | None) -> int:
    """Return the HTTP status of an error code."""
    return 400 if code is None else _STATUS.get(code, 400)


def refusal(code: str | None, message: str, param: str | None = None) -> JSONResponse:
    """Return the answer to a request that is not carried out."""
    status = status_of(code)
    headers = {}
    if status in RETRY_AFTER_S:
        headers["Retry-After"] = RETRY_AFTER_S[status]
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        error_body(code, message, param), status_code=status, headers=headers
    )


def guarded(endpoint: Endpoint) -> Endpoint:
    """Let in whom the access rules let in, and make refusals of what is raised."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        check_access(request, request.app.state.service)
        return await endpoint(request)

    return refusing(answer)


def refusing(endpoint: Endpoint) -> Endpoint:
    """Make refusals of what is raised."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except EventRefused as error:
            return refusal(error.code, error.message, error.param)
        except MediaError as error:
            return refusal(error.code, str(error))

    return answer


def check_access(request: Request, service: Service) -> None:
    """Raise EventRefused for a page of a foreign origin, and without a valid key."""
    server = service.config.server
    if not access.is_allowed_origin(request.headers, server.allowed_origins, server.host):
        raise EventRefused("origin_not_allowed", "This origin may not connect.")
    if not access.is_authorised(access.presented_key(request.headers), service.keys):
        raise EventRefused("invalid_api_key", "The API key is not valid.")


async def read_body(request: Request, max_bytes: int, deadline_s: float) -> bytes:
    """
    Return the body of a request. Cancelling drops what has arrived.

    Raises:
        EventRefused: It is larger than the bound, or did not arrive in time.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(int(announced), max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for piece in request.stream():
                body += piece
                if len(body) > max_bytes:
                    raise _too_large(len(body), max_bytes)
    except TimeoutError:
        message = f"The body did not arrive within {deadline_s:g} s."
        raise EventRefused("request_timeout", message) from None
    except ClientDisconnect:
        # Nobody will read this; uvicorn drops it.
        raise EventRefused("request_timeout", "The client left.") from None
    return bytes(body)


def _too_large(num_bytes: int, max_bytes: int) -> EventRefused:
    return EventRefused(
        "request_too_large",
        f"The body has {num_bytes} bytes or more, the bound is {max_bytes}.",
    )
