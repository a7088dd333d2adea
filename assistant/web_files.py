"""
Where the files of the web page are, in a wheel and in a working copy alike.

Knows the two places and nothing of what is served from them.
"""

from pathlib import Path

from assistant.errors import ConfigError

_PACKAGE = Path(__file__).parent


def web_directory(package: Path = _PACKAGE) -> Path:
    """
    Return the folder of the web page.

    A wheel carries it as ``assistant/_web``; in a working copy (and so in an editable
    installation) it is ``web/`` beside the package, which always wins because it is
    what a developer edits.

    Raises:
        ConfigError: Neither folder has an ``index.html``.
    """
    folders = [package / "_web"]
    # In site-packages a neighbour called "web" would be somebody else's.
    if (package.parent / "pyproject.toml").is_file():
        folders.insert(0, package.parent / "web")
    for folder in folders:
        if (folder / "index.html").is_file():
            return folder
    raise ConfigError(f"the web page is not part of this installation (under {package})")
