"""Short names for conversation items in tests."""

from typing import Literal

from assistant.turns.conversation import Audio, Content, Frame, Image, Item, Text
from assistant.wire import items as wire


def user(item_id: str, *words: str) -> Item:
    return Item(id=item_id, role="user", content=[Text(word) for word in words])


def spoken(item_id: str, samples: bytes = b"clip", num_frames: int = 0) -> Item:
    frames = [Frame(n, f"{item_id} frame {n}".encode(), 1) for n in range(num_frames)]
    return Item(id=item_id, role="user", content=[Audio(samples)], frames=frames)


def picture(item_id: str, *words: str) -> Item:
    content: list[Content] = [*(Text(word) for word in words)]
    content.append(Image(f"{item_id} picture".encode(), 4))
    return Item(id=item_id, role="user", content=content)


def reply(item_id: str, *token_ids: int, text: str = "Yes.") -> Item:
    """Return an answer as the engine wrote it, or, without ids, as a client did."""
    return Item(
        id=item_id,
        role="assistant",
        content=[Text(text)],
        token_ids=token_ids or None,
    )


def system(item_id: str, text: str) -> Item:
    return Item(id=item_id, role="system", content=[Text(text)])


def call(item_id: str, arguments: str = '{"a": 1}') -> Item:
    wanted = wire.FunctionCallItem(name="f", arguments=arguments, call_id="c")
    return Item(id=item_id, role="assistant", content=[], call=wanted)


def result(item_id: str, output: str = "7") -> Item:
    given = wire.FunctionCallOutputItem(call_id="c", output=output)
    return Item(id=item_id, role="user", content=[], call=given)


Kind = Literal["user", "spoken", "picture", "assistant", "system", "call", "result"]


def of_kind(kind: Kind, item_id: str, seed: int) -> Item:
    """Return an item of that kind; equal ids with other seeds differ in content."""
    match kind:
        case "user":
            return user(item_id, f"words {seed}")
        case "spoken":
            return spoken(item_id, f"clip {seed}".encode(), num_frames=seed % 3)
        case "picture":
            return picture(item_id, *([f"look {seed}"] if seed % 2 else []))
        case "assistant":
            return reply(item_id, text=f"answer {seed}")
        case "system":
            return system(item_id, f"rule {seed}")
        case "call":
            return call(item_id, f'{{"a": {seed}}}')
        case "result":
            return result(item_id, f"result {seed}")
