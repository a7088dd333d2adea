"""
Pictures and sound files of one request: checked, decoded and counted together.

Implements what reading a client's items asks of the media side. Decoding takes up to
100 ms a picture and a second a recording: run it in a thread.
"""

from assistant.config import Config
from assistant.media import frames, recordings
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.settings import InputFormat

AUDIO_TOKEN_S = 0.08
"""The encoder makes one token of eight hops of 10 ms."""


class Attachments:
    """The bounds hold for all recordings of the request together."""

    def __init__(self, config: Config) -> None:
        self._limits = config.limits
        # What no prompt can hold need not be decoded to be refused.
        room_s = config.engine.max_sequence_tokens * AUDIO_TOKEN_S
        self._left_s = min(config.engine.max_audio_s, room_s)

    def check_image(self, data: bytes) -> None:
        """Raise MediaError unless the picture can be shown to the model."""
        frames.check_frame(data, self._limits)

    def read_clip(self, data: bytes, form: InputFormat) -> bytes:
        """
        Return a whole sound file as float32 little-endian samples at 16 kHz.

        ``form`` is that of a session's raw samples; a file says itself what it holds.

        Raises:
            MediaError: It cannot be read, or there is more sound than may be sent at once.
        """
        samples = recordings.read_audio(data, max(0.0, self._left_s))
        self._left_s -= len(samples) / SAMPLE_RATE_HZ
        return samples.astype("<f4", copy=False).tobytes()
