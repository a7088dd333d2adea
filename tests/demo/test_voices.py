import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.demo import voices
from assistant.demo.voices import Voice


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give espeak-ng's name to a program that says everything in the same way."""
    sound = 0.5 * np.sin(np.arange(16_000) / 9).astype(np.float32)
    soundfile.write(tmp_path / "said.wav", sound, 16_000)
    script = tmp_path / "espeak-ng"
    script.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != -w ]; do shift; done\n'
        f'[ "$3" = hush ] || /bin/cp {tmp_path}/said.wav "$2"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_voice_says_every_text_it_can(programs: Path) -> None:
    said = voices.speak(Voice("espeak-ng", "en-us+f3", takes=2), ["yes", "hush", "no"])
    assert said.texts == ("yes", "yes", "no", "no")
    assert set(said.speakers) == {"espeak-ng-en-us-f3"}
    assert len(said.clip(0)) > 90


def test_absent_programs_are_named(programs: Path) -> None:
    some = [Voice("espeak-ng", "en"), Voice("flite", "slt")]
    assert voices.installed(some) == ([some[0]], ["flite"])


def test_some_voices_are_kept_for_scores_alone() -> None:
    held_out = {voice.title for voice in voices.VOICES if voice.is_held_out}
    assert len(held_out) >= 4
    assert len(held_out) < len(voices.VOICES) / 3
