import base64
import itertools
import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from assistant.config import Config, LimitsConfig
from assistant.errors import MediaError
from assistant.turns import input_items
from assistant.turns.conversation import MAX_ECHO_CHARS, Audio, Image, Item, Text
from assistant.turns.settings import InputFormat
from assistant.wire import items as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import FakeMedia

CONFIG = replace(Config(), limits=LimitsConfig(text_chars=20))
PNG = "data:image/png;base64," + base64.b64encode(b"picture").decode()
DECODER: msgspec.json.Decoder[wire.Item] = msgspec.json.Decoder(wire.Item)


def read(item: dict[str, Any]) -> Item:
    """Read an item as a client would send it."""
    numbers = itertools.count(1)
    return input_items.read(
        DECODER.decode(msgspec.json.encode(item)),
        new_id=lambda kind: f"{kind}_{next(numbers)}",
        media=FakeMedia(),
        form=InputFormat(),
        config=CONFIG,
    )


def message(role: str, *content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **fields}


def words(text: str, type_: str = "input_text") -> dict[str, Any]:
    return {"type": type_, "text": text}


def picture(url: str | None = PNG, **fields: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **fields}


def refusal(item: dict[str, Any]) -> tuple[str | None, str | None]:
    with pytest.raises(EventRefused) as caught:
        read(item)
    return caught.value.code, caught.value.param


# --- ids and states ----------------------------------------------------------------------


def test_an_item_keeps_the_clients_id_or_gets_one() -> None:
    assert read(message("user", id="mine")).id == "mine"
    assert read(message("user")).id == "item_1"
    assert read(message("user", id="")).id == "item_1"
    assert read(message("user", id=None)).id == "item_1"


def test_an_id_has_a_bound() -> None:
    assert read(message("user", id="x" * 512)).id
    assert refusal(message("user", id="x" * 513)) == ("invalid_value", "item.id")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, "completed"),
        ("completed", "completed"),
        ("in_progress", "completed"),
        ("incomplete", "incomplete"),
    ],
)
def test_what_a_client_puts_in_is_finished(given: str | None, kept: str) -> None:
    assert read(message("assistant", status=given)).status == kept


# --- words -------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("type_", ["input_text", "output_text", "text"])
def test_words_are_read_under_any_of_their_names(role: str, type_: str) -> None:
    item = read(message(role, words("Hi", type_)))
    assert (item.role, item.content, item.token_ids) == (role, [Text("Hi")], None)


def test_text_over_its_bound_is_refused_with_its_place() -> None:
    too_long = message("user", words("fine"), words("x" * 21))
    assert refusal(too_long) == ("invalid_value", "item.content[1].text")
    assert read(message("user", words("x" * 20))).content == [Text("x" * 20)]


@pytest.mark.parametrize("type_", ["output_audio", "audio"])
def test_an_assistants_sound_is_its_transcript(type_: str) -> None:
    sound = {"type": type_, "transcript": "Red.", "audio": "AAAA"}
    assert read(message("assistant", sound)).content == [Audio(b"", "Red.")]


def test_a_transcript_has_the_bound_of_a_text() -> None:
    sound = {"type": "output_audio", "transcript": "x" * 21}
    assert refusal(message("assistant", sound)) == (
        "invalid_value",
        "item.content[0].transcript",
    )


# --- sound -------------------------------------------------------------------------------


def test_a_users_sound_is_read_in_the_sessions_format() -> None:
    sound = {"type": "input_audio", "audio": base64.b64encode(b"pcm").decode()}
    assert read(message("user", sound)).content == [Audio(b"clip pcm", None)]


@pytest.mark.parametrize("audio", [{}, {"audio": None}, {"audio": ""}])
def test_a_users_sound_may_come_as_a_transcript_alone(audio: dict[str, Any]) -> None:
    sound = {"type": "input_audio", "transcript": "Hi", **audio}
    assert read(message("user", sound)).content == [Audio(b"", "Hi")]


def test_a_system_item_can_hold_no_sound() -> None:
    """No client accepts such an item in an echo."""
    sound = {"type": "input_audio", "transcript": "Hi"}
    assert refusal(message("system", sound)) == ("invalid_value", "item.content[0]")


# --- pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "jpeg", "jpg", "webp", "JPEG"])
def test_a_picture_comes_as_a_data_uri(kind: str) -> None:
    url = PNG.replace("png", kind)
    (content,) = read(message("user", picture(url))).content
    assert isinstance(content, Image)
    assert (content.data, content.url) == (b"picture", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/secret.png",
        "https://example.org/a.png",
        "file:///etc/passwd",
        " " + PNG,
        "x" + PNG,
        "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:image/gif;base64,AAAA",
        "data:image/png,AAAA",
        "data:image/png;base64;base64,AAAA",
        "data:;base64,AAAA",
        PNG + "\n",
        PNG + "é",
        PNG + " ",
        PNG + "=",
        PNG[:-1] + "?",
        "data:image/png;base64,A",
        "data:image/png;base64,A===",
        "data:image/png;base64,AA==AA==",
        "data:image/png;base64,_-_-",
        "data:image/png;base64," + "data:image/png;base64,AAAA",
    ],
)
def test_any_other_url_and_any_broken_base64_is_refused(url: str) -> None:
    assert refusal(message("user", words("?"), picture(url))) == (
        "invalid_value",
        "item.content[1].image_url",
    )


