from pathlib import Path

import numpy as np
import PIL.Image

from assistant.demo.photos import read_photos


def test_every_fourth_photo_is_held_out(tmp_path: Path) -> None:
    for number in range(8):
        pixels = np.full((300, 600, 3), number, np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.tsv").write_text("file\n")
    kept, held_out = read_photos(tmp_path, lambda line: None)
    assert [int(photo[0, 0, 0]) for photo in held_out] == [0, 4]
    assert len(kept) == 6
    assert kept[0].shape == (200, 400, 3)


def test_a_missing_folder_is_said() -> None:
    lines: list[str] = []
    assert read_photos(None, lines.append) == ([], [])
    assert lines == ["absent: photos as backgrounds (give a folder)"]
