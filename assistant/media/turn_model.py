"""
An end-of-turn network from an ONNX file: how final the last seconds of speech sound.

Takes files of the Smart-Turn kind: eight seconds of sound, as Whisper's log-mel features
[1, 80, 800] or as samples [1, 128000], to one number: the probability that the speaker has
finished. Knows no turns; when it is asked, and what follows, is decided elsewhere.

The features follow OpenAI's Whisper (``log_mel_spectrogram`` and its filters after Slaney)
and, where Whisper leaves it open, what Smart-Turn version 3 was trained on: sound at the
end of the window, zeros before it, the whole window at zero mean and unit variance.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from assistant.errors import ConfigError
from assistant.media.audio import RATE_HZ, Samples

WINDOW_S = 8
NUM_MELS = 80
FFT_SAMPLES = 400
HOP_SAMPLES = 160
NUM_FRAMES = WINDOW_S * RATE_HZ // HOP_SAMPLES

Features = npt.NDArray[np.float32]
"""float32 [80, 800]."""


class TurnModel:
    """One network for all talkers of the process; it keeps nothing between two calls."""

    def __init__(self, file: Path) -> None:
        """
        Load the file.

        Raises:
            ConfigError: It is not there, or is no network that takes eight seconds.
        """
        if not file.is_file():
            raise ConfigError(f"vad.turn_model = {str(file)!r}: no such file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no public base class
            reason = str(error).splitlines()[0]
            raise ConfigError(f"vad.turn_model: {file}: {reason}") from error
        inputs = self._session.get_inputs()
        self._input = inputs[0].name
        self._rank = len(inputs[0].shape)
        if len(inputs) != 1 or self._rank not in (2, 3):
            shapes = ", ".join(f"{i.name} {i.shape}" for i in inputs)
            raise ConfigError(
                f"vad.turn_model: {file} takes {shapes}, must take features "
                f"[1, {NUM_MELS}, {NUM_FRAMES}] or samples [1, {WINDOW_S * RATE_HZ}]"
            )

    def judge(self, samples: Samples) -> float:
        """
        Return how final it sounds, in [0, 1].

        Takes some 10 ms of one core, and the GIL for little of it.

        Args:
            samples: float32 mono [N] at 16 kHz, of the turn so far with its pause.
        """
        window = last_seconds(samples)
        heard = log_mel(window) if self._rank == 3 else window
        outputs = self._session.run(None, {self._input: heard[np.newaxis]})
        value = float(np.asarray(outputs[0]).reshape(-1)[-1])
        return min(1.0, max(0.0, value))


@cache
def shared_turn_model(file: str) -> TurnModel:
    """Return the process's one network of that file; raises ConfigError."""
    return TurnModel(Path(file))


def last_seconds(samples: Samples) -> Samples:
    """Return float32 [128000]: the end of the sound, zeros before it if it is shorter."""
    window = np.zeros(WINDOW_S * RATE_HZ, np.float32)
    kept = samples[-len(window) :]
    window[len(window) - len(kept) :] = kept
    return window


def log_mel(window: Samples) -> Features:
    """Return Whisper's features of a window [128000], normalised: float32 [80, 800]."""
    normal = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
    padded = np.pad(normal, FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    hann = np.hanning(FFT_SAMPLES + 1)[:-1]
    power = np.abs(np.fft.rfft(frames[:NUM_FRAMES] * hann)) ** 2
    mel = np.log10(np.maximum(_mel_filters() @ power.T, 1e-10))
    features: Features = ((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return features


@cache
def _mel_filters() -> npt.NDArray[np.float64]:
    """Return [80, 201]: triangles of equal area on Slaney's scale, 0 to 8 kHz."""
    edges_hz = _hertz(np.linspace(0.0, _mels(RATE_HZ / 2), NUM_MELS + 2))
    bins_hz = np.fft.rfftfreq(FFT_SAMPLES, 1 / RATE_HZ)
    widths_hz = np.diff(edges_hz)
    slopes = edges_hz[:, np.newaxis] - bins_hz
    rising = -slopes[:-2] / widths_hz[:-1, np.newaxis]
    falling = slopes[2:] / widths_hz[1:, np.newaxis]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    areas: npt.NDArray[np.float64] = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    filters: npt.NDArray[np.float64] = triangles * areas[:, np.newaxis]
    return filters


def _mels(hertz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, 15 mels there, then 27 to a factor of 6.4."""
    return 15.0 + 27.0 * float(np.log(hertz / 1000.0)) / float(np.log(6.4))


def _hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    high = 1000.0 * np.exp((mels - 15.0) / 27.0 * np.log(6.4))
    hertz: npt.NDArray[np.float64] = np.where(mels < 15.0, mels * 200.0 / 3.0, high)
    return hertz
