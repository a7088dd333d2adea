"""Where downloads are kept."""

from pathlib import Path

from assistant.data_home import data_directory


def test_the_xdg_folder_is_used_when_it_is_absolute() -> None:
    assert data_directory({"XDG_DATA_HOME": "/data"}) == Path("/data/phi-assistant")


def test_a_relative_or_missing_xdg_folder_means_the_one_in_the_home_folder() -> None:
    expected = Path("/home/ann/.local/share/phi-assistant")
    assert data_directory({"XDG_DATA_HOME": "data", "HOME": "/home/ann"}) == expected
    assert data_directory({"HOME": "/home/ann"}) == expected
