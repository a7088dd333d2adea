"""
Drive the page in a real Chromium with a recording as microphone and a video as camera.

Used by the page's own test against a scripted server and by tests of the whole service.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import soundfile
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright

from tests.waiting import PATIENCE_S

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
DESKTOP = (1280, 800)
PHONE = (360, 740)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is neither localhost nor HTTPS, for what browsers refuse there.
    "--host-resolver-rules=MAP insecure.test 127.0.0.1",
)


def microphone_file(
    target: Path,
    recording: Path,
    *,
    before_s: float = 1.0,
    after_s: float = 2.0,
    times: int = 1,
) -> Path:
    """
    Write what the fake microphone plays once: silence, the recording, silence, repeated.

    Chromium starts the file when the page opens the microphone.
    """
    samples, rate_hz = soundfile.read(recording, dtype="float32")
    before = np.zeros(int(before_s * rate_hz), np.float32)
    after = np.zeros(int(after_s * rate_hz), np.float32)
    soundfile.write(
        target, np.tile(np.concatenate([before, samples, after]), times), rate_hz
    )
    return target


def camera_file(target: Path, video: Path) -> Path:
    """Write what the fake camera shows in a loop: the video's frames as MJPEG."""
    capture = cv2.VideoCapture(str(video))
    with target.open("wb") as file:
        while True:
            ok, picture = capture.read()
            if not ok:
                break
            file.write(cv2.imencode(".jpg", picture)[1].tobytes())
    capture.release()
    return target


@dataclass
class Visit:
    """An open page and what went wrong in it."""

    page: Page
    console_errors: list[str] = field(default_factory=list)

    def start_call(self, *, camera: bool = True) -> None:
        """Click a start button and wait until the session is there."""
        self.page.get_by_role(
            "button", name="Talk and show" if camera else "Voice only"
        ).click()
        self.page.locator("body[data-connection=on]").wait_for()

    def turns(self) -> Locator:
        return self.page.locator(".turn")

    def wait_for_answer(self, number: int = 1) -> Locator:
        """Wait until the answer of the ``number``-th turn is whole; return the turn."""
        turn = self.turns().nth(number - 1)
        turn.locator(".reply[aria-busy=false]").wait_for()
        return turn

    def write(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def hold_to_talk(self) -> None:
        """Switch to push-to-talk, opening the settings where they are folded away."""
        button = self.page.locator("#settings-button")
        if button.is_visible():
            button.click()
        self.page.get_by_role("radio", name="Hold to talk").check()
        if button.is_visible():
            button.click()


@contextlib.contextmanager
def visit(
    url: str,
    profile: Path,
    *,
    microphone: Path | None = None,
    camera: Path | None = None,
    allows_devices: bool = True,
    size: tuple[int, int] = DESKTOP,
    colours: Literal["light", "dark"] = "light",
    is_trusted: bool = False,
) -> Iterator[Visit]:
    """
    Open the page in a fresh Chromium.

    Args:
        url: Where the page is served.
        profile: An empty directory for the browser's files.
        microphone: A WAV that is played once as the microphone.
        camera: An MJPEG or Y4M file that is looped as the camera.
        allows_devices: False answers every permission prompt with no.
        is_trusted: Gives the page its devices although it is neither here nor HTTPS.
    """
    flags = [*FLAGS, "--use-fake-device-for-media-stream"]
    if is_trusted:
        flags.append(f"--unsafely-treat-insecure-origin-as-secure={url}")
    flags.append(
        "--use-fake-ui-for-media-stream" if allows_devices else "--deny-permission-prompts"
    )
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    if camera is not None:
        flags.append(f"--use-file-for-fake-video-capture={camera}")
    with sync_playwright() as playwright:
        context: BrowserContext = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=flags,
            viewport={"width": size[0], "height": size[1]},
            device_scale_factor=2 if size == PHONE else 1,
            color_scheme=colours,
            ignore_https_errors=True,
        )
        page = context.pages[0]
        page.set_default_timeout(PATIENCE_S * 1000)
        expect.set_options(timeout=PATIENCE_S * 1000)
        visited = Visit(page)
        page.on(
            "console",
            lambda m: visited.console_errors.append(m.text) if m.type == "error" else None,
        )
        page.on("pageerror", lambda error: visited.console_errors.append(str(error)))
        page.goto(url)
        try:
            yield visited
        finally:
            context.close()
