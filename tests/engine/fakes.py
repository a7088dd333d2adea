"""
A toy model behind the engine's ``Backend``: bytes for tokens, a hash for a network.

The next token depends on everything at earlier positions and on the adapter, and on
nothing else; a wrong position, row or rollback changes the reply.
"""

import codecs
import hashlib
import math
from collections.abc import Sequence as Items
from dataclasses import dataclass, field

import torch
from torch import Tensor

from assistant.engine import background
from assistant.engine.sampler import Read
from assistant.engine.sequence import Chunk, Piece, text_chunk
from assistant.engine.vocabulary import Vocabulary
from assistant.errors import MediaError, RequestRefused
from assistant.wire import link

STOP = 256
VOCAB_SIZE = 257
CALL, CALL_END = 2, 3
"""Control tokens of the toy; as characters they are unused."""
VOCABULARY = Vocabulary(
    [b"" if n in (CALL, CALL_END) else bytes([n]) for n in range(256)] + [b""],
    call=CALL,
    call_end=CALL_END,
    stop_ids=frozenset({STOP}),
)
MASK = 2**61 - 1
NOT_A_NUMBER = "\x07"
"""Text ending in this has logits that are not finite."""

# The last two make an a-umlaut.
LETTERS: list[int] = [*b"abcdefghijklmnopqrstuvwxyz ", 0xC3, 0xA4]


def _mix(state: int, value: int) -> int:
    return (state * 1_000_003 + value + 12_345) & MASK


def next_token(state: int, stop_every: int) -> int:
    """Return what the toy says after a context with this hash."""
    digest: bytes = hashlib.blake2b(state.to_bytes(9), digest_size=8).digest()
    if int.from_bytes(digest[:4]) % stop_every == 0:
        return STOP
    return LETTERS[int.from_bytes(digest[4:]) % len(LETTERS)]


class FakeDetokenizer:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        return self._decoder.decode(bytes([token]))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


@dataclass
class FakeBackend:
    """Counts what it is asked to do, and checks that rows are used consistently."""

    num_slots: int = 4
    stop_every: int = 29
    """One in so many tokens ends a reply; large: none does."""
    model: str = "fake"
    device: str = "cpu"
    dtype: str = "float32"
    is_meaningless: bool = True
    stop_ids: frozenset[int] = frozenset({STOP})
    adapters: frozenset[link.Adapter] = frozenset({"none", "speech", "vision"})
    vocab_size: int = VOCAB_SIZE
    vocabulary: Vocabulary = field(default_factory=lambda: VOCABULARY)
    prefill_tokens_per_s: float = math.inf
    fallbacks: list[str] = field(default_factory=list)
    decode_error: Exception | None = None
    hungry_slot: int | None = None
    """A row with which no decode step fits into memory."""
    calls: list[str] = field(default_factory=list)
    begun: list[tuple[list[int], list[int]]] = field(default_factory=list)
    """Positions and tokens of the steps that might have been done ahead."""
    rows: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        # rows[slot][n] is the hash of what was read at the first n positions.
        self.rows = [[0] for _ in range(self.num_slots + background.NUM_ROWS)]

    def prepare(self, part: link.Part, adapter: link.Adapter) -> Chunk:
        match part:
            case link.TextPart(text):
                return text_chunk(list(text.encode()))
            case link.ControlPart(token):
                return text_chunk([1 + len(token)])
            case link.TokensPart(ids):
                return text_chunk(list(ids))
            case link.ImagePart(data):
                if data.startswith(b"bad"):
                    raise MediaError("image_invalid", "not a picture")
                return _media("image", data)
            case link.AudioPart(samples):
                if adapter == "none":
                    raise RequestRefused("part_unsupported", "this model cannot hear")
                return _media("audio", samples)

    def encode(self, media: object, adapter: link.Adapter) -> object:
        self.calls.append("encode")
        assert isinstance(media, bytes)
        if media.startswith(b"boom"):
            raise ValueError("the encoder broke")
        if media.startswith(b"oom"):
            raise torch.OutOfMemoryError("no memory left")
        return int.from_bytes(hashlib.sha256(media + adapter.encode()).digest()[:6])

    def offload(self, media: object) -> object:
        self.calls.append("offload")
        assert isinstance(media, int)
        return media

    def prefill(
        self,
        adapter: link.Adapter,
        slot: int,
        start: int,
        pieces: Items[Piece],
        *,
        wants_logits: bool,
    ) -> Tensor | None:
        assert pieces, "an empty prefill is a bug of the scheduler"
        self.calls.append(f"prefill {sum(p.high - p.low for p in pieces)}")
        row = self.rows[slot]
        assert start < len(row), "a prefill starts where the row ends, or before"
        del row[start + 1 :]
        value = 0
        for piece in pieces:
            for index in range(piece.low, piece.high):
                media = piece.chunk.media
                if piece.chunk.kind == "text":
                    value = piece.chunk.ids[index]
                else:
                    assert isinstance(media, int), "media must be encoded first"
                    value = media + index
                row.append(_mix(row[-1], value))
        return self._logits(adapter, row[-1], value) if wants_logits else None

    def decode(
        self,
        adapter: link.Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Items[int],
    ) -> Tensor:
        self.calls.append(f"decode {len(slots)}")
        if self.decode_error is not None:
            raise self.decode_error
        if self.hungry_slot in slots:
            raise torch.OutOfMemoryError("no memory left")
        assert len(set(slots)) == len(slots), "a row can be decoded once in a step"
        logits = []
        for slot, position, token in zip(slots, positions, tokens, strict=True):
            row = self.rows[slot]
            assert position < len(row), "a decode step starts where the row ends, or before"
            del row[position + 1 :]
            row.append(_mix(row[-1], token))
            logits.append(self._logits(adapter, row[-1], token))
        return torch.stack(logits)

    def decode_ahead(
        self,
        adapter: link.Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Tensor,
        read: Read,
    ) -> None:
        self.begun.append((list(positions), read()))

    def _logits(self, adapter: link.Adapter, state: int, last: int) -> Tensor:
        logits = torch.zeros(VOCAB_SIZE)
        logits[next_token(state + len(adapter), self.stop_every)] = 8.0
        if last == ord(NOT_A_NUMBER):
            logits[3] = torch.nan
        return logits

    def detokenizer(self) -> FakeDetokenizer:
        return FakeDetokenizer()

    def warm_up(self) -> None:
        self.calls.append("warm up")

    def check_device(self) -> None:
        self.calls.append("check device")


def _media(kind: str, data: bytes) -> Chunk:
    return Chunk(
        kind="image" if kind == "image" else "audio",
        num_tokens=len(data),
        media=data,
        is_encoded=False,
    )
