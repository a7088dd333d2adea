"""Whole calls of the page through bad networks: a real Chromium at the far end."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.impairment import PROFILES, Profile
from tests.network import ImpairedNetwork, why_not
from tests.service.far import (
    CALLS,
    TURN_PORT,
    far_call,
    far_service,
    turn_server,
    wait_for_transport,
)
from tests.service.harness import DATA, RunningService
from tests.web.browser import Visit, microphone_file

pytestmark = pytest.mark.browser

RECORDING = DATA / "speech" / "google_how_old_is_the_brooklyn_bridge.wav"
ELSEWHERE = "10.77.0.3"
BACK_S = 9.0
"""Three seconds are wanted, of a machine that does nothing else; Chromium itself gives a
connection up after 15."""
LONG_REPLY = "[reply]\nmax_output_tokens = 300"
SHORT_REPLY = "[reply]\nmax_output_tokens = 20"
OUTAGE_S = 5.0


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
    """A service that takes a second or more to answer."""
    folder = tmp_path_factory.mktemp("far")
    model = ("--model", str(talkative))
    with far_service(network, folder, *model, rest=LONG_REPLY) as service:
        yield service


@pytest.fixture(scope="module")
def relayed(
    network: ImpairedNetwork, talkative: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A service beside a TURN server, which it sends its clients to."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("needs coturn")
    folder = tmp_path_factory.mktemp("relayed")
    turn = f"turn:{network.SERVER}:{TURN_PORT}?transport="
    urls = f'turn_urls = ["{turn}udp", "{turn}tcp"]'
    model = ("--model", str(talkative))
    with (
        turn_server(network, program, folder),
        far_service(network, folder, *model, rtc=urls, rest=SHORT_REPLY) as service,
    ):
        yield service


def is_busy(visited: Visit, number: int) -> bool:
    reply = visited.turns().nth(number - 1).locator(".reply")
    return reply.get_attribute("aria-busy") == "true"


def test_a_nat_that_maps_anew_ends_nothing(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    with far_call(network, far, tmp_path) as (visited, calls):
        wait_for_transport(visited, "webrtc")
        visited.write("Hello")
        visited.wait_for_answer(1)
        network.shift_ports(1000)
        # Until the browser's next check nothing comes back, and the page may call anew:
        # what is written now may go out over the old line and must come over the new one.
        visited.write("Hello again")
        visited.wait_for_answer(2)
        wait_for_transport(visited, "webrtc")
        assert visited.turns().count() == 2
        assert len(set(calls.locations)) == 1
        far.wait_for_sessions(1)


def test_who_moves_to_another_network_is_back_in_seconds_with_the_answer_unfinished(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    with far_call(network, far, tmp_path) as (visited, calls):
        wait_for_transport(visited, "webrtc")
        visited.write("Hello")
        visited.wait_for_answer(1)
        visited.write("Tell me more")
        expect(visited.turns().nth(1).locator(".reply")).not_to_have_text("")
        began = time.monotonic()
        network.move_client(ELSEWHERE)
        assert is_busy(visited, 2)
        with visited.page.expect_response(f"**{CALLS}?call_id=*"):
            pass
        wait_for_transport(visited, "webrtc")
        back_s = time.monotonic() - began
        visited.wait_for_answer(2)
        assert len(calls.locations) == 2
        assert calls.locations[0] == calls.locations[1]
        visited.write("And then?")
        visited.wait_for_answer(3)
        assert visited.turns().count() == 3
        far.wait_for_sessions(1)
        sys.stdout.write(f"back after {back_s:.1f} s\n")  # see it with ``pytest -s``
        assert back_s < BACK_S


def test_a_tunnel_of_five_seconds_ends_nothing(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    with far_call(network, far, tmp_path) as (visited, calls):
        wait_for_transport(visited, "webrtc")
        visited.write("Hello")
        visited.wait_for_answer(1)
        network.set("down")
        time.sleep(OUTAGE_S)
        network.set("clean")
        visited.write("Are you there?")
        visited.wait_for_answer(2)
        assert len(set(calls.locations)) == 1
        far.wait_for_sessions(1)


def test_three_questions_are_three_turns_where_a_tenth_is_lost(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    microphone = microphone_file(
        tmp_path / "question.wav", RECORDING, before_s=4.0, times=3
    )
    with far_call(network, far, tmp_path, microphone=microphone) as (visited, _):
        # What losses do to setting up a call, tests.bench.webrtc_calls measures.
        wait_for_transport(visited, "webrtc")
        network.set("loss10jitter60")
        lost_before = network.counts()["up"]["lost"]
        visited.wait_for_answer(3)
        assert visited.turns().count() == 3
        assert network.counts()["up"]["lost"] - lost_before > 50


@pytest.mark.parametrize(
    "firewall", [Profile(lets_udp_to=(TURN_PORT,)), PROFILES["no udp"]], ids=["UDP", "TCP"]
)
def test_a_call_goes_through_turn_where_nothing_else_is_let_through(
    firewall: Profile, network: ImpairedNetwork, relayed: RunningService, tmp_path: Path
) -> None:
    microphone = microphone_file(tmp_path / "question.wav", RECORDING, before_s=5.0)
    with far_call(network, relayed, tmp_path, profile=firewall, microphone=microphone) as (
        visited,
        calls,
    ):
        wait_for_transport(visited, "webrtc")
        visited.wait_for_answer(1)
        wait_for_transport(visited, "webrtc")
        assert len(calls.locations) == 1


def test_without_udp_and_without_turn_the_page_goes_on_by_websocket_and_says_so(
    network: ImpairedNetwork, far: RunningService, tmp_path: Path
) -> None:
    with far_call(network, far, tmp_path, profile="no udp") as (visited, _):
        visited.write("Hello")
        wait_for_transport(visited, "websocket")
        expect(visited.page.get_by_role("alert")).to_contain_text("WebSocket")
        visited.wait_for_answer(1)
        far.wait_for_sessions(1)
