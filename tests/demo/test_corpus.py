from pathlib import Path

import numpy as np
import pytest

from assistant.demo import clips, corpus, voices


def test_what_is_absent_is_said_and_what_is_kept_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "installed", lambda: ([], ["flite"]))
    said = [
        ("yes", "speech_commands:anna"),
        ("six", "fsdd:theo"),
        ("two", "fsdd:theo"),
        ("marvin", "speech_commands:anna"),
    ]
    made = clips.collect((text, who, np.ones((9, 80))) for text, who in said)
    made.save(tmp_path / "commands.npz")
    clips.collect(()).save(tmp_path / "foreign.npz")
    lines: list[str] = []
    gathered = corpus.gather(
        tmp_path, commands=None, noise=None, speech=None, say=lines.append
    )
    # Of share-alike sets only the words that others hardly have.
    assert gathered.known.texts == ("yes", "six")
    assert gathered.strange.texts == ("marvin",)
    assert [line.split()[1] for line in lines] == ["voices", "noise", "speech"]
