"""
Conversation items and content parts as they stand on the wire.

``UNSET`` fields are left out of the JSON; ``None`` is written as ``null``. Clients send
``null`` for what they leave out, and some beta names (``text`` for an assistant's
``output_text``); both are read, never written.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Role = Literal["system", "user", "assistant"]
Detail = Literal["auto", "low", "high"]


class InputText(msgspec.Struct, tag="input_text", tag_field="type"):
    text: str


class InputAudio(msgspec.Struct, tag="input_audio", tag_field="type"):
    """On input ``audio`` is base64 in the session's input format."""

    transcript: str | None = None
    audio: bytes | UnsetType | None = UNSET


class InputImage(msgspec.Struct, tag="input_image", tag_field="type"):
    """``image_url`` is a data URI; left out of an echo that would be too large."""

    image_url: str | UnsetType | None = UNSET
    detail: Detail | None = "auto"


class OutputText(msgspec.Struct, tag="output_text", tag_field="type"):
    text: str


class OutputAudio(msgspec.Struct, tag="output_audio", tag_field="type"):
    transcript: str | None = None
    audio: bytes | UnsetType | None = UNSET


class BetaText(msgspec.Struct, tag="text", tag_field="type"):
    text: str


class BetaAudio(msgspec.Struct, tag="audio", tag_field="type"):
    transcript: str | None = None
    audio: bytes | UnsetType | None = UNSET


ContentPart = (
    InputText | InputAudio | InputImage | OutputText | OutputAudio | BetaText | BetaAudio
)


class MessageItem(msgspec.Struct, tag="message", tag_field="type", kw_only=True):
    role: Role
    content: list[ContentPart]
    id: str | UnsetType | None = UNSET
    object: str | None = "realtime.item"
    status: ItemStatus | UnsetType | None = UNSET


class FunctionCallItem(msgspec.Struct, tag="function_call", tag_field="type", kw_only=True):
    name: str
    arguments: str
    call_id: str | UnsetType | None = UNSET
    id: str | UnsetType | None = UNSET
    object: str | None = "realtime.item"
    status: ItemStatus | UnsetType | None = UNSET


class FunctionCallOutputItem(
    msgspec.Struct, tag="function_call_output", tag_field="type", kw_only=True
):
    call_id: str
    output: str
    id: str | UnsetType | None = UNSET
    object: str | None = "realtime.item"
    status: ItemStatus | UnsetType | None = UNSET


Item = MessageItem | FunctionCallItem | FunctionCallOutputItem


class ItemReference(msgspec.Struct, tag="item_reference", tag_field="type"):
    id: str
