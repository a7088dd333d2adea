"""What a call has of media tracks: sound and pictures that come beside its events."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from assistant.wire import client_events as client, refusals


@dataclass(slots=True)
class Tracks:
    """The tracks of the connection that leads a call; without one, nothing."""

    catch_up: Callable[[], Awaitable[None]] | None = None
    """Set while the sound comes from a track: waits for what was said up to now."""
    look: Callable[[], Awaitable[None]] | None = None
    """Set while there is a camera that has to be asked: brings what it shows now."""

    username: str = ""
    """Of the client's ICE agent; "" where there is none."""

    async def prepare(self, event: client.ClientEvent) -> None:
        """
        Bring what an event is about; it may travel faster than sound and pictures do.

        Raises:
            EventRefused: It brings sound, and so does a track.
        """
        match event:
            case client.InputAudioAppend() if self.catch_up is not None:
                raise refusals.not_by_this_transport(event_type="input_audio_buffer.append")
            case client.InputAudioCommit() if self.catch_up is not None:
                await self.catch_up()
            case client.ResponseCreate() if self.look is not None:
                await self.look()

    def drop(self) -> None:
        """Another connection leads, or none: what it has is not known yet."""
        self.catch_up = self.look = None
        self.username = ""
