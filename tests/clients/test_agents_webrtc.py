"""The stock agents SDK in a real Chromium, over WebRTC and from another origin."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.service.harness import DATA, SPOKEN_TURN, is_subsequence, running
from tests.web.browser import CHROMIUM, microphone_file, visit

pytestmark = pytest.mark.clients

RECORDING = DATA / "speech" / "google_how_old_is_the_brooklyn_bridge.wav"
PAGE = Path(__file__).parent / "agents_page"
PACKAGE = Path(__file__).parent / "node" / "node_modules" / "@openai" / "agents-realtime"
BUNDLE = PACKAGE / "dist" / "bundle" / "openai-realtime-agents.umd.js"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder; give its origin."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_agents_sdk_is_heard_and_answered_over_webrtc(
    talkative: Path, tmp_path: Path
) -> None:
    if not BUNDLE.is_file():
        pytest.skip("needs its packages: npm install --prefix tests/clients/node")
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Chromium")
    folder = shutil.copytree(PAGE, tmp_path / "page")
    shutil.copy(BUNDLE, folder)
    microphone = microphone_file(tmp_path / "question.wav", RECORDING, before_s=3.0)
    config = tmp_path / "service.toml"
    with served(folder) as origin:
        config.write_text(f'[server]\nallowed_origins = ["{origin}"]\n')
        options = ("--config", str(config), "--model", str(talkative))
        with running(*options) as service:
            page = f"{origin}/?url={quote(service.url)}"
            with visit(page, tmp_path / "p", microphone=microphone) as visited:
                visited.page.locator("body[data-state=done]").wait_for()
                types = visited.page.locator("body").inner_text().split()
                assert visited.console_errors == []
                call_id = visited.page.locator("body").get_attribute("data-call-id")
    assert types[0] == "session.created"
    assert is_subsequence(SPOKEN_TURN, types)
    assert "error" not in types
    assert call_id is not None
    assert call_id.startswith("rtc_")
