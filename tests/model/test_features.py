from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from assistant.errors import MediaError
from assistant.media.recordings import read_audio
from assistant.model.features import log_mel, num_audio_tokens, num_mel_frames

DATA = Path(__file__).parents[1] / "data"
RECORDINGS = (
    "google_today.wav",
    "google_multi_stereo_44k.flac",
    "LJ001-0002.flac",
    "0_george_0.wav",
)


def noise(num_samples: int, level: float = 0.1, seed: int = 0) -> npt.NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal(num_samples)).astype(np.float32)


def log_mel_by_definition(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Compute [n, 80] one frame, one filter and one bin at a time, in float64."""
    mel = [1127 * np.log(1 + 31.25 * k / 700) for k in range(257)]
    step = 1127 * np.log(1 + 7690 / 700) / 81
    rows = []
    for start in range(0, len(samples) - 399, 160):
        x = samples[start : start + 400].astype(np.float64)
        y = (x - 0.97 * np.concatenate([x[:1], x[:-1]])) * 32768
        power = np.abs(np.fft.rfft(np.hamming(400) * y, 512)) ** 2
        row = []
        for m in range(80):
            inside = [k for k in range(1, 246) if m * step < mel[k] < (m + 2) * step]
            energy = sum(power[k] * (1 - abs(mel[k] / step - m - 1)) for k in inside)
            row.append(np.log(max(energy, 1)))
        rows.append(row)
    return np.array(rows)


def test_features_follow_the_definition() -> None:
    samples = noise(400 + 160 * 20 + 159)
    features = log_mel(samples)
    assert features.dtype == np.float32
    assert features.shape == (21, 80)
    assert np.abs(features - log_mel_by_definition(samples)).max() <= 1e-3


def test_the_last_filter_leaves_out_the_bin_of_its_upper_edge() -> None:
    """7687.5 Hz is FFT bin 246: the original model's features never saw it."""
    time_s = np.arange(4000) / 16000
    samples = (0.5 * np.sin(2 * np.pi * 7687.5 * time_s)).astype(np.float32)
    difference = log_mel(samples) - log_mel_by_definition(samples)
    assert np.abs(difference).max() <= 2e-3


def test_silence_is_zero() -> None:
    assert not log_mel(np.zeros(1000, np.float32)).any()


@pytest.mark.parametrize(
    ("num_samples", "num_frames", "num_tokens"),
    [
        (0, 0, 0),
        (399, 0, 0),
        (400, 1, 1),
        (559, 1, 1),
        (560, 2, 1),
        (16_000, 98, 13),
        (32_000, 198, 25),
        (80_000, 498, 63),
        (640_000, 3998, 500),
        (640_240, 4000, 500),
        (640_400, 4001, 501),
    ],
)
def test_lengths_are_known_before_anything_is_computed(
    num_samples: int, num_frames: int, num_tokens: int
) -> None:
    assert num_mel_frames(num_samples) == num_frames
    assert num_audio_tokens(num_samples) == num_tokens
    if num_frames:
        assert len(log_mel(np.zeros(num_samples, np.float32))) == num_frames


def test_features_of_a_beginning_are_the_beginning_of_the_features() -> None:
    samples = noise(8000)
    assert np.array_equal(log_mel(samples[:5000]), log_mel(samples)[:29])


def test_samples_that_cannot_be_written_to_are_read() -> None:
    samples = np.frombuffer(noise(2000).tobytes(), np.float32)
    assert not samples.flags.writeable
    assert log_mel(samples).shape == (11, 80)


def test_a_recording_without_a_full_frame_is_refused() -> None:
    with pytest.raises(MediaError, match="399 samples") as refusal:
        log_mel(noise(399))
    assert refusal.value.code == "audio_too_short"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_would_poison_the_encoder_are_refused(value: float) -> None:
    samples = noise(1000)
    samples[999] = value
    with pytest.raises(MediaError) as refusal:
        log_mel(samples)
    assert refusal.value.code == "audio_invalid"


@pytest.mark.parity
def test_features_equal_those_of_transformers_but_for_the_last_filter() -> None:
    """Channels 0 to 78 to 1e-3; 79 to 0.02, as the port lets one bin more into it."""
    from transformers import Phi4MultimodalFeatureExtractor

    extractor = Phi4MultimodalFeatureExtractor()
    recordings = [read_audio(DATA / name) for name in RECORDINGS]
    recordings += [noise(50_000, level) for level in (1e-4, 1e-2, 1.0)]
    for samples in recordings:
        expected = extractor(samples, sampling_rate=16_000, return_tensors="np")
        difference = np.abs(log_mel(samples) - expected["audio_input_features"][0])
        assert difference[:, :79].max() <= 1e-3
        assert difference[:, 79].max() <= 0.02
        assert expected["audio_embed_sizes"][0] == num_audio_tokens(samples.size)
