"""
From the conversation to what the model is to read.

A prompt is a list of *segments*: runs of parts with a key that changes exactly when the
run changes, so that what the engine already holds can be compared without looking at
payloads. The format is the model's own, without a newline anywhere:

    <|system|>…<|tool|>[…]<|/tool|><|end|>
    <|user|><|image_1|><|audio_1|><|end|><|assistant|>…<|end|>

Consecutive items of one role share a header (results of tools have their own); in an item
pictures come first, then sound, then words, as the model was trained. An item that has
nothing to read, because its picture was dropped for instance, leaves no trace, and neither
does a call that was cut off: it was not carried out and is no example to follow. Pictures
are a segment of their own: they are known, and read, before the sound that follows them;
and so is every complete window of a long recording.
"""

import json
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

from assistant.turns.conversation import Audio, Image, Item, Text
from assistant.turns.windows import is_window
from assistant.wire import items as wire, link


@dataclass(frozen=True, slots=True)
class Segment:
    key: Hashable
    parts: tuple[link.Part, ...]


REPLY_HEADER = link.ControlPart("assistant")
_END = link.ControlPart("end")


def segments(
    instructions: str,
    items: Sequence[Item],
    *,
    tools: str = "",
    aged: Collection[Item] = (),
    is_open: bool = False,
) -> list[Segment]:
    """
    Return the prompt up to, and without, the header of the reply.

    Args:
        instructions: The system message; "" for none.
        items: The conversation, or the context of one response.
        tools: The JSON of the functions that may be called; "" for none.
        aged: Those that are to be shown as ``Item.drop_images`` will leave them.
        is_open: The user has not finished: leave out the end of what they said last.
    """
    built: list[Segment] = []
    if instructions or tools:
        parts = _system(instructions, tools)
        built.append(Segment(("system", instructions, tools), parts))
    shown = _shown(items, aged)
    for index, entry in enumerate(shown):
        item, pictures, body = entry.item, entry.pictures, entry.body
        is_first = not (index and _share_header(shown[index - 1].item, item))
        is_last = not (
            index + 1 < len(shown) and _share_header(item, shown[index + 1].item)
        )
        opening: list[link.Part] = [link.ControlPart(_header(item))] if is_first else []
        version = item.version + (item in aged)
        if pictures:
            pictures_key = ("pictures", item, version, is_first)
            built.append(Segment(pictures_key, (*opening, *pictures)))
            opening = []
        windows, body = _complete_windows(body)
        for number, window in enumerate(windows):
            window_key = ("window", item, version, number, bool(opening))
            built.append(Segment(window_key, (*opening, window)))
            opening = []
        if body:
            key = _key(item, is_first, version, entry.is_as_written)
            built.append(Segment(key, (*opening, *body)))
        is_unfinished = is_open and index + 1 == len(shown) and _header(item) == "user"
        if is_last and not is_unfinished:
            built.append(Segment(("end", item.id), (_END,)))
    return built


def reply_key(item_id: str) -> Hashable:
    """Key of the segment that a reply becomes once its item is in the conversation."""
    return ("reply", item_id)


def _system(instructions: str, tools: str) -> tuple[link.Part, ...]:
    parts: list[link.Part] = [link.ControlPart("system")]
    if instructions:
        parts.append(link.TextPart(instructions))
    if tools:
        opened, closed = link.ControlPart("tool"), link.ControlPart("tool_end")
        parts += [opened, link.TextPart(tools), closed]
    return (*parts, _END)


@dataclass(frozen=True, slots=True)
class _Shown:
    """An item with something to read."""

    item: Item
    pictures: list[link.Part]
    body: list[link.Part]
    is_as_written: bool
    """The body is what the model wrote, token by token."""


