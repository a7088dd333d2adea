from pathlib import Path

import numpy as np
import pytest

from assistant.errors import ConfigError
from assistant.media.audio import RATE_HZ, Samples
from assistant.media.turn_model import (
    NUM_FRAMES,
    NUM_MELS,
    WINDOW_S,
    TurnModel,
    last_seconds,
    log_mel,
    shared_turn_model,
)
from tests.media.tiny_onnx import network

NUM_SAMPLES = WINDOW_S * RATE_HZ


def hiss(duration_s: float) -> Samples:
    rng = np.random.default_rng(6)
    return rng.normal(0, 0.1, int(duration_s * RATE_HZ)).astype(np.float32)


def model(folder: Path, *shape: int, num_inputs: int = 1) -> TurnModel:
    file = folder / "turn.onnx"
    file.write_bytes(network(shape, num_inputs=num_inputs))
    return TurnModel(file)


def test_sound_stands_at_the_end_of_its_window() -> None:
    short, long = hiss(1.0), hiss(10.0)
    assert (last_seconds(short)[-RATE_HZ:] == short).all()
    assert not last_seconds(short)[:-RATE_HZ].any()
    assert (last_seconds(long) == long[-NUM_SAMPLES:]).all()


def test_a_tone_is_loudest_where_its_pitch_is() -> None:
    at = np.arange(NUM_SAMPLES) / RATE_HZ
    features = log_mel(np.sin(2 * np.pi * 440 * at).astype(np.float32))
    assert features.shape == (NUM_MELS, NUM_FRAMES)
    # 440 Hz are 6.6 of the 45.2 mels that 82 edges span: the 11th or 12th filter.
    assert set(features[:, 10:-10].argmax(axis=0).tolist()) <= {10, 11}


def test_loudness_does_not_matter() -> None:
    window = last_seconds(hiss(3.0))
    np.testing.assert_allclose(log_mel(window), log_mel(window * 0.1), atol=1e-3)


@pytest.mark.parity
def test_the_features_are_those_of_whisper() -> None:
    from transformers import WhisperFeatureExtractor

    window = last_seconds(hiss(3.0))
    extract = WhisperFeatureExtractor(chunk_length=WINDOW_S)  # type: ignore[no-untyped-call]  # transformers has none
    expected = extract(
        window,
        sampling_rate=RATE_HZ,
        return_tensors="np",
        padding="max_length",
        max_length=NUM_SAMPLES,
        do_normalize=True,
    )
    np.testing.assert_allclose(log_mel(window), expected.input_features[0], atol=1e-3)


def test_a_network_may_take_features_or_samples(tmp_path: Path) -> None:
    sound = hiss(2.0)
    window = last_seconds(sound)
    for shape, mean in (
        ((1, NUM_MELS, NUM_FRAMES), log_mel(window).mean()),
        ((1, NUM_SAMPLES), window.mean()),
    ):
        finality = model(tmp_path, *shape).judge(sound)
        assert finality == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-4)


def test_what_is_no_such_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        TurnModel(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.onnx"):
        TurnModel(tmp_path / "text.onnx")
    with pytest.raises(ConfigError, match="must take"):
        model(tmp_path, 1)


def test_a_file_is_loaded_once(tmp_path: Path) -> None:
    file = tmp_path / "turn.onnx"
    file.write_bytes(network((1, NUM_SAMPLES)))
    assert shared_turn_model(str(file)) is shared_turn_model(str(file))
