"""
Several people talking to a service at once, in real time, for ``assistant bench turns``.

Each is a client like any other: a microphone that never stops sending, a camera that shows
a picture a second, and ears that note when every event came. Decides nothing about what
the figures mean.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection

from assistant.cli import sound
from assistant.cli.conversation import Picture, Service, send, with_connection
from assistant.errors import CommandError

STAGGER_S = 0.013
"""Between the starts of two people, so that nobody's packets fall on the same instant."""
LEAD_CHUNKS = 12
"""Half a second of silence before each recording."""
DEAF_CHUNKS = 75
"""Three seconds of silence after a recording in which nobody heard any speech."""
FRAME_EVERY_CHUNKS = 25


@dataclass(slots=True)
class Ears:
    """What one session was sent, and whether it still owes something."""

    heard: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def receive(self, at: float, event: dict[str, Any]) -> None:
        """Take note of an event."""
        self.heard.append((at, event))
        kind = event["type"]
        self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def num_started(self) -> int:
        return self.counts.get("input_audio_buffer.speech_started", 0)

    @property
    def is_answered(self) -> bool:
        """Every stretch of speech has ended, and every one has its answer."""
        done = self.counts.get("response.done", 0)
        stopped = self.counts.get("input_audio_buffer.speech_stopped", 0)
        created = self.counts.get("response.created", 0)
        return self.num_started == stopped <= done and created == done


async def talk_at_once(
    service: Service,
    people: Sequence[Sequence[Sequence[bytes]]],
    pictures: Sequence[Picture],
    *,
    timeout_s: float,
    speed: float = 1.0,
) -> list[list[tuple[float, dict[str, Any]]]]:
    """
    Let everybody say their recordings, waiting for each answer before the next one.

    Args:
        service: Whom to talk to.
        people: Recordings of each, as chunks of ``sound.CHUNK_SAMPLES``.
        pictures: Shown one a second, over and over.
        timeout_s: How long an answer may take after the last sound.
        speed: Factor on the clock (tests are in a hurry).

    Returns:
        What each was sent, with times in seconds.

    Raises:
        CommandError: No connection, no answer in time, or the service reports an error.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            talking = [
                tasks.create_task(
                    _talk(service, said, pictures, number * STAGGER_S, timeout_s, speed)
                )
                for number, said in enumerate(people)
            ]
    except ExceptionGroup as group:
        raise _first(group) from None
    return [task.result().heard for task in talking]


def _first(error: Exception) -> Exception:
    """Return one reason of several: when a service goes, all sessions fail together."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _talk(
    service: Service,
    recordings: Sequence[Sequence[bytes]],
    pictures: Sequence[Picture],
    delay_s: float,
    timeout_s: float,
    speed: float,
) -> Ears:
    ears = Ears()
    microphone = Microphone(recordings, ears, int(timeout_s / sound.CHUNK_S) + 1)

    async def converse(socket: ClientConnection) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(_listen(socket, ears))
                await _say(socket, microphone, pictures, speed)
                listening.cancel()
        except ExceptionGroup as group:
            # Both sides fail together when the connection breaks; one reason is enough.
            raise _first(group) from None

    await asyncio.sleep(delay_s)
    longest = sum(len(chunks) for chunks in recordings) * sound.CHUNK_S / speed
    await with_connection(service, converse, longest + timeout_s * len(recordings) + 10)
    return ears


class Microphone:
    """What one person's microphone picks up, chunk by chunk, until all is answered."""

    def __init__(
        self, recordings: Sequence[Sequence[bytes]], ears: Ears, patience_chunks: int
    ) -> None:
        self._recordings = recordings
        self._ears = ears
        self._patience_chunks = patience_chunks
        self._number = 0
        self._position = -LEAD_CHUNKS
        self._num_started = 0

    def next(self) -> bytes | None:
        """
        Return the next chunk; None when there is nothing more to say.

        Raises:
            CommandError: An answer has been waited for too long.
        """
        if self._number == len(self._recordings):
            return None
        chunks = self._recordings[self._number]
        position, self._position = self._position, self._position + 1
        if 0 <= position < len(chunks):
            return chunks[position]
        silent_for = position - len(chunks)
        if silent_for >= self._patience_chunks:
            raise CommandError(
                f"no answer {self._patience_chunks * sound.CHUNK_S:.0f} s on"
            )
        was_heard = self._ears.num_started > self._num_started
        is_over = was_heard or silent_for >= DEAF_CHUNKS
        if silent_for >= 0 and is_over and self._ears.is_answered:
            self._number += 1
            self._position = -LEAD_CHUNKS
            self._num_started = self._ears.num_started
        return sound.SILENCE


async def _say(
    socket: ClientConnection,
    microphone: Microphone,
    pictures: Sequence[Picture],
    speed: float,
) -> None:
    loop = asyncio.get_running_loop()
    started, number = loop.time(), 0
    while (chunk := microphone.next()) is not None:
        if pictures and number % FRAME_EVERY_CHUNKS == 0:
            shown = pictures[number // FRAME_EVERY_CHUNKS % len(pictures)]
            await send(socket, {"type": "input_image_buffer.append", "image": shown.base64})
        audio = base64.b64encode(chunk).decode()
        await send(socket, {"type": "input_audio_buffer.append", "audio": audio})
        number += 1
        # Against the start, not the last chunk: sleeping late must not add up.
        await asyncio.sleep(started + number * sound.CHUNK_S / speed - loop.time())


async def _listen(socket: ClientConnection, ears: Ears) -> None:
    loop = asyncio.get_running_loop()
    async for message in socket:
        event = json.loads(message)
        ears.receive(loop.time(), event)
        if event["type"] == "error":
            error = event.get("error", {})
            raise CommandError(f"the service reports {error.get('message', error)}")
    raise CommandError("the service closed the connection before it answered")
