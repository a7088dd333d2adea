"""The README's program works as it stands there, with the stock client."""

import asyncio
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.fake_service import FakeService, serving

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.clients
def test_the_program_of_the_readme_prints_the_answer() -> None:
    program = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[0]
    service = FakeService()

    async def run() -> tuple[int | None, str]:
        async with serving(service), asyncio.timeout(60):
            port = urlsplit(service.address).port
            assert "8000" in program
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program.replace("8000", str(port))),
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await process.communicate()
            return process.returncode, output.decode()

    assert asyncio.run(run()) == (0, "A red cup.")
