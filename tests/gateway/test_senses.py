from pathlib import Path

import numpy as np
import pytest

from assistant.config import (
    Config,
    EngineConfig,
    LimitsConfig,
    VadConfig,
)
from assistant.errors import MediaError
from assistant.gateway.senses import Senses
from assistant.media import frames
from assistant.media.turn_model import WINDOW_S
from assistant.turns.endpointing import WINDOW_SAMPLES
from assistant.turns.settings import InputFormat
from tests.media.pictures import encoded
from tests.media.tiny_onnx import network

PCM_16K = InputFormat("audio/pcm", 16_000)


@pytest.fixture
def senses() -> Senses:
    senses = Senses(Config(vad=VadConfig(engine="webrtc")))
    senses.set_format(PCM_16K)
    return senses


def pcm(samples: int, first: int = 0) -> bytes:
    """Return samples that say where they are."""
    return (np.arange(first, first + samples) % 30_000).astype("<i2").tobytes()


def test_sound_is_found_again_by_its_index(senses: Senses) -> None:
    assert senses.hear(pcm(1000)) == 1000
    assert senses.hear(pcm(1000, 1000)) == 1000
    clip = np.frombuffer(senses.clip(990, 1010), np.float32) * 32768
    assert clip.tolist() == list(range(990, 1010))


def test_a_level_is_that_of_the_range_in_decibels(senses: Senses) -> None:
    senses.hear(np.full(2000, 3277, "<i2").tobytes() + bytes(2000))
    assert senses.level_db(0, 2000) == pytest.approx(-20, abs=0.1)
    assert senses.level_db(2000, 3000) == pytest.approx(-120)


def test_any_detector_can_be_told_how_far_people_are(senses: Senses) -> None:
    senses.set_distance("near_field")
    senses.hear(pcm(WINDOW_SAMPLES))
    assert len(list(senses.probabilities())) == 1


def test_windows_are_judged_once_each_and_when_they_are_complete(senses: Senses) -> None:
    senses.hear(pcm(WINDOW_SAMPLES - 1))
    assert list(senses.probabilities()) == []
    senses.hear(pcm(2 * WINDOW_SAMPLES + 1))
    assert len(list(senses.probabilities())) == 3
    assert list(senses.probabilities()) == []


def test_what_is_skipped_is_never_judged(senses: Senses) -> None:
    senses.hear(pcm(10 * WINDOW_SAMPLES))
    judged = 0
    for _ in senses.probabilities():
        judged += 1
        senses.skip()
    assert judged == 1
    senses.hear(pcm(WINDOW_SAMPLES))
    assert len(list(senses.probabilities())) == 1


def test_half_a_sample_is_refused_before_any_of_it_is_heard(senses: Senses) -> None:
    with pytest.raises(MediaError, match="even number"):
        senses.check(bytes(3))


def test_a_recording_in_pieces_is_the_recording_as_a_whole(
    senses: Senses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.gateway.senses.CLIP_SLICE_BYTES", 10_000)
    samples = 12_345
    clip = np.frombuffer(senses.read_clip(pcm(samples), PCM_16K), np.float32)
    expected = np.frombuffer(pcm(samples), "<i2").astype(np.float32) / 32768
    assert np.array_equal(clip, expected)
    resampled = senses.read_clip(pcm(60_000), InputFormat())
    assert len(resampled) / 4 == 40_000


def test_a_recording_over_the_bound_is_refused_before_it_is_decoded() -> None:
    config = Config(vad=VadConfig(engine="webrtc"), engine=EngineConfig(max_audio_s=2.0))
    senses = Senses(config)
    senses.read_clip(bytes(2 * 32_000), PCM_16K)
    with pytest.raises(MediaError, match="recording of 3 s, at most 2 s") as caught:
        senses.read_clip(bytes(3 * 32_000), PCM_16K)
    assert caught.value.code == "audio_too_long"


def test_reading_a_recording_leaves_the_stream_alone(senses: Senses) -> None:
    senses.hear(pcm(100))
    senses.read_clip(pcm(500), PCM_16K)
    senses.hear(pcm(100, 100))
    clip = np.frombuffer(senses.clip(0, 200), np.float32) * 32768
    assert clip.tolist() == list(range(200))


def test_a_frame_that_was_looked_at_is_not_checked_again(
    senses: Senses, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, other = encoded(".jpg"), encoded(".png")
    seen = senses.look(picture)
    checked: list[bytes] = []
    check = frames.check_frame

    def noted(data: bytes, limits: LimitsConfig) -> frames.Frame:
        checked.append(data)
        return check(data, limits)

    monkeypatch.setattr(frames, "check_frame", noted)
    with senses.looking_at(seen):
        senses.add_frame(picture, 1.0, None)
        senses.add_frame(other, 2.0, None)
    senses.add_frame(picture, 3.0, 30.0)
    assert checked == [other, picture]
    assert [meta.captured_s for meta in senses.frames()] == [1.0, 2.0, 3.0]
    assert senses.frame(2) == other
    assert senses.novelty(1, 3) == 0
    senses.clear_frames()
    assert senses.frames() == []


def test_a_picture_that_cannot_be_read_is_refused(senses: Senses) -> None:
    with pytest.raises(MediaError):
        senses.check_image(b"nothing")
    with pytest.raises(MediaError):
        senses.add_frame(b"nothing", 0.0, None)
    assert senses.frames() == []


def test_a_clip_is_judged_by_the_configured_network(tmp_path: Path) -> None:
    file = tmp_path / "turn.onnx"
    file.write_bytes(network((1, WINDOW_S * 16_000)))
    config = Config(vad=VadConfig(engine="webrtc", turn_model=str(file)))
    silence = np.zeros(1600, np.float32).tobytes()
    assert Senses(config).finality(silence) == pytest.approx(0.5)
