"""Sound files become chunks of PCM16 mono at 24 kHz."""

import asyncio
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from assistant.cli.sound import CHUNK_SAMPLES, RATE_HZ, SILENCE, microphone, read_file
from assistant.errors import CommandError


def samples_of(chunks: list[bytes]) -> np.ndarray:
    assert {len(chunk) for chunk in chunks} == {len(SILENCE)}
    return np.frombuffer(b"".join(chunks), "<i2")


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (24_000, 1), (44_100, 2)])
def test_any_rate_and_channels_keep_pitch_and_length(
    tmp_path: Path, rate: int, channels: int
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(str(tmp_path / "a.wav"), np.stack([tone] * channels, 1), rate)
    heard = samples_of(read_file(tmp_path / "a.wav"))
    assert RATE_HZ <= len(heard) < RATE_HZ + 2 * CHUNK_SAMPLES
    spectrum = np.abs(np.fft.rfft(heard[:RATE_HZ].astype(np.float64)))
    assert spectrum.argmax() == 440
    assert abs(int(np.abs(heard).max()) - 16384) < 400


def test_too_loud_a_sound_is_clipped_and_does_not_wrap(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "a.wav"), np.full(2400, 1.5), RATE_HZ, subtype="FLOAT")
    assert samples_of(read_file(tmp_path / "a.wav"))[:2400].min() == 32767


def test_what_is_no_sound_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(CommandError, match=r"cannot read .*a\.wav as sound"):
        read_file(tmp_path / "a.wav")
    with pytest.raises(CommandError, match="cannot read"):
        read_file(tmp_path / "absent.wav")


def test_a_file_without_samples_or_with_nan_holds_no_sound(tmp_path: Path) -> None:
    for samples in (np.zeros(0), np.full(100, np.nan)):
        soundfile.write(str(tmp_path / "a.wav"), samples, RATE_HZ, subtype="FLOAT")
        with pytest.raises(CommandError, match="holds no sound"):
            read_file(tmp_path / "a.wav")


def test_a_microphone_without_sounddevice_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)

    async def listen() -> bytes:
        return await anext(microphone())

    with pytest.raises(CommandError, match="pip install sounddevice"):
        asyncio.run(listen())


class FakeStream:
    """A microphone that delivers three chunks when it is opened."""

    is_open = False

    def __init__(self, **options: object) -> None:
        self.callback = options["callback"]
        assert (options["samplerate"], options["dtype"]) == (RATE_HZ, "int16")

    def __enter__(self) -> "FakeStream":
        FakeStream.is_open = True
        for number in range(3):
            assert callable(self.callback)
            self.callback(bytearray([number]), 1, None, None)
        return self

    def __exit__(self, *_: object) -> None:
        FakeStream.is_open = False


def test_a_microphone_yields_chunks_and_is_closed_when_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("sounddevice")
    vars(module).update(RawInputStream=FakeStream, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)

    async def listen() -> list[bytes]:
        sounds = microphone()
        heard = [await anext(sounds) for _ in range(3)]
        assert FakeStream.is_open
        await sounds.aclose()
        return heard

    assert asyncio.run(listen()) == [b"\0", b"\1", b"\2"]
    assert not FakeStream.is_open
