"""Whole calls of the page through bad networks: a real Chromium at the far end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Response, expect

from tests.network import ImpairedNetwork, why_not
from tests.service.harness import RunningService, running
from tests.web.browser import Visit, visit

pytestmark = pytest.mark.browser

CALLS = "/v1/realtime/calls"
ELSEWHERE = "10.77.0.3"
BACK_S = 3.0


@pytest.fixture(scope="module")
def network() -> Iterator[ImpairedNetwork]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with ImpairedNetwork() as network:
        yield network


@pytest.fixture(scope="module")
def far(
    network: ImpairedNetwork, talkative: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A service at the other end of the network, that takes seconds to answer."""
    file = tmp_path_factory.mktemp("configs") / "far.toml"
    file.write_text(
        f'[rtc]\naddresses = ["{network.SERVER}"]\n[reply]\nmax_output_tokens = 300\n'
    )
    options = ("--config", str(file), "--model", str(talkative), "--host", network.SERVER)
    with network.inside("server"), running(*options) as service:
        yield service


class Calls:
    """The offers that a page has sent, by their answers."""

    def __init__(self, visited: Visit) -> None:
        self.locations: list[str] = []
        visited.page.on("response", self._take)

    def _take(self, response: Response) -> None:
        if CALLS in response.url and response.request.method == "POST":
            self.locations.append(response.headers.get("location", ""))


@contextmanager
def call(
    network: ImpairedNetwork, service: RunningService, folder: Path, **keys: Path
) -> Iterator[tuple[Visit, Calls]]:
    """Open the page at the client's end and start a call in it."""
    network.set("clean")
    network.shift_ports(0)
    network.move_client(network.CLIENT)
    with (
        network.inside("client"),
        visit(service.url, folder / "p", is_trusted=True, **keys) as visited,
    ):
        calls = Calls(visited)
        visited.start_call(camera=False)
        visited.page.locator("body[data-transport=webrtc]").wait_for()
        yield visited, calls


def test_a_nat_that_maps_anew_interrupts_nothing(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    with call(network, far, tmp_path) as (visited, calls):
        visited.write("Hello")
        visited.wait_for_answer(1)
        network.shift_ports(1000)
        visited.write("Hello again")
        visited.wait_for_answer(2)
        assert len(calls.locations) == 1
        assert visited.page.locator("body").get_attribute("data-transport") == "webrtc"


def test_who_moves_to_another_network_is_back_in_three_seconds_with_the_answer_unfinished(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    with call(network, far, tmp_path) as (visited, calls):
        visited.write("Hello")
        visited.wait_for_answer(1)
        visited.write("Tell me more")
        reply = visited.turns().nth(1).locator(".reply")
        expect(reply).not_to_have_text("")
        began = time.monotonic()
        network.move_client(ELSEWHERE)
        assert reply.get_attribute("aria-busy") == "true"
        with visited.page.expect_response(f"**{CALLS}?call_id=*"):
            pass
        visited.page.locator("body[data-transport=webrtc]").wait_for()
        back_s = time.monotonic() - began
        assert reply.get_attribute("aria-busy") == "true"
        visited.wait_for_answer(2, timeout_s=30)
        assert len(calls.locations) == 2
        assert calls.locations[0] == calls.locations[1]
        assert visited.page.locator("body").get_attribute("data-transport") == "webrtc"
        visited.write("And then?")
        visited.wait_for_answer(3)
        assert visited.turns().count() == 3
        assert far.get("/health")["sessions"] == 1
        assert back_s < BACK_S
