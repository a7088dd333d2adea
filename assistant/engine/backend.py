"""
What the engine asks of a model: prepare, encode, prefill, decode.

The engine's loop knows a model through ``Backend`` alone; tests give it a toy.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from assistant.engine.sampler import Read
from assistant.engine.sequence import Chunk, Piece
from assistant.engine.vocabulary import Vocabulary
from assistant.wire.link import Adapter, Part


class Detokenizer(Protocol):
    """Turn the ids of one reply into text, holding back incomplete characters."""

    def feed(self, token: int) -> str:
        """Return the text that this id completes; may be empty."""
        ...

    def finish(self) -> str:
        """Return what was held back."""
        ...


@dataclass(frozen=True, slots=True)
class PartlyEncoded:
    """Media whose encoder has run over some of it; ``encode`` goes on from here."""

    state: object
    """What only the backend understands; not changed, so a failed step can be repeated."""


class Backend(Protocol):
    """A model with a KV cache of numbered rows."""

    model: str
    device: str
    dtype: str
    is_meaningless: bool
    stop_ids: frozenset[int]
    adapters: frozenset[Adapter]
    vocab_size: int
    prefill_tokens_per_s: float
    """How fast prompts are read, once it is warm; infinite where nobody measured."""

    @property
    def fallbacks(self) -> list[str]:
        """What would make it faster and could not be used, each with its reason."""
        ...

    def prepare(self, part: Part, adapter: Adapter) -> Chunk:
        """
        Count the tokens of a part; do only the work that takes.

        Raises:
            MediaError: The picture or clip cannot be used.
            RequestRefused: The model cannot read such a part.
        """
        ...

    def encode(self, media: object, adapter: Adapter) -> object:
        """
        Run the encoder over one bounded stretch of a chunk's media.

        Args:
            media: What ``prepare`` made, or ``PartlyEncoded`` as returned before.
            adapter: Of the sequence.

        Returns:
            ``PartlyEncoded`` if some of it is left, else the embeddings.
        """
        ...

    def offload(self, media: object) -> object:
        """Return the same embeddings in host memory."""
        ...

    def prefill(
        self,
        adapter: Adapter,
        slot: int,
        start: int,
        pieces: Items[Piece],
        *,
        wants_logits: bool,
    ) -> Tensor | None:
        """
        Compute consecutive positions from ``start`` on in one row.

        Returns:
            Logits after the last position, ``[V]`` float32, if wanted.
        """
        ...

    def decode(
        self,
        adapter: Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Items[int],
    ) -> Tensor:
        """Compute one position in each of several rows; return ``[B, V]`` float32."""
        ...

    def decode_ahead(
        self,
        adapter: Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Tensor,
        read: Read,
    ) -> None:
        """
        Begin, perhaps, the ``decode`` that follows if nothing comes between.

        It writes keys and values behind the ends of these rows only. ``decode`` finds out
        by itself whether it is asked for just that.

        Args:
            adapter: As for ``decode``, like the other two.
            slots: Of the rows.
            positions: Of the tokens.
            tokens: [B] int64 on the device, -1 where there is none.
            read: Waits for the same on the host.
        """
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens, for replies that must have a certain form."""
        ...

    def detokenizer(self) -> Detokenizer:
        """Return a fresh one for a reply."""
        ...

    def warm_up(self) -> None:
        """Run every kind of work once, so that no turn pays for first uses."""
        ...

    def check_device(self) -> None:
        """Raise if the device can no longer compute (a failed kernel poisons CUDA)."""
        ...
