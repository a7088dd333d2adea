"""
``/v1/realtime``: a call whose events travel as text frames of one WebSocket.

Two tasks per connection, in one group: one reads, one sends. The first to end ends the
call, and everything the call owned is free when the group is left. With ``?call_id=`` the
connection joins a call that is there already, beside the one that leads it; with
``takeover=true`` it leads from then on.
"""

import asyncio
import logging
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from assistant.gateway import access, admission, http
from assistant.gateway.call import Call
from assistant.gateway.client_secrets import Secret
from assistant.gateway.connection import aborter
from assistant.gateway.outbox import Outbox
from assistant.gateway.service import Service
from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

log = logging.getLogger(__name__)

SLOW_READER = 1008  # policy violation
CLOSE_TIMEOUT_S = 2.0


class _Ended(Exception):
    """One direction of the connection has ended; carries the close code to send, if any."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        self.code = code
        self.reason = reason


async def realtime(websocket: WebSocket) -> None:
    """Serve one connection until either side ends it."""
    service: Service = websocket.app.state.service
    call_id = websocket.query_params.get("call_id")
    try:
        secret = admission.admit(websocket.headers, service, is_new=call_id is None)
        found = None if call_id is None else service.find(call_id)
    except EventRefused as error:
        refused = http.refusal(error.code, error.message)
        await websocket.send_denial_response(refused)
        return
    offered = access.offered_subprotocols(websocket.headers)
    subprotocol = access.SUBPROTOCOL if access.SUBPROTOCOL in offered else None
    await websocket.accept(subprotocol=subprotocol)
    takes_over = websocket.query_params.get("takeover") == "true"
    if found is None:
        call = Call(service.config, service.engine, service.model_name)
        service.calls.add(call)
    else:
        call = found
    replaced = call.take_lead() if found is None or takes_over else None

    def greet() -> Outbox:
        if found is None:
            return call.open(_settings(websocket, secret))
        return call.join(websocket.query_params.get("last_event_id", ""))

    await _serve(websocket, service, call, replaced, greet)


async def _serve(
    websocket: WebSocket,
    service: Service,
    call: Call,
    replaced: asyncio.Event | None,
    greet: Callable[[], Outbox],
) -> None:
    """
    Carry one connection's events until either side ends it.

    Args:
        replaced: None for a connection that does not lead the call.
    """
    code, reason = 1011, ""
    outbox: Outbox | None = None
    try:
        outbox = greet()
        deadline_s = service.config.server.send_deadline_s
        # A task of its own: in Debian 12's Python (3.11.2) a group that failed leaves its
        # task counted as cancelled, and timeouts behind it raise CancelledError.
        await asyncio.create_task(_converse(websocket, call, outbox, replaced, deadline_s))
    except* _Ended as ended:
        code, reason = _close_code(ended)
    finally:
        if outbox is not None:
            call.audience.leave(outbox)
        try:
            if replaced is not None and not replaced.is_set():
                service.end(call)
        finally:
            await _close(websocket, code, reason)


async def _converse(
    websocket: WebSocket,
    call: Call,
    outbox: Outbox,
    replaced: asyncio.Event | None,
    deadline_s: float,
) -> None:
    """Read and send until somebody ends it, which raises a group of _Ended."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_read(websocket, call, outbox))
        tasks.create_task(_send(websocket, call, outbox, deadline_s))
        if replaced is not None:
            tasks.create_task(_give_way(replaced))


def _settings(websocket: WebSocket, secret: Secret | None) -> SessionPatch | None:
    """Return what was chosen for the session before it began: by its secret, or its URL."""
    if secret is not None:
        return secret.session
    if websocket.query_params.get("intent") == "transcription":
        return SessionPatch(type="transcription")
    return None


async def _give_way(replaced: asyncio.Event) -> None:
    await replaced.wait()
    raise _Ended(1000, "another connection has taken over")


async def _read(websocket: WebSocket, call: Call, outbox: Outbox) -> None:
    while True:
        # A client that does not read what it asked for is not read either.
        await outbox.room()
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise _Ended(None)
        text = message.get("text")
        if text is None:
            call.receive_binary(outbox)
        else:
            await call.receive_text(text, outbox)
        # uvicorn reads many small messages at once; the other calls get their turn.
        await asyncio.sleep(0)


async def _send(
    websocket: WebSocket, call: Call, outbox: Outbox, deadline_s: float
) -> None:
    while (outgoing := await outbox.get()) is not None:
        try:
            async with asyncio.timeout(deadline_s):
                await websocket.send_text(outgoing.text)
        except TimeoutError:
            raise _Ended(SLOW_READER, f"nothing was read for {deadline_s:g} s") from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            # RuntimeError is uvicorn's word for having closed by itself: no pong came, or
            # a message was too big.
            raise _Ended(None) from None
        if outgoing.timeline is not None:
            call.left(outgoing.timeline)
    hang = call.hang
    raise _Ended(1000 if hang is None else hang.code, "" if hang is None else hang.reason)


def _close_code(ended: "BaseExceptionGroup[_Ended]") -> tuple[int, str]:
    """Return how to close: 0 when the client is gone already."""
    codes = [error for error in ended.exceptions if isinstance(error, _Ended)]
    for error in codes:
        if error.code is None:
            return 0, ""
    return (codes[0].code or 1011, codes[0].reason) if codes else (1011, "")


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Say good-bye (not with code 0), and drop a client that has not taken it in time."""
    abort = aborter(websocket.scope["extensions"])
    asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, abort)
    if not code:
        return
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await websocket.close(code, reason)
    except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError) as error:
        # The client vanished or stopped reading; there is nobody to tell.
        log.debug("= close %d not delivered: %s", code, type(error).__name__)
