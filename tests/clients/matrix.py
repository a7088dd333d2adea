"""
Every stock client through every flow: ``python -m tests.clients.matrix [--model MODEL]``.

Prints a table for the README and, as the last line, JSON. The clients in JavaScript need
node and their packages: ``npm install --prefix tests/clients/node``; without them their
rows say so. Status 1 when a client did not get through a flow.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.clients import peers
from tests.clients.flows import FLOWS, JPEG, Peer
from tests.service.harness import recording, running
from tests.wire.validators import validate_server_event

NODE = Path(__file__).parent / "node"
NODE_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Client:
    """A stock client; one in Python connects, one in JavaScript is a script."""

    package: str
    connect: Callable[[str, str], AbstractAsyncContextManager[Peer]] | None = None
    script: str = ""
    needs_tls: bool = False

    @property
    def name(self) -> str:
        kind = f"npm, {'wss' if self.needs_tls else 'ws'}" if self.script else "Python, ws"
        return f"`{self.package}` ({kind})"

    def missing(self) -> str:
        """Return why it cannot be driven on this machine; empty when it can."""
        if not self.script:
            return ""
        if shutil.which("node") is None:
            return "node is not installed"
        if not (NODE / "node_modules" / self.package).is_dir():
            return "its packages are not: npm install --prefix tests/clients/node"
        return ""

    def version(self) -> str:
        if not self.script:
            return version(self.package)
        file = NODE / "node_modules" / self.package / "package.json"
        return str(json.loads(file.read_text())["version"])

    def go_through(self, flow: str, url: str) -> None:
        """Raise AssertionError, or what the client raises, if it does not get through."""
        if self.script:
            self._run(flow, url)
        else:
            asyncio.run(self._talk(flow, url))

    async def _talk(self, flow: str, url: str) -> None:
        assert self.connect is not None
        async with self.connect(url, flow) as peer:
            await FLOWS[flow](peer)

    def _run(self, flow: str, url: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".pcm") as sound:
            lead_s = 0.0 if flow == "barge-in" else 0.5
            sound.write(recording("google_today.wav", lead_s=lead_s))
            sound.flush()
            command = ["node", str(NODE / self.script), url, flow, sound.name, str(JPEG)]
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=NODE_LIMIT_S, check=False
            )
        assert ended.returncode == 0, ended.stderr[-2000:]
        events = ended.stdout.splitlines()
        assert events, "it received nothing"
        for event in events:
            validate_server_event(event)


CLIENTS = (
    Client("openai", peers.openai),
    Client("openai-agents", peers.agents),
    Client("@openai/agents-realtime", script="agents.mjs"),
    Client("openai", script="openai.mjs", needs_tls=True),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients.matrix")
    parser.add_argument("--model", default="demo")
    options = parser.parse_args(argv)
    with (
        running("--model", options.model) as plain,
        running("--model", options.model, "--tls", "self-signed") as tls,
    ):
        table = {
            client: results(client, (tls if client.needs_tls else plain).url)
            for client in CLIENTS
        }
    print(markdown(table))
    document = {client.name: found for client, found in table.items()}
    print(json.dumps({"model": options.model, "clients": document}))
    return 1 if any(found for row in table.values() for found in row.values()) else 0


def results(client: Client, url: str) -> dict[str, str]:
    """Return what went wrong in each flow; empty for a client that is not here."""
    if client.missing():
        return {}
    found = {}
    for flow in FLOWS:
        try:
            client.go_through(flow, url)
            found[flow] = ""
        except Exception as error:  # of any kind: the client's, the flow's, ours
            found[flow] = f"{type(error).__name__}: {error}"[:500]
            print(f"{client.name}, {flow}: {found[flow]}", file=sys.stderr)
    return found


def markdown(table: dict[Client, dict[str, Any]]) -> str:
    """Return one row for each client."""
    lines = [
        f"| client | version | {' | '.join(FLOWS)} |",
        f"|---|---|{'---|' * len(FLOWS)}",
    ]
    for client, found in table.items():
        if found:
            marks = ["✗" if found[flow] else "✓" for flow in FLOWS]
            lines.append(f"| {client.name} | {client.version()} | {' | '.join(marks)} |")
        else:
            lines.append(f"| {client.name} | not here: {client.missing()} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
