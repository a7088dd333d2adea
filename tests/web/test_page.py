"""The page in a real Chromium with a recording as microphone and a scripted server."""

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import expect

from tests.waiting import wait_until
from tests.web.browser import PHONE, camera_file, microphone_file, visit
from tests.web.fake_server import ANSWER, CSP, FakeServer, Script, serve

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data"
RECORDING = DATA / "speech" / "google_how_old_is_the_brooklyn_bridge.wav"
VIDEO = DATA / "video" / "webcam_sign_please.mp4"

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of silence, the question (1.8 s), two seconds of silence."""
    return microphone_file(
        tmp_path_factory.mktemp("microphone") / "question.wav", RECORDING
    )


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_file(tmp_path_factory.mktemp("camera") / "man.mjpeg", VIDEO)


def decoded(image_base64: str) -> Picture:
    """Return the picture of a base64 JPEG, ``[height, width, 3] uint8``."""
    picture = cv2.imdecode(
        np.frombuffer(base64.b64decode(image_base64), np.uint8), cv2.IMREAD_COLOR
    )
    assert picture is not None
    return np.asarray(picture, np.uint8)


def sound_of(server: FakeServer) -> npt.NDArray[np.int16]:
    """Return everything the page sent as audio."""
    chunks = [event["audio"] for event in server.events("input_audio_buffer.append")]
    return np.frombuffer(b"".join(map(base64.b64decode, chunks)), "<i2")


def difference(a: Picture, b: Picture) -> float:
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def test_a_spoken_turn_is_heard_seen_answered_and_accounted_for(
    tmp_path: Path, microphone: Path, camera: Path
) -> None:
    with (
        serve() as server,
        visit(server.url, tmp_path, microphone=microphone, camera=camera) as visited,
    ):
        visited.start_call()
        turn = visited.wait_for_answer()
        expect(turn.locator(".reply")).to_have_text(ANSWER)

        update = server.events("session.update")[0]["session"]
        assert update["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        assert update["assistant"] == {"events": ["metrics"], "speaks_aloud": "no"}
        assert server.subprotocols == ["realtime"]
        check_audio(server)
        check_frames(server)

        shown = turn.locator(".seen img")
        expect(shown).to_have_count(1)
        check_shown_frame(server, shown.evaluate(AS_JPEG))
        expect(turn.locator(".strip .total")).to_have_text(
            re.compile(r"First words 5\d\d ms after you stopped")
        )
        key = turn.locator(".strip .key").inner_text()
        for label in ("end of speech", "queue", "first token", "first byte", "streaming"):
            assert label in key
        assert turn.locator(".strip .segment").count() == 5
        assert is_drawn(turn.locator("canvas.sound").evaluate("c => c.toDataURL()"))
        assert visited.console_errors == []


AS_JPEG = """image => {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/jpeg", 0.95).split(",")[1];
}"""


def check_audio(server: FakeServer) -> None:
    appends = [r for r in server.received if r.event["type"] == "input_audio_buffer.append"]
    assert len(appends) > 100
    # As they are heard and not in heaps; a busy machine hears late, and never early.
    took_s = [b.at_s - a.at_s for a, b in zip(appends, appends[25:], strict=False)]
    assert 0.45 < np.median(took_s) < 2.0
    assert {len(base64.b64decode(r.event["audio"])) for r in appends} == {960}
    sound = sound_of(server)
    peaks = (
        np.abs(sound[: len(sound) // 480 * 480].astype(np.int32)).reshape(-1, 480).max(1)
    )
    loud_s = 0.020 * np.count_nonzero(peaks > 1000)
    assert 0.8 < loud_s < 2.5, "the question lasts 1.8 s"


def check_frames(server: FakeServer) -> None:
    frames = server.events("input_image_buffer.append")
    stamps = [frame["timestamp_ms"] for frame in frames]
    assert len(frames) >= 6
    assert np.median(np.diff(stamps)) == pytest.approx(500, abs=60)
    assert {decoded(frame["image"]).shape for frame in frames} == {(480, 640, 3)}


def check_shown_frame(server: FakeServer, shown_jpeg: str) -> None:
    """The picture on the page is the one the server named, and not another one."""
    used = [f for f in server.responses[0]["assistant"]["frames"] if f["used"]]
    sent = {
        f["timestamp_ms"]: f["image"] for f in server.events("input_image_buffer.append")
    }
    shown = decoded(shown_jpeg)
    differences = {at: difference(shown, decoded(image)) for at, image in sent.items()}
    assert min(differences, key=lambda at: differences[at]) == used[0]["timestamp_ms"]
    assert differences[used[0]["timestamp_ms"]] < 2


def is_drawn(png_data_url: str) -> bool:
    png = np.frombuffer(base64.b64decode(png_data_url.split(",")[1]), np.uint8)
    picture = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    return picture is not None and bool(picture.any())


def test_captions_grow_word_by_word_and_the_button_interrupts(tmp_path: Path) -> None:
    with serve(Script(token_s=0.15)) as server, visit(server.url, tmp_path) as visited:
        visited.write("How old is the Brooklyn Bridge?")
        turn = visited.turns().first
        expect(turn.locator(".words")).to_have_text("How old is the Brooklyn Bridge?")
        reply = turn.locator(".reply")
        lengths: list[int] = []

        def has_grown_thrice() -> bool:
            length = len(reply.inner_text()) if reply.count() else 0
            if length and length not in lengths:
                lengths.append(length)
            return len(lengths) >= 3

        wait_until(has_grown_thrice, "three different lengths of the caption")
        visited.page.get_by_role("button", name="Interrupt the answer").click()
        wait_until(lambda: server.events("response.cancel"), "response.cancel")
        visited.wait_for_answer()
        expect(turn.locator(".ending")).to_have_text("Stopped")
        assert len(reply.inner_text()) < len(ANSWER)
        assert ANSWER.startswith(reply.inner_text())
        expect(
            visited.page.get_by_role("button", name="Interrupt the answer")
        ).to_be_disabled()
        assert "input_audio_buffer.append" not in server.types(), (
            "writing opens no microphone"
        )


def test_holding_sends_clear_audio_commit_and_asks_for_an_answer(
    tmp_path: Path, microphone: Path
) -> None:
    with serve() as server, visit(server.url, tmp_path, microphone=microphone) as visited:
        visited.hold_to_talk()
        visited.start_call(camera=False)
        wait_until(lambda: server.events("session.update"), "session.update")
        audio = server.events("session.update")[0]["session"]["audio"]
        assert audio["input"]["turn_detection"] is None
        button = visited.page.locator("#hold")
        expect(button).to_have_text("Hold to talk")
        assert "input_audio_buffer.append" not in server.types(), (
            "nothing before it is held"
        )
        button.hover()
        visited.page.mouse.down()
        wait_until(lambda: len(server.events("input_audio_buffer.append")) > 60, "audio")
        visited.page.mouse.up()
        turn = visited.wait_for_answer()
        talk = [kind for kind in server.types() if kind != "input_audio_buffer.append"]
        assert talk == [
            "session.update",
            "input_audio_buffer.clear",
            "input_audio_buffer.commit",
            "response.create",
        ]
        assert server.types().index("input_audio_buffer.clear") == 1
        expect(turn.locator(".length")).to_have_text(re.compile(r"^[12]\.\d s$"))

        visited.page.locator("h1").click()
        visited.page.keyboard.press("Space")
        expect(visited.page.locator(".toast strong")).to_have_text(
            "Hold it while you speak"
        )


def test_a_refused_microphone_is_explained_and_leaves_writing(tmp_path: Path) -> None:
    with (
        serve() as server,
        visit(server.url, tmp_path, allows_devices=False) as visited,
    ):
        visited.start_call(camera=False)
        toast = visited.page.locator(".toast")
        expect(toast.locator("strong")).to_have_text("The microphone is blocked")
        visited.write("Hello")
        expect(visited.wait_for_answer().locator(".reply")).to_have_text(ANSWER)


def test_a_page_over_plain_http_says_why_it_has_no_microphone(tmp_path: Path) -> None:
    with serve() as server:
        url = server.url.replace("127.0.0.1", "insecure.test")
        with visit(url, tmp_path) as visited:
            visited.start_call(camera=False)
            toast = visited.page.locator(".toast")
            expect(toast).to_contain_text("offers no microphone on this address")
            expect(toast).to_contain_text("--tls self-signed")
            visited.write("Hello")
            expect(visited.wait_for_answer().locator(".reply")).to_have_text(ANSWER)
            assert visited.console_errors == []


def test_a_lost_connection_comes_back_and_the_history_stays(tmp_path: Path) -> None:
    with serve() as server, visit(server.url, tmp_path) as visited:
        visited.write("One")
        visited.wait_for_answer()
        server.hang_up()
        visited.page.locator("body[data-connection=down]").wait_for()
        visited.page.locator("body[data-connection=on]").wait_for()
        visited.write("Two")
        visited.wait_for_answer(2)
        assert visited.page.locator(".said .words").all_inner_texts() == ["One", "Two"]
        expect(visited.page.locator(".turn-break")).to_have_count(1)


def test_a_refused_connection_says_so_and_keeps_trying(tmp_path: Path) -> None:
    with serve(Script(accepts=False)) as server, visit(server.url, tmp_path) as visited:
        visited.page.get_by_label("Access key").fill("not-this-one")
        visited.write("Hello")
        expect(visited.page.locator("#connection-text")).to_have_text(
            "The server refused the connection"
        )
        expect(visited.page.locator(".toast")).to_contain_text("access key")
        assert server.subprotocols == ["realtime", "openai-insecure-api-key.not-this-one"]
        server.script.accepts = True
        expect(visited.wait_for_answer().locator(".reply")).to_have_text(ANSWER)


def test_the_page_obeys_its_content_policy_and_shows_words_as_text(tmp_path: Path) -> None:
    words = "<img src=x onerror=document.title='taken'> <b>bold</b>"
    with serve(Script(words=words)) as server, visit(server.url, tmp_path) as visited:
        response = visited.page.reload()
        assert response is not None
        assert response.header_value("content-security-policy") == CSP
        visited.write("<script>document.title='taken'</script>")
        turn = visited.wait_for_answer()
        expect(turn.locator(".reply")).to_have_text(words)
        assert turn.locator(".words *, .reply *, img, script").count() == 0
        assert visited.page.title() == "Assistant"
        assert visited.console_errors == []


def test_a_photo_goes_with_the_words(tmp_path: Path) -> None:
    picture = tmp_path / "photo.jpg"
    _, still = cv2.VideoCapture(str(VIDEO)).read()
    cv2.imwrite(str(picture), still)
    profile = tmp_path / "profile"
    with serve() as server, visit(server.url, profile) as visited:
        visited.page.locator("#photo").set_input_files(picture)
        expect(visited.page.get_by_alt_text("Photo to send")).to_be_visible()
        visited.write("What does he sign?")
        visited.wait_for_answer()
        content: list[dict[str, Any]]
        content = server.events("conversation.item.create")[0]["item"]["content"]
        assert [part["type"] for part in content] == ["input_image", "input_text"]
        header, data = content[0]["image_url"].split(",")
        assert header == "data:image/jpeg;base64"
        assert difference(decoded(data), np.asarray(still, np.uint8)) < 4
        expect(visited.page.get_by_alt_text("Photo you sent")).to_be_visible()
        expect(visited.page.get_by_alt_text("Photo to send")).to_be_hidden()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_phone_of_360_pixels_shows_everything_without_scrolling_sideways(
    tmp_path: Path, microphone: Path, camera: Path, colours: Any
) -> None:
    with (
        serve(Script(is_meaningless=True)) as server,
        visit(
            server.url,
            tmp_path,
            microphone=microphone,
            camera=camera,
            size=PHONE,
            colours=colours,
        ) as visited,
    ):
        expect(visited.page.locator("#notice")).to_contain_text("mean nothing")
        visited.hold_to_talk()
        visited.start_call()
        visited.write("How old is it?")
        visited.wait_for_answer()
        expect(visited.page.locator("#hold")).to_be_in_viewport(ratio=1)
        for button in visited.page.locator(".dock button:visible").all():
            expect(button).to_be_in_viewport(ratio=1)
        width = "document.scrollingElement.scrollWidth"
        assert visited.page.evaluate(width) == PHONE[0]
        assert (
            visited.page.evaluate("document.querySelector('#scroll').scrollWidth")
            == PHONE[0]
        )
