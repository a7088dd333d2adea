import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from assistant.errors import MediaError
from assistant.media.recordings import read_audio, read_blocks

DATA = Path(__file__).parents[1] / "data"


def tone(
    rate_hz: int, frequency_hz: float = 440, seconds: float = 1
) -> npt.NDArray[np.float32]:
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def wav(samples: npt.NDArray[np.float32], rate_hz: int, subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_any_rate_becomes_16_khz(rate_hz: int) -> None:
    samples = read_audio(wav(tone(rate_hz), rate_hz))
    assert samples.dtype == np.float32
    assert samples.shape == (16_000,)
    middle = slice(1000, 15_000)
    assert np.abs(samples - tone(16_000))[middle].max() < 2e-3


def test_16_khz_mono_is_left_as_it_is() -> None:
    assert np.array_equal(read_audio(wav(tone(16_000), 16_000)), tone(16_000))


def test_channels_are_averaged() -> None:
    left, right = tone(16_000), tone(16_000, 1000)
    stereo = np.stack([left, right], axis=1)
    assert np.allclose(read_audio(wav(stereo, 16_000)), (left + right) / 2)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("google_today.wav", 0.591),
        ("google_multi_stereo_44k.flac", 1.5),
        ("LJ001-0002.flac", 1.9),
        ("0_george_0.wav", 0.298),
    ],
)
def test_real_recordings_are_read_from_paths_and_from_bytes(
    name: str, seconds: float
) -> None:
    samples = read_audio(DATA / name)
    assert samples.ndim == 1
    assert abs(samples.size / 16_000 - seconds) < 0.002
    assert 0.05 < np.abs(samples).max() <= 1.1
    assert np.array_equal(read_audio((DATA / name).read_bytes()), samples)
    assert np.array_equal(read_audio(str(DATA / name)), samples)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_refused(value: float) -> None:
    samples = tone(16_000)
    samples[5] = value
    with pytest.raises(MediaError) as refusal:
        read_audio(wav(samples, 16_000))
    assert refusal.value.code == "audio_invalid"


def test_a_recording_without_samples_is_refused() -> None:
    with pytest.raises(MediaError, match="no samples") as refusal:
        read_audio(wav(tone(16_000)[:0], 16_000))
    assert refusal.value.code == "audio_invalid"


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not audio at all" * 100])
def test_what_is_not_a_recording_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError) as refusal:
        read_audio(data)
    assert refusal.value.code == "unsupported_audio_type"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.wav", tmp_path):
        with pytest.raises(MediaError, match=path.name) as refusal:
            read_audio(path)
        assert refusal.value.code == "audio_not_found"


def test_a_recording_over_its_bound_is_refused_with_the_bound() -> None:
    data = wav(tone(16_000, seconds=3), 16_000)
    assert len(read_audio(data, max_s=3.0)) == 48_000
    with pytest.raises(MediaError, match=r"at most 2\.9 s") as refusal:
        read_audio(data, max_s=2.9)
    assert refusal.value.code == "audio_too_long"


def test_blocks_are_bounded_and_put_together_the_whole() -> None:
    data = wav(tone(44_100, seconds=25), 44_100)
    blocks = list(read_blocks(data))
    assert len(blocks) == 4
    assert max(len(block) for block in blocks) <= 161_000
    assert np.array_equal(np.concatenate(blocks), read_audio(data))
    assert sum(len(block) for block in blocks) == 25 * 16_000


def test_more_channels_than_anybody_has_are_refused() -> None:
    many = np.zeros((10, 40), np.float32)
    with pytest.raises(MediaError, match="40 channels"):
        read_audio(wav(many, 16_000))
