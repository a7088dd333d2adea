"""A service at one end of an impaired network and the page, in a Chromium, at the other."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Response

from tests.impairment import Profile
from tests.network import ImpairedNetwork
from tests.service.harness import RunningService, running
from tests.waiting import PATIENCE_S, wait_until
from tests.web.browser import Visit, visit

CALLS = "/v1/realtime/calls"
TURN_PORT = 3478
TURN_SECRET = "known to two servers"


@contextmanager
def far_service(
    network: ImpairedNetwork, folder: Path, *options: str, rtc: str = "", rest: str = ""
) -> Iterator[RunningService]:
    """
    Start a service at the server's end.

    Args:
        folder: An empty directory for its configuration.
        options: Of ``assistant serve``.
        rtc: More TOML of the section ``rtc``.
        rest: TOML of other sections.
    """
    file = folder / "far.toml"
    file.write_text(f'[rtc]\naddresses = ["{network.SERVER}"]\n{rtc}\n{rest}\n')
    options = (*options, "--config", str(file), "--host", network.SERVER)
    environment = {"ASSISTANT_TURN_SECRET": TURN_SECRET}
    with network.inside("server"), running(*options, environment=environment) as service:
        yield service


class Calls:
    """The offers that a page has sent, by the places that they were given."""

    def __init__(self, visited: Visit) -> None:
        self.locations: list[str] = []
        visited.page.on("response", self._take)

    def _take(self, response: Response) -> None:
        if CALLS in response.url and response.request.method == "POST":
            self.locations.append(response.headers.get("location", ""))


@contextmanager
def far_call(
    network: ImpairedNetwork,
    service: RunningService,
    folder: Path,
    *,
    profile: str | Profile = "clean",
    microphone: Path | None = None,
    camera: Path | None = None,
) -> Iterator[tuple[Visit, Calls]]:
    """
    Open the page at the client's end and start a call; it may still be on its way.

    Waits for the end of the calls before: their good-byes may have been lost.
    """
    service.wait_for_sessions(0)
    network.set(profile)
    network.shift_ports(0)
    network.move_client(network.CLIENT)
    with (
        network.inside("client"),
        visit(
            service.url,
            folder / "profile",
            microphone=microphone,
            camera=camera,
            is_trusted=True,
        ) as visited,
    ):
        calls = Calls(visited)
        visited.start_call(camera=camera is not None)
        yield visited, calls


def wait_for_transport(visited: Visit, name: str) -> None:
    visited.page.locator(f"body[data-transport={name}]").wait_for()


@contextmanager
def turn_server(network: ImpairedNetwork, program: str, folder: Path) -> Iterator[None]:
    """Run coturn at the server's end, for whoever has credentials made with the secret."""
    command: Sequence[str] = (
        *(program, "-n", "--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout"),
        *("--listening-ip", network.SERVER, "--relay-ip", network.SERVER),
        *("--listening-port", str(TURN_PORT), "--realm", "test"),
        *("--use-auth-secret", "--static-auth-secret", TURN_SECRET),
        *("--pidfile", str(folder / "turn.pid"), "--userdb", str(folder / "turn.db")),
    )
    with network.inside("server"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
        try:
            wait_until(
                lambda: _listens(network.SERVER, TURN_PORT) or process.poll() is not None,
                "coturn to listen",
            )
            assert process.poll() is None, "coturn has ended"
            yield
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False
