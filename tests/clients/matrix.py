"""
Every stock client through every flow: ``python -m tests.clients.matrix [--model MODEL]``.

Prints a table and, as the last line, JSON; ``--write`` puts the table into the README. The
clients in JavaScript need node and their packages: ``npm install --prefix
tests/clients/node``; without them their rows say so. Status 1 when a client did not get
through a flow.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.clients import npm, peers
from tests.clients.flows import FLOWS, Flow, Peer, flows, follow
from tests.clients.npm import NODE
from tests.service.harness import running
from tests.wire.validators import validate_server_event

NODE_LIMIT_S = 120
README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- matrix: begin -->\n", "<!-- matrix: end -->\n"


@dataclass(frozen=True, slots=True)
class Client:
    """A stock client; one in Python connects, one in JavaScript is a script."""

    package: str
    connect: Callable[[str, Flow], AbstractAsyncContextManager[Peer]] | None = None
    script: str = ""
    needs_tls: bool = False

    @property
    def name(self) -> str:
        kind = f"npm, {'wss' if self.needs_tls else 'ws'}" if self.script else "Python, ws"
        return f"`{self.package}` ({kind})"

    def missing(self) -> str:
        """Return why it cannot be driven on this machine; empty when it can."""
        return npm.missing(self.package) if self.script else ""

    def version(self) -> str:
        if not self.script:
            return version(self.package)
        file = NODE / "node_modules" / self.package / "package.json"
        return str(json.loads(file.read_text())["version"])

    def go_through(self, flow: Flow, url: str) -> None:
        """Raise AssertionError, or what the client raises, if it does not get through."""
        if self.script:
            self._run(flow, url)
        else:
            asyncio.run(self._talk(flow, url))

    async def _talk(self, flow: Flow, url: str) -> None:
        assert self.connect is not None
        async with self.connect(url, flow) as peer:
            await follow(flow, peer)

    def _run(self, flow: Flow, url: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(flow.to_json())
            file.flush()
            ended = subprocess.run(
                ["node", str(NODE / self.script), url, file.name],
                capture_output=True,
                text=True,
                timeout=NODE_LIMIT_S,
                check=False,
            )
        assert ended.returncode == 0, ended.stderr[-2000:]
        lines = ended.stdout.splitlines()
        for line in lines:
            validate_server_event(line)
        flow.check([json.loads(line) for line in lines])


CLIENTS = (
    Client("openai", peers.openai),
    Client("openai-agents", peers.agents),
    Client("@openai/agents-realtime", script="agents.mjs"),
    Client("openai", script="openai.mjs", needs_tls=True),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients.matrix")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--write", action="store_true", help="put it into the README")
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
    if options.write:
        README.write_text(with_matrix(README.read_text(), markdown(table)))
    document = {client.name: found for client, found in table.items()}
    print(json.dumps({"model": options.model, "clients": document}))
    return 1 if any(found for row in table.values() for found in row.values()) else 0


def results(client: Client, url: str) -> dict[str, str]:
    """Return what went wrong in each flow; empty for a client that is not here."""
    if client.missing():
        return {}
    found = {}
    for name, flow in flows().items():
        try:
            client.go_through(flow, url)
            found[name] = ""
        except Exception as error:  # of any kind: the client's, the flow's, ours
            found[name] = f"{type(error).__name__}: {error}"[:500]
            print(f"{client.name}, {name}: {found[name]}", file=sys.stderr)
    return found


def markdown(table: dict[Client, dict[str, str]]) -> str:
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


def with_matrix(text: str, table: str) -> str:
    """Return the README with another table between its marks."""
    block = re.compile(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", re.DOTALL)
    assert len(block.findall(text)) == 1, f"not once in it: {BEGIN}{END}"
    return block.sub(lambda found: f"\n{table}\n\n", text)


if __name__ == "__main__":
    raise SystemExit(main())
