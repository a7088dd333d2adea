"""What ``/v1/realtime/calls`` answers; calls that connect are in ``rtc/test_line.py``."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from assistant.config import RtcConfig
from assistant.gateway.calls import PATH, read_offer
from assistant.wire.refusals import EventRefused
from tests.gateway.asgi import Exchange
from tests.gateway.fakes import run
from tests.gateway.places import Place, place
from tests.wire.offers import CHROMIUM

SDP = {"content-type": "application/sdp"}
BOUNDARY = "----form"


def form(**parts: str) -> bytes:
    body = ""
    for name, value in parts.items():
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        body += value + "\r\n"
    return (body + f"--{BOUNDARY}--\r\n").encode()


FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


async def post(
    at: Place, body: str | bytes = CHROMIUM, headers: dict[str, str] = SDP, query: str = ""
) -> Exchange:
    data = body.encode() if isinstance(body, str) else body
    async with Exchange(at.app, PATH, data, headers=headers, query=query) as exchange:
        await exchange.task
    return exchange


async def ask(
    at: Place,
    path: str,
    method: str = "POST",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Exchange:
    async with Exchange(at.app, path, body, method=method, headers=headers) as exchange:
        await exchange.task
    return exchange


def code(exchange: Exchange) -> Any:
    return json.loads(exchange.body)["error"]["code"]


def test_an_offer_is_answered_with_where_the_call_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            posted = await post(at)
            assert posted.status == 201
            assert posted.headers["content-type"].startswith("application/sdp")
            (call,) = at.service.calls
            assert posted.headers["location"] == f"{PATH}/{call.id}"
            assert call.id.startswith("rtc_")
            assert posted.headers["server-timing"].startswith("session;dur=")
            assert b"a=end-of-candidates" in posted.body
            assert b".local" not in posted.body

    run(scenario())


def test_a_form_brings_the_settings_of_the_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            session = json.dumps({"type": "realtime", "instructions": "Be brief."})
            posted = await post(at, form(sdp=CHROMIUM, session=session), FORM)
            assert posted.status == 201, posted.body
            (call,) = at.service.calls
            greeting = await call.join().get()
            assert greeting is not None
            assert json.loads(greeting.text)["session"]["instructions"] == "Be brief."

    run(scenario())


@pytest.mark.parametrize("method", ["hangup", "DELETE"])
def test_a_call_is_hung_up_once(method: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            location = (await post(at)).headers["location"]
            if method == "hangup":
                location, how = location + "/hangup", "POST"
            else:
                how = "DELETE"
            assert (await ask(at, location, how)).status == 200
            assert at.service.calls == set()
            again = await ask(at, location, how)
            assert (again.status, code(again)) == (404, "call_not_found")
            async with asyncio.timeout(5):
                while len(at.service.lines):  # noqa: ASYNC110 # it ends by itself
                    await asyncio.sleep(0.01)

    run(scenario())


@pytest.mark.parametrize(
    ("body", "headers", "status", "expected"),
    [
        ("nonsense", SDP, 400, "invalid_sdp"),
        (b"\xff\xfe", SDP, 400, "invalid_sdp"),
        ("v=0\r\n" + "a=x\r\n" * 20_000, SDP, 400, "invalid_sdp"),
        ("x" * 300_000, SDP, 413, "request_too_large"),
        (CHROMIUM, {"content-type": "image/png"}, 415, "unsupported_media_type"),
        (form(session="{}"), FORM, 400, "missing_required_parameter"),
        (form(sdp=CHROMIUM, session="{"), FORM, 400, "invalid_json"),
        (form(sdp=CHROMIUM, session='{"audio": 1}'), FORM, 400, "invalid_value"),
        (b"no form at all", FORM, 400, "missing_required_parameter"),
    ],
)
def test_what_is_wrong_with_an_offer_is_said_in_json_and_nothing_is_held(
    body: str | bytes, headers: dict[str, str], status: int, expected: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            posted = await post(at, body, headers)
            assert (posted.status, code(posted)) == (status, expected)
            assert at.service.calls == set()

    run(scenario())


def test_nobody_comes_in_without_a_key_or_by_an_unknown_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, keys=("k",)) as at:
            assert (await post(at)).status == 401
            keyed = {**SDP, "authorization": "Bearer k"}
            lost = await post(at, headers=keyed, query="call_id=rtc_0")
            assert (lost.status, code(lost)) == (404, "call_not_found")
            assert at.service.calls == set()

    run(scenario())


def test_calls_are_bounded_and_may_be_switched_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, rtc=RtcConfig(max_calls=1)) as at:
            assert (await post(at)).status == 201
            full = await post(at)
            assert (full.status, code(full)) == (503, "call_limit_reached")
            assert full.headers["retry-after"]
        async with place(tmp_path, rtc=RtcConfig(enabled=False)) as at:
            assert code(await post(at)) == "webrtc_disabled"

    run(scenario())


def test_a_page_is_told_which_servers_help_it_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        rtc = RtcConfig(turn_urls=("turn:t.example",))
        async with place(tmp_path, keys=("k",), rtc=rtc) as at:
            at.service.turn_secret = "shared"
            path = "/v1/realtime/ice_servers"
            assert (await ask(at, path, "GET")).status == 401
            headers = {"authorization": "Bearer k"}
            async with Exchange(at.app, path, b"", method="GET", headers=headers) as told:
                document = await told.answer()
            assert document["enabled"]
            assert document["ice_servers"][0]["credential"]

    run(scenario())


def test_a_form_is_read_by_the_names_of_its_parts() -> None:
    body = form(sdp=CHROMIUM).replace(b'name="sdp"', b'name="sdp"; filename="blob"')
    text, patch = read_offer(FORM["content-type"], body)
    assert text.splitlines() == CHROMIUM.splitlines()
    assert patch is None
    with pytest.raises(EventRefused):
        read_offer("multipart/form-data", body)


FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag; charset=utf-8"}
USERNAME = CHROMIUM.partition("a=ice-ufrag:")[2].split()[0]
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host\r\n"


@pytest.mark.parametrize(
    ("username", "headers", "status"),
    [
        (USERNAME, FRAGMENT, 204),
        ("another", FRAGMENT, 422),
        ("!", FRAGMENT, 400),
        (USERNAME, SDP, 415),
    ],
)
def test_what_a_whip_client_trickles_is_taken_and_a_restart_is_not(
    username: str, headers: dict[str, str], status: int, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            posted = await post(at)
            assert posted.headers["accept-patch"] in FRAGMENT["content-type"]
            location = posted.headers["location"]
            body = f"a=ice-ufrag:{username}\r\nm=audio 9 RTP/AVP 0\r\n{CANDIDATE}".encode()
            patched = await ask(at, location, "PATCH", body, headers)
            assert patched.status == status
            assert (await ask(at, location + "x", "PATCH", body, FRAGMENT)).status == 404

    run(scenario())