def _shown(items: Sequence[Item], aged: Collection[Item]) -> list[_Shown]:
    """
    Return the items with something to read; what is still being said is not among them.

    A reply of several items is one run of tokens, which its first item has. Once one of
    them was deleted or trimmed or cut off, or another came between, each is told in words.
    """
    listed = [item for item in items if item.is_in_prompt and not _is_unfinished(item)]
    told: set[Item] = set()
    shown = []
    for index, item in enumerate(listed):
        if item in told:
            continue
        behind = tuple(listed[index + 1 : index + 1 + len(item.followers)])
        is_as_written = item.token_ids is not None and behind == item.followers
        if is_as_written:
            told.update(behind)
        pictures = [] if item in aged else _pictures(item)
        body = _body(item, is_as_written)
        if pictures or body:
            shown.append(_Shown(item, pictures, body, is_as_written))
    return shown


def _is_unfinished(item: Item) -> bool:
    if isinstance(item.call, wire.FunctionCallItem):
        return item.status != "completed"
    return item.status == "in_progress"


def _key(item: Item, is_first: bool, version: int, is_as_written: bool) -> Hashable:
    if is_as_written and version == 0 and is_first:
        return reply_key(item.id)
    # The item itself and not its id, which a client may give to another one.
    return (item, version, item.num_takes, is_first)


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

    The results of a reply's calls, and what was said on them, are part of it. Empty when
    nothing but the last user turn is left.
    """
    shown = [item for item in items if item.is_in_prompt and item.role != "system"]
    questions = [index for index, item in enumerate(shown) if _header(item) == "user"]
    for index in questions:
        if index and _header(shown[index - 1]) != "user":
            return shown[:index]
    # No reply yet: single context items (camera pictures, say) may still go.
    return shown[:1] if questions and questions[-1] > 0 else []


def _has_audio(item: Item) -> bool:
    return any(isinstance(part, Audio) and part.samples for part in item.content)


def _header(item: Item) -> link.Control:
    if isinstance(item.call, wire.FunctionCallOutputItem):
        return "tool_response"
    return item.role


def _share_header(item: Item, following: Item) -> bool:
    # Two results under one header would run into each other.
    return _header(item) == _header(following) != "tool_response"


def _pictures(item: Item) -> list[link.Part]:
    if item.call is not None or item.token_ids is not None:
        return []
    frames = [link.ImagePart(frame.data, frame.max_crops) for frame in item.frames]
    photos = [
        link.ImagePart(part.data, part.max_crops)
        for part in item.content
        if isinstance(part, Image) and part.data
    ]
    return [*frames, *photos]


def _body(item: Item, is_as_written: bool) -> list[link.Part]:
    """Return what follows the pictures."""
    if is_as_written and item.token_ids is not None:
        return [link.TokensPart(list(item.token_ids))] if item.token_ids else []
    if isinstance(item.call, wire.FunctionCallItem):
        call = json.dumps(
            [{"name": item.call.name, "arguments": _arguments(item.call.arguments)}],
            ensure_ascii=False,
        )
        return [
            link.ControlPart("tool_call"),
            link.TextPart(call),
            link.ControlPart("tool_call_end"),
        ]
    if isinstance(item.call, wire.FunctionCallOutputItem):
        return [link.TextPart(item.call.output)]
    sounds: list[link.Part] = []
    words: list[link.Part] = []
    for part in item.content:
        if isinstance(part, Audio):
            if part.samples:
                sounds += part.parts()
            elif part.transcript:
                words.append(link.TextPart(part.transcript))
        elif isinstance(part, Text) and part.text:
            words.append(link.TextPart(part.text))
    return sounds + words


def _complete_windows(
    body: list[link.Part],
) -> tuple[list[link.AudioPart], list[link.Part]]:
    """Return the windows that a body begins with, and the rest of it."""
    windows: list[link.AudioPart] = []
    for part in body:
        if not isinstance(part, link.AudioPart) or not is_window(part):
            break
        windows.append(part)
    return windows, body[len(windows) :]


def _arguments(text: str) -> object:
    """The wire has them as JSON in a string, the model as JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
