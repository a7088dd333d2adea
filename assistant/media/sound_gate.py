"""
Whether a window can hold speech at all, for 15 µs: so that silence costs next to nothing.

Stands before a network that takes ten times as long. It must not miss speech and may let
anything through, so it opens at whatever is unlike the room: what WebRTC's detector takes
for a voice, or what is well above the noise floor. It stays open for a while after that.
"""

import numpy as np
import webrtcvad

from assistant.media.audio import RATE_HZ, Samples

AGGRESSIVENESS = 2
FRAME_SAMPLES = 480
"""30 ms: of a window of 32, what WebRTC's detector takes in one go."""
OPEN_WINDOWS = 20
"""That it stays open after the last sign of life: 0.64 s, longer than most pauses."""
RISE = 2.0
"""6 dB above the floor is no longer the room."""
FLOOR_FALL = 0.3
"""Share of the way down to a quieter window that the floor follows at once."""
FLOOR_RISE = 1.004
"""Per window: 1 dB a second, so that half a minute of a fan is the room again."""
QUIETEST_RMS = 1e-5


class SoundGate:
    """The noise floor of one talker's room, and whether it is quiet there."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(AGGRESSIVENESS)
        self._floor: float | None = None
        self._num_left = OPEN_WINDOWS

    @property
    def floor(self) -> float:
        """RMS of the quiet room, in [0, 1]."""
        return self._floor or QUIETEST_RMS

    def opens(self, window: Samples) -> bool:
        """Take the next window, float32 [512]; return whether it is to be judged."""
        rms = float(np.sqrt(np.dot(window, window) / len(window)))
        self._follow(rms)
        if rms > RISE * self.floor or self._is_voice(window):
            self.keep_open()
        else:
            self._num_left = max(0, self._num_left - 1)
        return self._num_left > 0

    def keep_open(self) -> None:
        """Something may be going on: let the next windows through."""
        self._num_left = OPEN_WINDOWS

    def _follow(self, rms: float) -> None:
        if self._floor is None or rms < self._floor:
            floor = rms if self._floor is None else self._floor
            self._floor = max(QUIETEST_RMS, floor + FLOOR_FALL * (rms - floor))
        else:
            self._floor = min(rms, self._floor * FLOOR_RISE)

    def _is_voice(self, window: Samples) -> bool:
        # Not np.clip: around such short arrays that costs more than all the rest.
        scaled = np.minimum(np.maximum(window[:FRAME_SAMPLES] * 32768, -32768), 32767)
        return bool(self._vad.is_speech(scaled.astype("<i2").tobytes(), RATE_HZ))