@pytest.mark.parametrize("part", [picture(None), picture(""), {"type": "input_image"}])
def test_a_picture_without_url_is_refused(part: dict[str, Any]) -> None:
    assert refusal(message("user", part)) == (
        "missing_required_parameter",
        "item.content[0].image_url",
    )


def test_a_picture_that_media_refuses_is_refused_with_its_code() -> None:
    broken = "data:image/png;base64," + base64.b64encode(b"broken").decode()
    with pytest.raises(MediaError) as caught:
        read(message("user", picture(broken)))
    assert caught.value.code == "image_invalid"


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_only_users_show_pictures(role: str) -> None:
    assert refusal(message(role, picture())) == ("invalid_value", "item.content[0]")


@pytest.mark.parametrize(
    ("detail", "text", "is_photo"),
    [
        ("auto", "", False),
        ("auto", "What is it?", True),
        (None, "What is it?", True),
        ("low", "What is it?", False),
        ("high", "", True),
    ],
)
def test_a_picture_that_is_asked_about_is_worth_more_crops(
    detail: str | None, text: str, is_photo: bool
) -> None:
    image = read(message("user", picture(detail=detail), words(text))).content[0]
    assert isinstance(image, Image)
    pairing = CONFIG.pairing
    expected = pairing.photo_max_crops if is_photo else pairing.live_max_crops
    assert (image.max_crops, image.detail) == (expected, detail or "auto")


@pytest.mark.parametrize(("over", "is_echoed"), [(0, True), (1, False)])
def test_only_a_url_under_the_cap_is_kept_for_the_echo(over: int, is_echoed: bool) -> None:
    head = "data:image/webp;base64,x"[:-1]
    url = head + "A" * ((MAX_ECHO_CHARS - len(head)) // 4 * 4 + 4 * over)
    item = read(message("user", picture(url)))
    (image,) = item.content
    assert isinstance(image, Image)
    assert image.data, "the model sees it in any case"
    assert image.url == (url if is_echoed else "")
    echo = item.to_wire()
    assert isinstance(echo, wire.MessageItem)
    assert echo.content == [wire.InputImage(image_url=url if is_echoed else UNSET)]


# --- tools -------------------------------------------------------------------------------


def test_calls_and_results_are_kept_and_echoed() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    result = {"type": "function_call_output", "call_id": "c", "output": "7"}
    for role, given in (("assistant", call), ("user", result)):
        item = read({**given, "object": None, "status": None})
        assert (item.role, item.content) == (role, [])
        echo = msgspec.to_builtins(item.to_wire())
        assert echo == {
            **given,
            "id": "item_1",
            "object": "realtime.item",
            "status": "completed",
        }


@pytest.mark.parametrize("call_id", [None, ""])
def test_a_call_without_id_gets_one(call_id: str | None) -> None:
    item = read({"type": "function_call", "name": "f", "arguments": "", "call_id": call_id})
    assert isinstance(item.call, wire.FunctionCallItem)
    assert item.call.call_id == "call_2"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "function_call_output", "call_id": "c", "output": "x" * 21}, "output"),
        ({"type": "function_call", "name": "f", "arguments": "x" * 21}, "arguments"),
        ({"type": "function_call", "name": "x" * 21, "arguments": ""}, "name"),
    ],
)
def test_what_tools_say_has_the_bound_of_a_text(item: dict[str, Any], param: str) -> None:
    assert refusal(item) == ("invalid_value", f"item.{param}")


# --- times of frames ---------------------------------------------------------------------


@pytest.mark.parametrize("absent", [UNSET, None])
def test_no_timestamp_is_none(absent: Any) -> None:
    assert input_items.checked_timestamp(absent) is None


@pytest.mark.parametrize("time_ms", [0.0, -5.0, 1.7e12, 1e15])
def test_any_finite_time_is_a_time(time_ms: float) -> None:
    assert input_items.checked_timestamp(time_ms) == time_ms


@pytest.mark.parametrize("time_ms", [math.nan, math.inf, -math.inf, 1e16, -1e300])
def test_what_is_no_time_is_refused(time_ms: float) -> None:
    with pytest.raises(EventRefused) as caught:
        input_items.checked_timestamp(time_ms)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "timestamp_ms")
