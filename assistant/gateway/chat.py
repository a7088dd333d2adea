"""
``POST /v1/chat/completions``: one question, one sequence of the engine, one answer.

The client sends the conversation each time. What stays between two requests is what the
engine has read of it, for a while. A client that leaves, or does not read, ends the
generation; the engine's row is free then.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from assistant.gateway import access, http
from assistant.gateway.connection import aborter
from assistant.gateway.service import KEEP_S, Service
from assistant.log import SessionLog
from assistant.media.attachments import Attachments
from assistant.turns import chat, prompt
from assistant.turns.actions import Tell
from assistant.turns.chat import Question
from assistant.turns.chat_answer import ChatAnswer
from assistant.turns.completion import Broken, Completion, Ended, Output
from assistant.turns.mirror import Mirror
from assistant.turns.tool_calls import Piece
from assistant.wire import chat as wire, link
from assistant.wire.refusals import EventRefused

log = logging.getLogger(__name__)

_numbers = itertools.count(1)
_HEADERS = [(b"cache-control", b"no-store")]
_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), *_HEADERS]
_JSON = [(b"content-type", b"application/json"), *_HEADERS]


@http.guarded
async def completions(request: Request) -> Response:
    """Answer one request; raises what ``http.guarded`` makes refusals of."""
    service: Service = request.app.state.service
    _check_capacity(service)
    # Counted before the body is read: bodies are most of what requests cost.
    service.num_requests += 1
    try:
        question, model = await _read(request, service)
    except BaseException:
        service.num_requests -= 1
        raise
    return _Answer(service, question, model)


def _check_capacity(service: Service) -> None:
    server = service.config.server
    if service.is_draining:
        raise EventRefused("server_shutting_down", "The server is shutting down.")
    if service.engine.ready is None:
        raise EventRefused("engine_gone", "The inference engine is not ready.")
    if service.num_requests >= server.max_requests:
        message = f"{server.max_requests} requests are being answered, the bound."
        raise EventRefused("rate_limit_exceeded", message)


async def _read(request: Request, service: Service) -> tuple[Question, str]:
    config = service.config
    server = config.server
    body = await http.read_body(request, server.max_message_bytes, server.request_body_s)

    def read() -> tuple[Question, str]:
        asked = wire.decode(body)
        question = chat.read(
            asked,
            models=service.model_names,
            new_id=_new_id,
            media=Attachments(config),
            config=config,
            seed=config.reply.seed + next(_numbers),
            owner=access.presented_key(request.headers) or "",
        )
        return question, asked.model

    # In a thread: megabytes of base64, pictures and recordings are decoded here.
    return await asyncio.to_thread(read)


class Chat:
    """The engine's side of one request: orders out, outputs into a queue."""

    def __init__(self, service: Service, question: Question) -> None:
        self._service = service
        self._engine = engine = service.engine
        self._life = engine.ready
        adapter = prompt.adapter_for(question.items)
        mirror = service.kept.take(self._life, adapter, question.segments)
        if mirror is not None and mirror.sequence is not None:
            engine.adopt(mirror.sequence, self)
        numbers = engine.sequence_numbers
        keeps = service.config.server.kept_completions > 0
        self._completion = Completion(question, numbers, mirror, keeps=keeps)
        # No bound of its own: a reply has at most as many outputs as a sequence tokens.
        self.outputs: asyncio.Queue[Piece | Ended | Broken] = asyncio.Queue()

    def open(self, admission_s: float) -> asyncio.TimerHandle:
        """Order the reply; the handle is that of its admission timeout."""
        if self._engine.ready is None:  # it went while the request was read
            self._take(self._completion.receive_engine_gone())
        else:
            self._take(self._completion.open())
            self._engine.subscribe(self)
        loop = asyncio.get_running_loop()
        return loop.call_later(admission_s, self._time_out, admission_s)

    def close(self) -> None:
        """Free the sequence or keep it for the next request, whatever happened before."""
        mirror = self._completion.release()
        self._take(self._completion.close())
        self._engine.unsubscribe(self)
        if mirror is not None and self._life is not None:
            keep(self._service, self._life, mirror)

    def receive_report(self, report: link.Report) -> None:
        self._take(self._completion.receive_report(report))

    def receive_engine(self, ready: link.Ready | None) -> None:
        if ready is None:
            self._take(self._completion.receive_engine_gone())

    def _time_out(self, waited_s: float) -> None:
        self._take(self._completion.receive_timeout(waited_s))

    def _take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Tell):
                self._engine.send(output.order, self)
            else:
                self.outputs.put_nowait(output)


