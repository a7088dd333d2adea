"""The packages from npm that tests drive, in a folder of their own."""

import shutil
from pathlib import Path

NODE = Path(__file__).parent / "node"


def missing(*packages: str) -> str:
    """Return why programs that need packages cannot be run; empty when they can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if all((NODE / "node_modules" / package).is_dir() for package in packages):
        return ""
    return "its packages are not: npm install --prefix tests/clients/node"
