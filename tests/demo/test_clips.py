from pathlib import Path

import numpy as np
import soundfile

from assistant.demo import clips


def test_a_collection_survives_its_file(tmp_path: Path) -> None:
    made = clips.collect(
        [("yes", "anna", np.ones((4, 80))), ("no", "ben", np.full((7, 80), 2.0))]
    )
    made.save(tmp_path / "some.npz")
    read = clips.load(tmp_path / "some.npz")
    assert (read.texts, read.speakers) == (("yes", "no"), ("anna", "ben"))
    assert (read.clip(1) == 2).all()
    assert read.clip(1).shape == (7, 80)
    assert clips.joined([read, read.chosen([0])]).texts == ("yes", "no", "yes")


def test_recorded_words_are_read_by_their_index(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    sound = np.sin(np.arange(8000) / 5).astype(np.float32) * 0.3
    soundfile.write(tmp_path / "set" / "yes.wav", sound, 8000)
    (tmp_path / "index.tsv").write_text(
        "file\ttext\tspeaker\nset/yes.wav\tYes\tanna\nset/gone.wav\tno\tben\n"
    )
    read = clips.read_commands(tmp_path)
    assert (read.texts, read.speakers) == (("yes",), ("set:anna",))
    assert read.clip(0).shape == (98, 80)


def test_silence_is_cut_off_at_both_ends() -> None:
    sound = np.zeros(16_000, np.float32)
    sound[6000:9000] = 0.5
    cut = clips.trimmed(sound, margin_s=0.01)
    assert 3000 <= len(cut) <= 3600


def test_few_people_are_held_out_and_always_the_same() -> None:
    names = [f"speaker-{number}" for number in range(2000)]
    held_out = [name for name in names if clips.is_held_out(name)]
    assert 0.05 < len(held_out) / len(names) < 0.12
    assert held_out == [name for name in names if clips.is_held_out(name)]


def test_other_sounds_are_cut_into_pieces_without_text(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "rain.wav", np.full(80_000, 0.1, np.float32), 16_000)
    (tmp_path / "labels.tsv").write_text("file\n")
    read = clips.read_others(tmp_path, piece_s=2.0)
    assert read.texts == ("", "", "")
    assert set(read.speakers) == {"rain"}
