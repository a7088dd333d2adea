"""The page and the real service: a recording asks, a video is shown, the answer appears."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.demo.pictures import RED_STAR, jpeg
from tests.service.harness import DATA, RunningService, running
from tests.web.browser import PHONE, camera_file, microphone_file, visit

pytestmark = pytest.mark.browser

RECORDING = DATA / "speech" / "google_how_old_is_the_brooklyn_bridge.wav"
VIDEO = DATA / "video" / "webcam_sign_please.mp4"
SCREENSHOTS = Path(__file__).parents[1] / "artifacts"


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("microphone")
    return microphone_file(folder / "question.wav", RECORDING, before_s=3.0, times=2)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_file(tmp_path_factory.mktemp("camera") / "man.mjpeg", VIDEO)


def test_two_spoken_questions_are_answered_with_the_frames_that_were_seen(
    service: RunningService, tmp_path: Path, microphone: Path, camera: Path
) -> None:
    with visit(service.url, tmp_path, microphone=microphone, camera=camera) as visited:
        visited.start_call()
        for number in (1, 2):
            turn = visited.wait_for_answer(number)
            assert len(turn.locator(".reply").inner_text()) > 20
            picture = turn.locator("img").first
            expect(picture).to_be_visible()
            assert picture.evaluate("image => image.naturalWidth") == 640
            expect(turn.get_by_text("ms").first).to_be_visible()
        SCREENSHOTS.mkdir(exist_ok=True)
        visited.page.screenshot(path=SCREENSHOTS / "service-desktop.png")
        assert visited.console_errors == []
    assert service.get("/health")["status"] == "ok"


def test_the_demo_says_what_the_camera_shows(tmp_path: Path) -> None:
    question = DATA / "demo" / "what_colour_is_this.flac"
    microphone = microphone_file(tmp_path / "question.wav", question)
    camera = tmp_path / "star.mjpeg"
    camera.write_bytes(jpeg((RED_STAR,)) * 10)
    with (
        running() as demo,
        visit(demo.url, tmp_path / "p", microphone=microphone, camera=camera) as visited,
    ):
        visited.start_call()
        turn = visited.wait_for_answer()
        reply = turn.locator(".reply").inner_text()
        assert reply == "It is red."
        picture = turn.locator("img").first
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.naturalWidth") == 640
        SCREENSHOTS.mkdir(exist_ok=True)
        visited.page.screenshot(path=SCREENSHOTS / "demo-desktop.png")
        assert visited.console_errors == []


def test_written_words_are_answered_on_a_phone(
    service: RunningService, tmp_path: Path
) -> None:
    with visit(service.url, tmp_path, size=PHONE, colours="dark") as visited:
        visited.write("Hello there")
        turn = visited.wait_for_answer()
        assert turn.locator(".reply").inner_text()
        SCREENSHOTS.mkdir(exist_ok=True)
        visited.page.screenshot(path=SCREENSHOTS / "service-phone.png")
        assert visited.console_errors == []
