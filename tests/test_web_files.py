"""Which folder the web page is served from."""

import tomllib
from pathlib import Path

import pytest

from assistant.errors import ConfigError
from assistant.web_files import web_directory


def page(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("")
    return folder


def test_a_working_copy_serves_the_folder_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    page(tmp_path / "assistant" / "_web")
    beside = page(tmp_path / "web")
    assert web_directory(tmp_path / "assistant") == beside


def test_a_wheel_serves_the_folder_inside_the_package(tmp_path: Path) -> None:
    page(tmp_path / "web")  # some other package called web
    inside = page(tmp_path / "assistant" / "_web")
    assert web_directory(tmp_path / "assistant") == inside


def test_a_wheel_is_built_with_the_page_where_it_is_looked_for() -> None:
    pyproject = Path(__file__).parent.parent / "pyproject.toml"
    wheel = tomllib.loads(pyproject.read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert wheel["force-include"] == {"web": "assistant/_web"}


def test_an_installation_without_the_page_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not part of this installation"):
        web_directory(tmp_path)
