"""
Items that a client puts into the conversation, read from the wire.

Pictures must be data URIs (a URL of somebody's choice would make the server fetch it);
their payloads and recordings are checked by ``Media`` before the item exists.
"""

import binascii
import math
import re
from collections.abc import Callable
from typing import Protocol

from msgspec import UNSET, UnsetType, structs

from assistant.config import Config
from assistant.turns.conversation import MAX_ECHO_CHARS, Audio, Content, Image, Item, Text
from assistant.turns.settings import InputFormat
from assistant.wire import items as wire, refusals

_DATA_URI = re.compile(r"data:image/(?:jpeg|jpg|png|webp);base64,", re.IGNORECASE)
MAX_ID_CHARS = 512


class Checks(Protocol):
    """What must be asked of the media side."""

    def check_image(self, data: bytes) -> None: ...

    def read_clip(self, data: bytes, form: InputFormat) -> bytes: ...


def read(
    item: wire.Item,
    *,
    new_id: Callable[[str], str],
    media: Checks,
    form: InputFormat,
    config: Config,
    path: str = "item",
) -> Item:
    """
    Return the item as the conversation keeps it; ``path`` is where refusals say it is.

    Raises:
        EventRefused: A part does not fit the item, or is over its bound.
        MediaError: A picture or a recording cannot be used.
    """
    item_id = item.id or new_id("item")
    if len(item_id) > MAX_ID_CHARS:
        raise refusals.invalid_value(
            f"{path}.id", f"longer than {MAX_ID_CHARS} characters."
        )
    if not isinstance(item, wire.MessageItem):
        return _call(item, item_id, new_id, config, path)
    has_words = any(isinstance(part, wire.InputText) and part.text for part in item.content)
    content = [
        _content(
            part, f"{path}.content[{index}]", item.role, has_words, media, form, config
        )
        for index, part in enumerate(item.content)
    ]
    status: wire.ItemStatus = "incomplete" if item.status == "incomplete" else "completed"
    return Item(id=item_id, role=item.role, content=content, status=status)


def _call(
    item: wire.FunctionCallItem | wire.FunctionCallOutputItem,
    item_id: str,
    new_id: Callable[[str], str],
    config: Config,
    path: str,
) -> Item:
    if isinstance(item, wire.FunctionCallOutputItem):
        _check_text(item.output, f"{path}.output", config)
        return Item(id=item_id, role="user", content=[], call=item)
    _check_text(item.name, f"{path}.name", config)
    _check_text(item.arguments, f"{path}.arguments", config)
    call = structs.replace(item, call_id=item.call_id or new_id("call"))
    return Item(id=item_id, role="assistant", content=[], call=call)


def checked_timestamp(timestamp_ms: float | UnsetType | None) -> float | None:
    """Return a capture time, or None when the client gave none."""
    if timestamp_ms is UNSET or timestamp_ms is None:
        return None
    if not math.isfinite(timestamp_ms) or abs(timestamp_ms) > 1e15:
        raise refusals.invalid_value("timestamp_ms", f"{timestamp_ms} is not a time.")
    return timestamp_ms


def _content(
    part: wire.ContentPart,
    path: str,
    role: wire.Role,
    has_words: bool,
    media: Checks,
    form: InputFormat,
    config: Config,
) -> Content:
    if isinstance(part, wire.InputText | wire.OutputText | wire.BetaText):
        _check_text(part.text, f"{path}.text", config)
        return Text(part.text)
    if isinstance(part, wire.InputAudio | wire.OutputAudio | wire.BetaAudio):
        if role == "system":
            raise refusals.invalid_value(path, "a system item cannot hold sound.")
        _check_text(part.transcript or "", f"{path}.transcript", config)
        if role == "assistant" or not part.audio:
            return Audio(b"", part.transcript)
        return Audio(media.read_clip(part.audio, form), part.transcript)
    if role != "user":
        raise refusals.invalid_value(path, f"a {role} item cannot hold a picture.")
    if not part.image_url:
        raise refusals.missing_parameter(f"{path}.image_url")
    data = _decode_data_uri(part.image_url, f"{path}.image_url")
    media.check_image(data)
    # A picture without words is one of a camera's; one that somebody asks about, or wants
    # seen in detail, is worth more tokens.
    is_photo = part.detail == "high" or (has_words and part.detail != "low")
    pairing = config.pairing
    crops = pairing.photo_max_crops if is_photo else pairing.live_max_crops
    url = part.image_url if len(part.image_url) <= MAX_ECHO_CHARS else ""
    return Image(data, crops, part.detail or "auto", url)


def _check_text(text: str, path: str, config: Config) -> None:
    limit = config.limits.text_chars
    if len(text) > limit:
        raise refusals.invalid_value(path, f"{len(text)} characters, the bound is {limit}.")


def _decode_data_uri(url: str, path: str) -> bytes:
    match = _DATA_URI.match(url)
    if match is None:
        raise refusals.invalid_value(
            path, "expected a data URI (data:image/jpeg;base64,…) of a JPEG, PNG or WebP."
        )
    try:
        return binascii.a2b_base64(url[match.end() :], strict_mode=True)
    except ValueError:  # binascii.Error is one; so is a non-ASCII character
        raise refusals.invalid_value(path, "the base64 is not valid.") from None
