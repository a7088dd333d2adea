"""
The conversation of one session: items in order, as the gateway owns them.

Media payloads pass through as opaque bytes; nothing here looks into them. The engine
holds only a cache of this, so everything needed to build it anew stays here.
"""

from dataclasses import dataclass, field

from msgspec import UNSET, structs

from assistant.turns.windows import split
from assistant.wire import client_events as client, items as wire, link, refusals
from assistant.wire.server_events import ItemDeleted, ItemRetrieved

MAX_ECHO_CHARS = 256 * 1024
"""A longer data URI is left out when its item is echoed (outgoing messages stay small)."""


@dataclass(slots=True)
class Text:
    text: str


@dataclass(slots=True)
class Audio:
    """A clip; ``samples`` is float32 little-endian mono at 16 kHz, empty once aged out."""

    samples: bytes
    transcript: str | None = None
    _cut: tuple[bytes, list[link.AudioPart]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def parts(self) -> list[link.AudioPart]:
        """Return what it is to the engine; a long one is cut into windows once."""
        if self._cut is None or self._cut[0] is not self.samples:
            self._cut = self.samples, split(self.samples)
        return self._cut[1]


@dataclass(slots=True)
class Image:
    """A picture the client put into the conversation; ``data`` is empty once aged out."""

    data: bytes
    max_crops: int
    detail: wire.Detail = "auto"
    url: str = ""
    """The data URI to echo; empty when it is longer than ``MAX_ECHO_CHARS``."""


@dataclass(slots=True)
class Frame:
    """A camera frame paired with an item; seen by the model, not echoed on the wire."""

    id: int
    data: bytes
    max_crops: int


Content = Text | Audio | Image


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """
    One entry, equal to itself alone: its id may be that of a deleted one.

    ``version`` grows with every change that alters its prompt.
    """

    id: str
    role: wire.Role
    content: list[Content]
    status: wire.ItemStatus = "completed"
    frames: list[Frame] = field(default_factory=list)
    token_ids: tuple[int, ...] | None = None
    """An assistant's reply as generated; None when a client wrote it."""
    followers: tuple["Item", ...] = ()
    """The further items of the same reply, whose words are among ``token_ids`` too."""
    call: wire.FunctionCallItem | wire.FunctionCallOutputItem | None = None
    version: int = 0
    num_takes: int = 0
    """Grows with every change of the sound alone: its pictures are not read again."""
    is_in_prompt: bool = True
    """False once the item was trimmed for the token budget."""

    def num_images(self) -> int:
        """Pictures that the prompt would carry for this item."""
        shown = sum(isinstance(part, Image) and bool(part.data) for part in self.content)
        return shown + len(self.frames)

    def drop_images(self) -> int:
        """Age the pictures out of the prompt; return how many there were."""
        dropped = self.num_images()
        self.frames.clear()
        for part in self.content:
            if isinstance(part, Image):
                part.data = b""
        self.version += 1
        return dropped

    def num_bytes(self) -> int:
        """What the item keeps of sound and pictures."""
        sizes = [len(frame.data) for frame in self.frames]
        for part in self.content:
            if isinstance(part, Audio):
                sizes.append(len(part.samples))
            elif isinstance(part, Image):
                sizes.append(len(part.data) + len(part.url))
        return sum(sizes)

    def leave_prompt(self) -> None:
        """Trim the item: it stays listed, its payloads are let go."""
        self.is_in_prompt = False
        self.drop_images()
        for part in self.content:
            if isinstance(part, Audio):
                part.samples = b""
            elif isinstance(part, Image):
                part.url = ""

    def to_wire(self) -> wire.Item:
        """Return the item as clients see it."""
        if self.call is not None:
            return structs.replace(
                self.call, id=self.id, object="realtime.item", status=self.status
            )
        return wire.MessageItem(
            id=self.id,
            role=self.role,
            status=self.status,
            content=[_content_to_wire(self.role, part) for part in self.content],
        )


def _content_to_wire(role: wire.Role, part: Content) -> wire.ContentPart:
    if isinstance(part, Text):
        return (
            wire.OutputText(part.text) if role == "assistant" else wire.InputText(part.text)
        )
    if isinstance(part, Audio):
        return (
            wire.OutputAudio(transcript=part.transcript)
            if role == "assistant"
            else wire.InputAudio(transcript=part.transcript)
        )
    return wire.InputImage(image_url=part.url or UNSET, detail=part.detail)


class Conversation:
    """
    Items in order. ``previous_item_id`` always comes from this list.

    Bounded twice: a list of ``max_items`` takes no more, and beyond ``max_bytes`` of sound
    and pictures the oldest items leave the prompt and let theirs go.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self.items: list[Item] = []
        self._max_items = max_items
        self._max_bytes = max_bytes

    def last_id(self) -> str | None:
        return self.items[-1].id if self.items else None

    def insert(self, item: Item, previous_item_id: str | None = None) -> str | None:
        """
        Insert after an item, at the ``"root"``, or (None) at the end.

        Returns:
            The id of the item before it, or None for the first.

        Raises:
            EventRefused: The id is taken, the previous id is unknown, or the list is full.
        """
        if self.has(item.id):
            raise refusals.duplicate_item(item.id)
        if len(self.items) >= self._max_items:
            raise refusals.EventRefused(
                "conversation_full",
                f"The conversation holds {self._max_items} items, which is its bound; "
                "delete some.",
            )
        if previous_item_id is None:
            index = len(self.items)
        elif previous_item_id == "root":
            index = 0
        else:
            index = self._index("create", previous_item_id, "previous_item_id") + 1
        self.items.insert(index, item)
        self._let_go(item)
        return self.items[index - 1].id if index else None

    def _let_go(self, newest: Item) -> None:
        total = sum(item.num_bytes() for item in self.items)
        for item in self.items:
            if total <= self._max_bytes:
                return
            if item is not newest and (size := item.num_bytes()):
                item.leave_prompt()
                total -= size

    def has(self, item_id: str) -> bool:
        return any(item.id == item_id for item in self.items)

    def receive_event(
        self, event: client.ItemRetrieve | client.ItemDelete | client.ItemTruncate
    ) -> ItemRetrieved | ItemDeleted:
        """
        Do what a client wants with one item; return what it is told.

        Raises:
            EventRefused: There is no such item, or there is no voice to be cut off.
        """
        match event:
            case client.ItemRetrieve():
                return ItemRetrieved(item=self.get(event.item_id).to_wire())
            case client.ItemDelete():
                self.delete(event.item_id)
                return ItemDeleted(item_id=event.item_id)
            case client.ItemTruncate():
                self.get(event.item_id, "truncate")
                raise refusals.not_truncatable()

    def get(self, item_id: str, verb: str = "retrieve") -> Item:
        return self.items[self._index(verb, item_id)]

    def previous_id(self, item_id: str) -> str | None:
        index = self._index("retrieve", item_id)
        return self.items[index - 1].id if index else None

    def delete(self, item_id: str) -> None:
        del self.items[self._index("delete", item_id)]

    def _index(self, verb: str, item_id: str, param: str = "item_id") -> int:
        for index, item in enumerate(self.items):
            if item.id == item_id:
                return index
        raise refusals.unknown_item(verb, item_id, param)
