"""
``/v1/realtime/calls``: offers of WebRTC in, answers out, and the end of a call.

An offer comes as it is (``application/sdp``, as WHIP clients send it) or in a form beside
the session's first settings. The answer holds all candidates. What a client trickles is
acknowledged and not read: where it is, its connectivity checks say.
``?call_id=`` attaches a new connection to a call whose old one was lost.
"""

from email.parser import BytesParser
from email.policy import HTTP

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from assistant.gateway import http
from assistant.gateway.admission import admit
from assistant.gateway.call import Call
from assistant.gateway.ice_servers import ice_servers
from assistant.gateway.outbox import Outbox
from assistant.gateway.rtc.line import Line
from assistant.gateway.rtc.stack import NoPort
from assistant.gateway.service import Service
from assistant.turns import settings as session_settings
from assistant.wire import refusals, sdp
from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

PATH = "/v1/realtime/calls"
FRAGMENT = "application/trickle-ice-sdpfrag"
MAX_BODY_BYTES = 3 * sdp.MAX_SDP_BYTES
"""Of a form: the offer, settings and what is around them."""

_session_decoder: msgspec.json.Decoder[SessionPatch] = msgspec.json.Decoder(SessionPatch)


@http.refusing
async def create(request: Request) -> Response:
    """``POST /v1/realtime/calls``: answer an offer; the call goes on by itself."""
    service: Service = request.app.state.service
    call_id = request.query_params.get("call_id")
    secret = admit(request.headers, service, is_new=call_id is None)
    rtc = service.config.rtc
    if not rtc.enabled:
        raise EventRefused("webrtc_disabled", "This server takes calls by WebSocket only.")
    if call_id is None and len(service.lines) >= rtc.max_calls:
        message = f"{rtc.max_calls} WebRTC calls are open, the bound."
        raise EventRefused("call_limit_reached", message)
    deadline_s = service.config.server.request_body_s
    body = await http.read_body(request, MAX_BODY_BYTES, deadline_s)
    text, patch = read_offer(request.headers.get("content-type", ""), body)
    offer = sdp.parse_offer(text)
    if call_id is not None:
        call = service.find(call_id)
        outbox = call.join(request.query_params.get("last_event_id", ""))
    else:
        call, outbox = _open(service, secret.session if secret else None, patch)
    return await _connect(service, call, offer, outbox)


async def _connect(
    service: Service, call: Call, offer: sdp.Offer, outbox: Outbox
) -> Response:
    replaced = call.take_lead()
    call.tracks.username = offer.username
    line = Line(service.config, call, offer, outbox, replaced)
    try:
        answer = await line.answer()
    except NoPort as error:
        service.end(call)
        raise EventRefused("no_media_port", str(error)) from error
    except BaseException:
        service.end(call)
        raise
    if not offer.has_channel:
        call.audience.leave(outbox)  # nobody reads it; a WebSocket may, with ?call_id=
    service.lines.start(line.run(lambda: service.end(call)))
    return Response(
        answer,
        status_code=201,
        media_type="application/sdp",
        headers={
            "Location": f"{PATH}/{call.id}",
            "Accept-Patch": FRAGMENT,
            # When the session's clock stood at zero: pictures are dated by it.
            "Server-Timing": f"session;dur={call.now() * 1000:.1f}",
            "Cache-Control": "no-store",
        },
    )


def _open(service: Service, *patches: SessionPatch | None) -> tuple[Call, Outbox]:
    settings = session_settings.initial(service.config, service.model_name, hangover_ms=0)
    for patch in patches:
        if patch is not None:
            settings = session_settings.updated(settings, patch)  # before anything is held
    call = Call(service.config, service.engine, service.model_name)
    service.calls.add(call)
    return call, call.open(*patches)


def read_offer(content_type: str, body: bytes) -> tuple[str, SessionPatch | None]:
    """
    Return the offer and the settings in the body of a request.

    Raises:
        EventRefused: It is of another type, or misshapen.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        parts = _form(content_type, body)
        if "sdp" not in parts:
            raise refusals.missing_parameter("sdp")
        session = parts.get("session")
        return _text(parts["sdp"]), None if session is None else _patch(session)
    if kind in ("application/sdp", "text/plain", ""):
        return _text(body), None
    message = f"The body is '{kind}', expected application/sdp or multipart/form-data."
    raise EventRefused("unsupported_media_type", message)


def _form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by name, whatever else their headers say."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    parts: dict[str, bytes] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(data, bytes):
            parts[name] = data
    return parts


def _text(data: bytes) -> str:
    if len(data) > sdp.MAX_SDP_BYTES:
        message = f"The offer has {len(data)} bytes, the bound is {sdp.MAX_SDP_BYTES}."
        raise EventRefused("invalid_sdp", message, "sdp")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EventRefused("invalid_sdp", "The offer is not UTF-8.", "sdp") from None


def _patch(data: bytes) -> SessionPatch:
    try:
        return _session_decoder.decode(data)
    except msgspec.ValidationError as error:
        raise refusals.misshapen(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        message = "The session could not be parsed as JSON."
        raise EventRefused("invalid_json", message, "session") from None


@http.refusing
async def trickle(request: Request) -> Response:
    """``PATCH …/{id}``: more candidates of a WHIP client (RFC 9725 section 4.3)."""
    service: Service = request.app.state.service
    admit(request.headers, service, is_new=False)
    call = service.find(request.path_params["call_id"])
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FRAGMENT:
        message = f"The body is '{kind}', expected {FRAGMENT}."
        raise EventRefused("unsupported_media_type", message)
    deadline_s = service.config.server.request_body_s
    body = await http.read_body(request, sdp.MAX_SDP_BYTES, deadline_s)
    if sdp.fragment_username(_text(body)) != call.tracks.username:
        message = "ICE restarts are not supported: make a new call with ?call_id=."
        raise EventRefused("ice_restart_unsupported", message)
    return Response(status_code=204)


@http.refusing
async def hang_up(request: Request) -> Response:
    """``POST …/{id}/hangup`` and ``DELETE …/{id}``: end a call."""
    service: Service = request.app.state.service
    admit(request.headers, service, is_new=False)
    call = service.find(request.path_params["call_id"])
    call.hang_up()
    service.end(call)
    return Response(status_code=200)


@http.refusing
async def servers(request: Request) -> Response:
    """``GET /v1/realtime/ice_servers``: by which way in, with credentials made for it."""
    service: Service = request.app.state.service
    admit(request.headers, service, is_new=False)
    rtc = service.config.rtc
    document = ice_servers(rtc, service.turn_secret)
    return JSONResponse(
        {"enabled": rtc.enabled, **document}, headers={"Cache-Control": "no-store"}
    )
