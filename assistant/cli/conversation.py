"""
The terminal client's connection: says what it was given, in real time, and listens.

A client of ``/v1/realtime`` like any other; it knows nothing that other clients cannot.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from assistant.cli import sound
from assistant.cli.captions import Captions
from assistant.cli.options import KEY_VARIABLE
from assistant.errors import CommandError

_OPEN_TIMEOUT_S = 10.0
_MAX_MESSAGE_BYTES = 32 * 2**20
_FRAME_EVERY_CHUNKS = 25
"""A picture is shown once a second, as a camera would, so that it stays fresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where to connect and how."""

    url: str
    key: str = ""
    is_insecure: bool = False
    """Accept any certificate (for ``--tls self-signed``)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture and its media type."""

    data: bytes
    media_type: str

    @property
    def base64(self) -> str:
        """The bytes as they travel in JSON."""
        return base64.b64encode(self.data).decode()


def websocket_url(address: str) -> str:
    """
    Complete what a person typed: ``host:8000``, ``http://…`` and ``wss://…`` all work.

    Raises:
        CommandError: It is no address.
    """
    if "://" not in address:
        address = f"ws://{address}"
    try:
        parts = urlsplit(address)
        scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}[parts.scheme]
        if not parts.hostname or parts.port == 0:
            raise ValueError(address)
    except (ValueError, KeyError) as error:
        raise CommandError(
            f"{address!r} is not an address like ws://localhost:8000"
        ) from error
    path = "/v1/realtime" if parts.path in ("", "/") else parts.path
    return parts._replace(scheme=scheme, path=path, fragment="").geturl()


async def ask(
    service: Service,
    text: str,
    pictures: Sequence[Picture],
    show: Callable[[str], None],
    timeout_s: float,
) -> None:
    """
    Ask one written question and show the answer.

    Raises:
        CommandError: No connection, no answer in time, or the service reports an error.
    """
    content: list[dict[str, str]] = [
        {
            "type": "input_image",
            "image_url": f"data:{picture.media_type};base64,{picture.base64}",
        }
        for picture in pictures
    ]
    content.append({"type": "input_text", "text": text})
    item = {"type": "message", "role": "user", "content": content}

    async def converse(socket: ClientConnection) -> None:
        captions = Captions()
        await send(socket, {"type": "conversation.item.create", "item": item})
        await send(socket, {"type": "response.create"})
        captions.receive_request(asyncio.get_running_loop().time())
        await _listen(socket, captions, show, is_one_answer=True)

    await with_connection(service, converse, timeout_s)


async def speak(
    service: Service,
    chunks: Sequence[bytes],
    pictures: Sequence[Picture],
    show: Callable[[str], None],
    timeout_s: float,
    speed: float = 1.0,
) -> None:
    """
    Say recorded sound in real time, then keep silent until everything is answered.

    Args:
        service: Whom to talk to.
        chunks: PCM16 at 24 kHz, ``sound.CHUNK_SAMPLES`` each.
        pictures: Shown one a second; the last one stays.
        show: Is given text to print.
        timeout_s: How long after the last sound the answer may take.
        speed: Factor on the clock (tests are in a hurry).

    Raises:
        CommandError: No connection, no answer in time, or the service reports an error.
    """

    async def source() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        started, number = loop.time(), 0
        while True:
            yield chunks[number] if number < len(chunks) else sound.SILENCE
            number += 1
            # Against the start, not the last chunk: sleeping late must not add up.
            await asyncio.sleep(started + number * sound.CHUNK_S / speed - loop.time())

    async def converse(socket: ClientConnection) -> None:
        await _say_and_listen(socket, source(), pictures, show, is_one_answer=True)

    sounding_s = len(chunks) * sound.CHUNK_S / speed
    await with_connection(service, converse, sounding_s + timeout_s)


async def speak_microphone(
    service: Service, pictures: Sequence[Picture], show: Callable[[str], None]
) -> None:
    """
    Talk until interrupted.

    Raises:
        CommandError: No microphone, or no connection.
    """

    async def converse(socket: ClientConnection) -> None:
        await _say_and_listen(
            socket, sound.microphone(), pictures, show, is_one_answer=False
        )

    await with_connection(service, converse, None)


async def with_connection(
    service: Service, converse: Callable[[ClientConnection], Any], timeout_s: float | None
) -> None:
    """
    Open a session, run ``converse`` on its socket, and name what goes wrong.

    Raises:
        CommandError: No connection, one that was lost, or not done in time.
    """
    try:
        async with connect(
            service.url,
            ssl=_ssl_context(service),
            additional_headers={"Authorization": f"Bearer {service.key}"}
            if service.key
            else None,
            open_timeout=_OPEN_TIMEOUT_S,
            max_size=_MAX_MESSAGE_BYTES,
            compression=None,
            proxy=None if _is_local(service.url) else True,
        ) as socket:
            async with asyncio.timeout(timeout_s):
                await _begin(socket)
                await converse(socket)
    except InvalidStatus as error:
        status = error.response.status_code
        hint = f"; put a key into {KEY_VARIABLE}" if status in (401, 403) else ""
        raise CommandError(
            f"{service.url} refused the connection ({status}){hint}"
        ) from error
    except ConnectionClosed as error:
        raise CommandError(f"the service closed the connection: {error}") from error
    except TimeoutError as error:
        raise CommandError(f"no answer from {service.url} in time") from error
    except ssl.SSLCertVerificationError as error:
        raise CommandError(
            f"{service.url}: {error.verify_message}; --insecure accepts any certificate"
        ) from error
    except (OSError, WebSocketException) as error:
        raise CommandError(
            f"cannot connect to {service.url} ({error}); is the service running there?"
        ) from error


async def _begin(socket: ClientConnection) -> None:
    audio = {
        "format": {"type": "audio/pcm", "rate": sound.RATE_HZ},
        "turn_detection": {"type": "server_vad"},
    }
    session = {"type": "realtime", "output_modalities": ["text"], "audio": {"input": audio}}
    await send(socket, {"type": "session.update", "session": session})


async def _say_and_listen(
    socket: ClientConnection,
    source: AsyncIterator[bytes],
    pictures: Sequence[Picture],
    show: Callable[[str], None],
    is_one_answer: bool,
) -> None:
    async def say() -> None:
        number = 0
        async for chunk in source:
            if pictures and number % _FRAME_EVERY_CHUNKS == 0:
                shown = pictures[min(number // _FRAME_EVERY_CHUNKS, len(pictures) - 1)]
                await send(
                    socket, {"type": "input_image_buffer.append", "image": shown.base64}
                )
            audio = base64.b64encode(chunk).decode()
            await send(socket, {"type": "input_audio_buffer.append", "audio": audio})
            number += 1

    try:
        async with asyncio.TaskGroup() as tasks:
            saying = tasks.create_task(say())
            await _listen(socket, Captions(), show, is_one_answer=is_one_answer)
            saying.cancel()
    except ExceptionGroup as group:
        # Both sides fail together when the connection breaks; one reason is enough.
        raise group.exceptions[0] from None


async def _listen(
    socket: ClientConnection,
    captions: Captions,
    show: Callable[[str], None],
    is_one_answer: bool,
) -> None:
    """Show what arrives until everything is answered (or, by microphone, for ever)."""
    loop = asyncio.get_running_loop()
    async for message in socket:
        try:
            event = json.loads(message)
        except ValueError as error:
            raise CommandError(f"the service sent what is not JSON: {error}") from error
        if isinstance(event, dict):
            show(captions.receive_event(event, loop.time()))
        if is_one_answer and captions.failure:
            raise CommandError(f"the service reports {captions.failure}")
        if is_one_answer and captions.is_finished:
            return
    raise CommandError("the service closed the connection before it answered")


async def send(socket: ClientConnection, event: dict[str, Any]) -> None:
    """Send one event."""
    await socket.send(json.dumps(event))


def _ssl_context(service: Service) -> ssl.SSLContext | None:
    if not service.url.startswith("wss:"):
        return None
    context = ssl.create_default_context()
    if service.is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_local(url: str) -> bool:
    """A proxy of the environment must not be asked for this very machine."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
