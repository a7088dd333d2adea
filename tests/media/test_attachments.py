import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.config import Config, EngineConfig
from assistant.errors import MediaError
from assistant.media.attachments import Attachments
from assistant.turns.settings import InputFormat

DATA = Path(__file__).parents[1] / "data"


def attachments(max_audio_s: float = 60.0) -> Attachments:
    return Attachments(Config(engine=EngineConfig(max_audio_s=max_audio_s)))


def silence(seconds: float, format: str = "FLAC") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(seconds * 8000)), 8000, format=format)
    return file.getvalue()


def code(given: Attachments, data: bytes) -> str:
    with pytest.raises(MediaError) as caught:
        given.read_clip(data, InputFormat())
    return caught.value.code


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "OGG"])
def test_sound_files_become_samples_at_16_khz(format: str) -> None:
    samples = np.frombuffer(
        attachments().read_clip(silence(1.0, format), InputFormat()), "<f4"
    )
    assert abs(len(samples) - 16_000) < 2000
    assert np.abs(samples).max() < 1e-3


def test_the_bound_is_that_of_all_recordings_together() -> None:
    given = attachments(max_audio_s=2.5)
    given.read_clip(silence(1.0), InputFormat())
    given.read_clip(silence(1.0), InputFormat())
    assert code(given, silence(1.0)) == "audio_too_long"


def test_a_small_file_with_half_an_hour_of_silence_is_not_decoded_to_its_end() -> None:
    bomb = silence(1800)
    assert len(bomb) < 100_000
    with pytest.raises(MediaError, match="at most 60 s are taken"):
        attachments().read_clip(bomb, InputFormat())


def test_more_sound_than_a_prompt_holds_is_not_decoded() -> None:
    engine = EngineConfig(max_sequence_tokens=100, max_audio_s=60.0)
    given = Attachments(Config(engine=engine))
    given.read_clip(silence(8.0), InputFormat())
    assert code(given, silence(0.5)) == "audio_too_long"


def test_what_is_no_recording_is_refused() -> None:
    assert code(attachments(), b"no sound") == "unsupported_audio_type"
    assert code(attachments(), silence(1.0)[:60]) in (
        "audio_invalid",
        "unsupported_audio_type",
    )


def test_pictures_are_checked() -> None:
    attachments().check_image((DATA / "bottles.jpg").read_bytes())
    with pytest.raises(MediaError):
        attachments().check_image(b"no picture")
