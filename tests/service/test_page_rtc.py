"""The page and the real service over WebRTC: a recording asks, a camera shows."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.demo.pictures import RED_STAR, jpeg
from tests.service.harness import DATA, RunningService, running
from tests.web.browser import Visit, camera_file, microphone_file, visit

pytestmark = pytest.mark.browser

RECORDING = DATA / "speech" / "google_how_old_is_the_brooklyn_bridge.wav"
VIDEO = DATA / "video" / "webcam_sign_please.mp4"


def transport_of(visited: Visit) -> str | None:
    return visited.page.locator("body").get_attribute("data-transport")


def test_a_question_is_heard_and_a_camera_seen_over_webrtc(
    service: RunningService, tmp_path: Path
) -> None:
    microphone = microphone_file(tmp_path / "question.wav", RECORDING, before_s=6.0)
    camera = camera_file(tmp_path / "man.mjpeg", VIDEO)
    with visit(
        service.url, tmp_path / "p", microphone=microphone, camera=camera
    ) as visited:
        visited.start_call()
        turn = visited.wait_for_answer()
        assert len(turn.locator(".reply").inner_text()) > 20
        assert transport_of(visited) == "webrtc"
        expect(turn.locator("img").first).to_be_visible()
        expect(visited.page.locator("#tally-network")).to_contain_text("lost")
        assert visited.console_errors == []


def test_the_demo_says_over_webrtc_what_the_camera_shows(tmp_path: Path) -> None:
    question = DATA / "demo" / "what_colour_is_this.flac"
    microphone = microphone_file(tmp_path / "question.wav", question, before_s=6.0)
    camera = tmp_path / "star.mjpeg"
    camera.write_bytes(jpeg((RED_STAR,)) * 10)
    with (
        running() as demo,
        visit(demo.url, tmp_path / "p", microphone=microphone, camera=camera) as visited,
    ):
        visited.start_call()
        turn = visited.wait_for_answer()
        assert transport_of(visited) == "webrtc"
        assert turn.locator(".reply").inner_text() == "It is red."
        assert visited.console_errors == []


def test_where_no_media_comes_through_the_page_goes_on_by_websocket_and_says_so(
    service: RunningService, tmp_path: Path
) -> None:
    with visit(service.url, tmp_path) as visited:
        # No answer ever takes effect, as behind a firewall that lets no UDP through.
        visited.page.add_init_script(
            "RTCPeerConnection.prototype.setRemoteDescription = async () => {};"
        )
        visited.page.reload()
        visited.page.locator("#model").wait_for()
        visited.write("Hello there")
        expect(visited.page.get_by_role("alert")).to_contain_text("WebSocket")
        visited.wait_for_answer()
        assert transport_of(visited) == "websocket"
        service.wait_for_sessions(1)
