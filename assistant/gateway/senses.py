"""
What one session has heard and seen: its sound ring, its frames, its detector.

Implements the ``Media`` that a Session asks for bytes; everything here is bounded.
Sound runs inline, a fraction of a millisecond per step. Pictures and whole recordings
take longer: ``look``, ``check_image`` and ``read_clip`` change nothing and may run in a
thread.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from assistant.config import Config
from assistant.errors import MediaError
from assistant.media import frames
from assistant.media.audio import AudioFormat, AudioRing, InputDecoder, Samples
from assistant.media.frames import FrameStore
from assistant.media.turn_model import shared_turn_model
from assistant.media.vad import Distance, open_vad
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.endpointing import WINDOW_SAMPLES
from assistant.turns.pairing import FrameMeta
from assistant.turns.settings import InputFormat

_CODECS: dict[str, AudioFormat] = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "g711_ulaw",
    "audio/pcma": "g711_alaw",
}
RING_MARGIN_S = 2.0  # padding and trailing sound around the longest utterance
SILENT_POWER = 1e-12
"""-120 dB: digital silence has a level, too."""
CLIP_SLICE_BYTES = 2**20
"""Recordings are decoded in such pieces: the resampler needs 30 times what it is given."""


class Senses:
    """Sound and pictures of one session."""

    def __init__(self, config: Config) -> None:
        self._limits = config.limits
        self._max_clip_s = config.engine.max_audio_s
        self._picture: frames.Frame | None = None
        longest_s = max(config.limits.audio_buffer_s, config.endpointing.max_utterance_s)
        self._ring = AudioRing(int((longest_s + RING_MARGIN_S) * SAMPLE_RATE_HZ))
        self._store = FrameStore(config.pairing.ring_frames)
        self._vad = open_vad(config.vad)
        turn_model = config.vad.turn_model
        self._turn_model = shared_turn_model(turn_model) if turn_model else None
        self._decoder = _decoder(InputFormat())
        self._judged = 0  # samples the detector has seen or skipped

    @property
    def hangover_ms(self) -> int:
        """How long the detector goes on calling speech after the last sound."""
        return self._vad.hangover_ms

    # --- sound --------------------------------------------------------------------------

    def set_format(self, form: InputFormat) -> None:
        self._decoder = _decoder(form)

    def set_distance(self, distance: Distance | None) -> None:
        self._vad.listen(distance)

    def check(self, data: bytes) -> None:
        """Raise MediaError unless the decoder can take the bytes as a whole."""
        self._decoder.check(data)

    def hear(self, data: bytes) -> int:
        """Decode bytes into the ring; return how many samples at 16 kHz came out."""
        return self.listen(self._decoder.receive(data))

    def listen(self, samples: Samples) -> int:
        """Take float32 samples at 16 kHz into the ring; return how many they are."""
        self._ring.append(samples)
        return len(samples)

    def probabilities(self) -> Iterator[float]:
        """Judge the windows that are complete, one at a time."""
        while self._ring.end - self._judged >= WINDOW_SAMPLES:
            window = self._ring.read(self._judged, self._judged + WINDOW_SAMPLES)
            self._judged += WINDOW_SAMPLES
            yield self._vad.receive(window)

    def skip(self) -> None:
        """Leave the sound up to now unjudged and forget what the detector remembers."""
        self._judged = self._ring.end
        self._vad.reset()

    def clip(self, start: int, stop: int) -> bytes:
        samples = self._ring.read(max(start, self._ring.start), stop)
        return samples.astype(np.float32, copy=False).tobytes()

    def finality(self, clip: bytes) -> float:
        """Judge how final a clip sounds; may run in a thread."""
        assert self._turn_model is not None, "nobody asks without a model"
        return self._turn_model.judge(np.frombuffer(clip, np.float32))

    def level_db(self, start: int, stop: int) -> float:
        samples = self._ring.read(max(start, self._ring.start), stop)
        power = float(np.dot(samples, samples)) / max(1, len(samples))
        return 10 * math.log10(power + SILENT_POWER)

    def read_clip(self, data: bytes, form: InputFormat) -> bytes:
        duration_s = form.num_samples(len(data)) / SAMPLE_RATE_HZ
        if duration_s > self._max_clip_s:
            raise MediaError(
                "audio_too_long",
                f"recording of {duration_s:.0f} s, at most {self._max_clip_s:g} s",
            )
        decoder = _decoder(form)
        decoder.check(data)
        starts = range(0, len(data), CLIP_SLICE_BYTES)
        pieces = [decoder.receive(data[at : at + CLIP_SLICE_BYTES]) for at in starts]
        samples = np.concatenate([*pieces, decoder.flush()])
        return samples.astype(np.float32, copy=False).tobytes()

    # --- pictures -----------------------------------------------------------------------

    def look(self, data: bytes) -> frames.Frame:
        """Check a picture; raises MediaError."""
        return frames.check_frame(data, self._limits)

    @contextmanager
    def looking_at(self, picture: frames.Frame) -> Iterator[None]:
        """Take this picture as checked while the block runs."""
        self._picture = picture
        try:
            yield
        finally:
            self._picture = None

    def check_image(self, data: bytes) -> None:
        self.look(data)

    def add_frame(self, data: bytes, captured_s: float, timestamp_ms: float | None) -> None:
        known = self._picture
        picture = known if known is not None and known.data is data else self.look(data)
        self._store.add(picture, captured_s, timestamp_ms)

    def frames(self) -> list[FrameMeta]:
        return self._store.metas()

    def frame(self, frame_id: int) -> bytes:
        return self._store.get(frame_id)

    def novelty(self, one: int, other: int) -> float:
        return self._store.novelty(one, other)

    def clear_frames(self) -> None:
        self._store.clear()


def _decoder(form: InputFormat) -> InputDecoder:
    return InputDecoder(_CODECS[form.type], form.rate_hz)
