from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.config import VadConfig
from assistant.errors import MediaError
from assistant.media import vad
from assistant.media.audio import RATE_HZ, Samples
from assistant.media.labelled import (
    Judge,
    Recording,
    above_rumble,
    mixed,
    read_labelled,
    read_labels,
    read_noise,
)

HEADER = "start_s\tend_s\tlabel\n"
CHEAP = VadConfig(engine="webrtc")


def hiss(rms: float, duration_s: float = 1.0, seed: int = 1) -> Samples:
    rng = np.random.default_rng(seed)
    return rng.normal(0, rms, int(duration_s * RATE_HZ)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "talk.wav", hiss(0.1), RATE_HZ)
    (tmp_path / "talk.tsv").write_text(HEADER + "0.5\t0.9\tspeech\n0.1\t0.3\tspeech\n")
    soundfile.write(tmp_path / "fan.flac", hiss(0.01, seed=2), RATE_HZ)
    (tmp_path / "INDEX.tsv").write_text("file\n")
    return tmp_path


def test_recordings_with_labels_are_speech_and_those_without_are_noise(
    folder: Path,
) -> None:
    (talk,) = read_labelled(folder)
    assert (talk.name, len(talk.samples)) == ("talk", RATE_HZ)
    assert talk.labels == [(0.1, 0.3), (0.5, 0.9)], "in order"
    assert [noise.name for noise in read_noise(folder)] == ["fan"]


def test_other_labels_than_speech_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(HEADER + "0\t1\tmusic\n1\t2\tspeech\n2.0\t2.5\n")
    assert read_labels(file) == [(1.0, 2.0), (2.0, 2.5)]


@pytest.mark.parametrize("line", ["x\t1\tspeech", "2\t1\tspeech", "-1\t1\tspeech", "1"])
def test_a_wrong_label_is_named_with_its_line(line: str, tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(HEADER + "0\t1\tspeech\n" + line + "\n")
    with pytest.raises(MediaError, match="line 3"):
        read_labels(file)


def test_a_folder_without_labels_or_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        read_labelled(tmp_path)
    assert caught.value.code == "no_labels"
    with pytest.raises(MediaError, match="no such folder"):
        read_noise(tmp_path / "nowhere")
    (tmp_path / "a.tsv").write_text(HEADER)
    with pytest.raises(MediaError, match="no line is labelled"):
        read_labels(tmp_path / "a.tsv")


def test_the_ratio_is_that_of_the_labelled_speech_to_the_noise() -> None:
    samples = np.concatenate([hiss(0.1), np.zeros(RATE_HZ, np.float32)])
    talk = Recording("talk", samples, [(0.0, 1.0)])
    both = mixed(talk, Recording("fan", hiss(0.5, 0.3, seed=3), []), 20)
    silence = both.samples[RATE_HZ:]
    assert np.sqrt(np.mean(silence**2)) == pytest.approx(0.01, rel=0.03)
    assert both.labels == talk.labels
    assert both.name == "talk + fan at 20 dB"


def test_a_thump_does_not_make_a_voice_louder_than_it_is() -> None:
    at = np.arange(RATE_HZ) / RATE_HZ
    thump: Samples = (0.5 * np.sin(2 * np.pi * 30 * at)).astype(np.float32)
    voice, noise = hiss(0.01), Recording("fan", hiss(0.5, seed=3), [])
    plain = mixed(Recording("", voice, [(0.0, 1.0)]), noise, 10).samples - voice
    thumped = Recording("", voice + thump, [(0.0, 1.0)])
    added = mixed(thumped, noise, 10).samples - thumped.samples
    assert np.sqrt(np.mean(added**2)) == pytest.approx(np.sqrt(np.mean(plain**2)), rel=0.02)


@pytest.mark.parametrize(("pitch_hz", "kept"), [(30, 0.0), (90, 0.0), (110, 1.0)])
def test_what_is_below_any_voice_is_taken_away(pitch_hz: int, kept: float) -> None:
    tone = np.sin(2 * np.pi * pitch_hz * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    assert above_rumble(tone) == pytest.approx(kept * tone, abs=1e-4)


def test_a_mixture_never_clips() -> None:
    loud = Recording("loud", hiss(0.5), [(0.0, 1.0)])
    assert np.abs(mixed(loud, loud, 0).samples).max() <= 0.991


def test_what_was_judged_is_kept_and_not_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Recording("talk", hiss(0.1), [(0.0, 1.0)])
    kept = tmp_path / "kept"
    judge = Judge(CHEAP, kept)
    first = judge.judge([talk])
    monkeypatch.setattr(vad, "open_vad", lambda config: pytest.fail("judged again"))
    assert judge.judge([talk]) == first
    assert len(list(kept.iterdir())) == 1


def test_other_sound_and_other_settings_are_judged_anew(tmp_path: Path) -> None:
    sounds = [Recording("", hiss(0.1, seed=seed), []) for seed in (1, 2)]
    for aggressiveness in (1, 2):
        config = VadConfig(engine="webrtc", webrtc_aggressiveness=aggressiveness)
        Judge(config, tmp_path).judge(sounds)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_probability_stands_for_every_whole_window() -> None:
    (heard,) = Judge(CHEAP).judge([Recording("", hiss(0.1, 0.1), [])])
    assert len(heard.probabilities) == 1600 // 512