def keep(service: Service, life: link.Ready, mirror: Mirror) -> None:
    """Keep a sequence for as many rows as no session or other request may want."""
    room = life.num_slots - 1 - len(service.calls)
    most = min(service.config.server.kept_completions, room)
    loop = asyncio.get_running_loop()
    _let_go(service, service.kept.put(life, mirror, loop.time(), most))
    loop.call_later(KEEP_S, lambda: _let_go(service, service.kept.expire(loop.time())))


def _let_go(service: Service, orders: list[link.Order]) -> None:
    nobody = _Nobody()
    for order in orders:
        service.engine.send(order, nobody)


class _Nobody:
    """Whoever closes what nobody uses has nothing to be told."""

    def receive_report(self, report: link.Report) -> None:
        """Drop it."""

    def receive_engine(self, ready: link.Ready | None) -> None:
        """It is not subscribed."""


class _Left(Exception):
    """The client is gone, or as good as."""


class _Answer(Response):
    """Answers one question while watching whether anybody still wants to know."""

    def __init__(self, service: Service, question: Question, model: str) -> None:
        super().__init__()
        self._service = service
        self._question = question
        number = f"chatcmpl-{secrets.token_hex(12)}"
        self._told = ChatAnswer(
            question, id=number, created=int(time.time()), model=model, new_id=_new_id
        )
        self._log = SessionLog(log, number)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self._service.config.server
        started = time.monotonic()
        ending = "client left"
        try:
            self._send = _Sender(send, server.send_deadline_s, aborter(scope["extensions"]))
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(_watch(receive))
                try:
                    ending = await self._answer(server.completion_max_s)
                finally:
                    watching.cancel()
        except* _Left:
            pass
        finally:
            self._service.num_requests -= 1
            self._log.info("%s after %.3f s", ending, time.monotonic() - started)

    async def _answer(self, bound_s: float) -> str:
        """Order the answer and send it; whatever happens, free the sequence."""
        self._chat = Chat(self._service, self._question)
        timer = self._chat.open(self._service.config.engine.admission_timeout_s)
        try:
            return await self._pass_on(bound_s)
        finally:
            timer.cancel()
            self._chat.close()

    async def _pass_on(self, bound_s: float) -> str:
        """Send the answer, or what went wrong; return how it ended, for the log."""
        write = self._stream if self._question.is_streamed else self._collect
        try:
            async with asyncio.timeout(bound_s):
                return await write()
        except TimeoutError:
            message = f"The answer took longer than {bound_s:g} s."
            return await self._break(Broken("completion_timeout", message))

    async def _collect(self) -> str:
        output = await self._chat.outputs.get()
        while not isinstance(output, Ended | Broken):
            self._told.receive(output)
            output = await self._chat.outputs.get()
        if isinstance(output, Broken):
            return await self._break(output)
        await self._send.start(200, _JSON)
        await self._send.end(wire.encode(self._told.whole(output)))
        return _summary(output)

    async def _stream(self) -> str:
        output = await self._chat.outputs.get()
        if isinstance(output, Broken):
            # Nothing was sent yet, so the status can still say it.
            return await self._break(output)
        await self._send.start(200, _STREAM)
        await self._send(wire.event(self._told.opening()))
        while not isinstance(output, Ended | Broken):
            chunk = self._told.receive(output)
            if chunk is not None:
                await self._send(wire.event(chunk))
            output = await self._chat.outputs.get()
        if isinstance(output, Broken):
            return await self._break(output)
        for chunk in self._told.end(output):
            await self._send(wire.event(chunk))
        await self._send.end(wire.DONE)
        return _summary(output)

    async def _break(self, broken: Broken) -> str:
        """Say what went wrong: as the status, or in the stream that has begun."""
        if self._send.is_started:
            body = http.error_body(broken.code, broken.message)
            await self._send.end(wire.event(dict(body)))
        else:
            refusal = http.refusal(broken.code, broken.message)
            await self._send.start(refusal.status_code, refusal.raw_headers)
            await self._send.end(bytes(refusal.body))
        return broken.code


class _Sender:
    """Sends the parts of one HTTP answer, each within its time."""

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        deadline_s: float,
        abort: Callable[[], None],
    ) -> None:
        self._send = send
        self._deadline_s = deadline_s
        self._abort = abort
        self.is_started = False

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.is_started = True
        await self._put(
            {"type": "http.response.start", "status": status, "headers": headers}
        )

    async def __call__(self, data: bytes) -> None:
        await self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._put({"type": "http.response.body", "body": data})

    async def _put(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._send(message)
        except TimeoutError:
            self._abort()
            raise _Left from None
        except OSError:
            raise _Left from None


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _Left


def _summary(ended: Ended) -> str:
    return f"{ended.reason}: {ended.spent.num_prompt} + {ended.spent.num_output} tokens"


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"
