"""
From the conversation to what the model is to read.

A prompt is a list of *segments*: runs of parts with a key that changes exactly when the
run changes, so that what the engine already holds can be compared without looking at
payloads. The format is the model's own, without a newline anywhere:

    <|system|>…<|end|><|user|><|image_1|><|audio_1|><|end|><|assistant|>…<|end|>

Consecutive items of one role share a header; in an item pictures come first, then sound,
then words, as the model was trained.
"""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from assistant.turns.conversation import Audio, Image, Item, Text
from assistant.wire import items as wire, link


@dataclass(frozen=True, slots=True)
class Segment:
    key: Hashable
    parts: tuple[link.Part, ...]


REPLY_HEADER = link.ControlPart("assistant")
_END = link.ControlPart("end")


def segments(instructions: str, items: Sequence[Item]) -> list[Segment]:
    """Return the prompt up to, and without, the header of the reply."""
    built: list[Segment] = []
    if instructions:
        parts = (link.ControlPart("system"), link.TextPart(instructions), _END)
        built.append(Segment(("system", instructions), parts))
    shown = [item for item in items if item.is_in_prompt]
    for index, item in enumerate(shown):
        header = _header(item)
        before = _header(shown[index - 1]) if index else None
        after = _header(shown[index + 1]) if index + 1 < len(shown) else None
        opening: tuple[link.Part, ...] = (
            () if header == before else (link.ControlPart(header),)
        )
        key = ("item", item.id, item.version, bool(opening))
        built.append(Segment(key, opening + tuple(_body(item))))
        if header != after:
            built.append(Segment(("end", item.id), (_END,)))
    return built


def reply_key(item_id: str) -> Hashable:
    """Key of the segment that a reply becomes once its item is in the conversation."""
    return ("item", item_id, 0, True)


def adapter_for(items: Sequence[Item]) -> link.Adapter:
    """
    Choose the adapter from everything in the prompt, as the reference processor does.

    Any picture means vision (for the sound beside it too), sound alone means speech.
    """
    shown = [item for item in items if item.is_in_prompt]
    if any(item.num_images() for item in shown):
        return "vision"
    if any(_has_audio(item) for item in shown):
        return "speech"
    return "none"


def images_to_age(items: Sequence[Item], *, most: int, keep: int) -> list[Item]:
    """
    Return the items whose pictures must leave the prompt: the oldest, down to ``keep``.

    Nothing leaves until there are more than ``most``; then several leave at once, because
    every change of an old item costs the engine a new prefill of all that follows. The
    newest item with pictures always keeps them.
    """
    carrying = [item for item in items if item.is_in_prompt and item.num_images()]
    total = sum(item.num_images() for item in carrying)
    if total <= most:
        return []
    leaving = []
    for item in carrying[:-1]:
        if total <= keep:
            break
        leaving.append(item)
        total -= item.num_images()
    return leaving


def oldest_turn(items: Sequence[Item]) -> list[Item]:
    """
    Return the items to trim first: up to and with the oldest reply, system items kept.

    Empty when nothing but the last user turn is left.
    """
    shown = [item for item in items if item.is_in_prompt and item.role != "system"]
    for index, item in enumerate(shown):
        is_last_of_reply = item.role == "assistant" and (
            index + 1 == len(shown) or shown[index + 1].role != "assistant"
        )
        if is_last_of_reply and index + 1 < len(shown):
            return shown[: index + 1]
    # No reply yet: single context items (camera pictures, say) may still go.
    return shown[:1] if len(shown) > 1 else []


def _has_audio(item: Item) -> bool:
    return any(isinstance(part, Audio) and part.samples for part in item.content)


def _header(item: Item) -> link.Control:
    if isinstance(item.call, wire.FunctionCallOutputItem):
        return "tool_response"
    return item.role


def _body(item: Item) -> list[link.Part]:
    if isinstance(item.call, wire.FunctionCallItem):
        call = json.dumps([{"name": item.call.name, "arguments": item.call.arguments}])
        return [
            link.ControlPart("tool_call"),
            link.TextPart(call),
            link.ControlPart("tool_call_end"),
        ]
    if isinstance(item.call, wire.FunctionCallOutputItem):
        return [link.TextPart(item.call.output)]
    if item.token_ids is not None:
        return [link.TokensPart(list(item.token_ids))]
    pictures: list[link.Part] = [
        link.ImagePart(frame.data, frame.max_crops) for frame in item.frames
    ]
    sounds: list[link.Part] = []
    words: list[link.Part] = []
    for part in item.content:
        if isinstance(part, Image):
            if part.data:
                pictures.append(link.ImagePart(part.data, part.max_crops))
        elif isinstance(part, Audio):
            if part.samples:
                sounds.append(link.AudioPart(part.samples))
            elif part.transcript:
                words.append(link.TextPart(part.transcript))
        elif isinstance(part, Text) and part.text:
            words.append(link.TextPart(part.text))
    return pictures + sounds + words
