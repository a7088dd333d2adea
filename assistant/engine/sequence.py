"""
What the model has read for one conversation: counts, marks and the reply under way.

A sequence is append-only with marks. Two integers say everything about its cache:
``num_tokens`` positions exist, the first ``num_computed`` of them lie in the KV cache.
Rolling back, cancelling and being evicted all lower one of them and touch no tensor.

The content is kept too (token ids, and media as the backend made them), so that a
sequence whose row was given to somebody else can be read again.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from assistant.errors import RequestRefused
from assistant.wire.link import Adapter, Sampling

MAX_IMAGES = 64
"""In one sequence: the model was trained with no more."""

Kind = Literal["text", "image", "audio"]


@dataclass(slots=True, kw_only=True, eq=False)
class Chunk:
    """A run of positions of one kind."""

    kind: Kind
    num_tokens: int
    ids: list[int] = field(default_factory=list)
    """Token ids of text; empty for media."""
    media: object = None
    """What only the backend understands: prepared input, partly encoded, embeddings."""
    is_encoded: bool = True
    """Media: ``media`` has embeddings, the encoder need not run any more."""


def text_chunk(ids: list[int]) -> Chunk:
    """Return a chunk of token ids."""
    return Chunk(kind="text", num_tokens=len(ids), ids=ids)


@dataclass(frozen=True, slots=True)
class Piece:
    """Positions ``[low, high)`` of a chunk, counted from the chunk's own start."""

    chunk: Chunk
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAppend:
    """An ``Append`` without an answer yet."""

    end: int
    num_text: int = 0
    num_image: int = 0
    num_audio: int = 0
    refusal: tuple[str, str] | None = None
    """Code and message; its answer still waits for those of earlier appends."""


@dataclass(slots=True, kw_only=True, eq=False)
class Generation:
    """A reply that is waited for or being written."""

    number: int
    sampling: Sampling
    received_at: float
    num_prompt: int
    """Also the position of the reply's first token."""
    num_cached: int
    is_speculative: bool = False
    is_admitted: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Where the latest ended reply lies; a late ``Cancel`` may still shorten it."""

    number: int
    start: int
    end: int


class Sequence:
    """The book-keeping of one sequence; ``max_tokens`` positions at most."""

    def __init__(
        self,
        key: tuple[int, int],
        adapter: Adapter,
        max_tokens: int,
        *,
        is_background: bool = False,
    ) -> None:
        self.key = key
        """Connection and the number its gateway gave the sequence."""
        self.adapter = adapter
        self.is_background = is_background
        self.max_tokens = max_tokens
        self.num_tokens = 0
        self.num_computed = 0
        self.num_cached = 0
        """Of the computed ones, those that were there when the latest reply ended."""
        self.chunks: list[Chunk] = []
        self.marks: dict[int, int] = {}
        self.pending: deque[PendingAppend] = deque()
        self.generation: Generation | None = None
        self.latest_reply: Reply | None = None
        self.failure: str | None = None
        """Code of the append that failed; only a rollback clears it."""

    @property
    def num_owed(self) -> int:
        """Positions that are not in the cache yet."""
        return self.num_tokens - self.num_computed

    # --- growing -----------------------------------------------------------------------

    def append(self, chunks: Iterable[Chunk]) -> None:
        """
        Add chunks at the end, all or none.

        Raises:
            RequestRefused: ``context_length_exceeded`` or ``too_many_images``; nothing was
                added.
        """
        chunks = list(chunks)
        num_images = sum(chunk.kind == "image" for chunk in [*self.chunks, *chunks])
        if num_images > MAX_IMAGES:
            raise RequestRefused(
                "too_many_images",
                f"sequence would have {num_images} pictures, the bound is {MAX_IMAGES}",
            )
        counts = {"text": 0, "image": 0, "audio": 0}
        for chunk in chunks:
            counts[chunk.kind] += chunk.num_tokens
        end = self.num_tokens + sum(counts.values())
        if end > self.max_tokens:
            raise RequestRefused(
                "context_length_exceeded",
                f"sequence would have {end} tokens, the bound is {self.max_tokens}",
            )
        self.chunks += [chunk for chunk in chunks if chunk.num_tokens]
        self.num_tokens = end
        self.pending.append(
            PendingAppend(
                end=end,
                num_text=counts["text"],
                num_image=counts["image"],
                num_audio=counts["audio"],
            )
        )

    def refuse(self, code: str, message: str) -> None:
        """Take note of an append that added nothing; only a rollback mends it."""
        end = self.pending[-1].end if self.pending else 0
        self.pending.append(PendingAppend(end=end, refusal=(code, message)))
        self.failure = self.failure or code

    def fail(self, code: str, message: str) -> list[PendingAppend]:
        """Take note that nothing pending can be computed; return it, each refused."""
        failed = [
            PendingAppend(end=append.end, refusal=append.refusal or (code, message))
            for append in self.pending
        ]
        self.pending.clear()
        self.failure = self.failure or code
        return failed

    def append_token(self, token: int) -> None:
        """Add a token of the reply under way."""
        assert self.generation is not None, "only a reply grows by single tokens"
        assert self.num_tokens < self.max_tokens, "a full sequence ends its reply"
        if self.num_tokens == self.generation.num_prompt:
            self.chunks.append(text_chunk([]))
        self.chunks[-1].ids.append(token)
        self.chunks[-1].num_tokens += 1
        self.num_tokens += 1

    # --- shrinking ---------------------------------------------------------------------

    def mark(self, mark: int) -> None:
        """Remember the present end under a number."""
        self.marks[mark] = self.num_tokens

    def rollback(self, mark: int) -> None:
        """
        Cut back to a mark and clear a failure.

        Appends that nobody will prefill now keep their place among those that wait for
        their answer, so that answers come in the order of the appends.

        Raises:
            RequestRefused: ``unknown_mark``; nothing changed.
        """
        position = self.marks.get(mark)
        if position is None:
            raise RequestRefused("unknown_mark", f"mark {mark} is not set")
        self.failure = None
        self.pending = deque(replace(a, end=min(a.end, position)) for a in self.pending)
        self.cut(position)

    def cut(self, position: int) -> None:
        """Forget everything from ``position`` on."""
        excess = self.num_tokens - position
        assert excess >= 0, "a cut never lengthens"
        while excess:
            last = self.chunks[-1]
            if last.num_tokens <= excess:
                excess -= self.chunks.pop().num_tokens
                continue
            assert last.kind == "text", "cuts lie between media, never in one"
            del last.ids[-excess:]
            last.num_tokens -= excess
            excess = 0
        self.num_tokens = position
        self._forget_computed(position)
        self.marks = {n: at for n, at in self.marks.items() if at <= position}
        if self.latest_reply is not None and self.latest_reply.end > position:
            self.latest_reply = None

    def evict(self) -> None:
        """Take note that the row is gone; the content stays, to be read again."""
        self._forget_computed(0)

    def _forget_computed(self, position: int) -> None:
        self.num_computed = min(self.num_computed, position)
        self.num_cached = min(self.num_cached, position)

    # --- computing ---------------------------------------------------------------------

    def pieces(self, start: int, stop: int) -> list[Piece]:
        """Return what lies at positions ``[start, stop)``, in order."""
        found = []
        position = 0
        for chunk in self.chunks:
            low, high = max(start - position, 0), min(stop - position, chunk.num_tokens)
            if low < high:
                found.append(Piece(chunk, low, high))
            position += chunk.num_tokens
            if position >= stop:
                break
        return found

    def receive_computed(self, stop: int) -> None:
        """Take note that positions before ``stop`` lie in the cache."""
        assert self.num_computed <= stop <= self.num_tokens
        self.num_computed = stop

    def pop_prefilled(self) -> list[PendingAppend]:
        """Return, once each and in order, the appends whose answer is due."""
        done = []
        # An empty append behind a reply that was shortened may end past the end.
        while (
            self.pending and min(self.pending[0].end, self.num_tokens) <= self.num_computed
        ):
            done.append(self.pending.popleft())
        return done

    @property
    def can_decode(self) -> bool:
        """One text token stands between the cache and the next token of the reply."""
        return (
            self.num_tokens - self.num_computed == 1
            and self.generation is not None
            and self.chunks[-1].kind == "text"
        )

    # --- replies -----------------------------------------------------------------------

    def begin(
        self, number: int, sampling: Sampling, now: float, *, is_speculative: bool = False
    ) -> None:
        """
        Start a reply at the present end.

        Raises:
            RequestRefused: There is nothing to reply to, or no room for a reply.
        """
        assert self.generation is None
        if self.num_tokens == 0:
            raise RequestRefused("empty_prompt", "the sequence has no tokens")
        if self.num_tokens == self.max_tokens:
            raise RequestRefused(
                "context_length_exceeded",
                f"sequence has {self.num_tokens} tokens, the bound is {self.max_tokens}: "
                f"no room for a reply",
            )
        # Logits are not kept: a prompt that is all computed reads its last token again.
        self._forget_computed(self.num_tokens - 1)
        self.generation = Generation(
            number=number,
            sampling=sampling,
            received_at=now,
            num_prompt=self.num_tokens,
            num_cached=self.num_cached,
            is_speculative=is_speculative,
        )

    def promote(self, number: int, now: float) -> None:
        """Let a speculative reply count as asked for ``now``; others are left alone."""
        generation = self.generation
        if generation is not None and generation.number == number:
            if generation.is_speculative:
                generation.received_at = now
            generation.is_speculative = False

    @property
    def num_output(self) -> int:
        """Tokens of the reply under way."""
        assert self.generation is not None
        return self.num_tokens - self.generation.num_prompt

    def end(self) -> None:
        """End the reply under way; its tokens stay."""
        generation = self.generation
        assert generation is not None
        self.generation = None
        self.num_cached = self.num_computed
        self.latest_reply = Reply(generation.number, generation.num_prompt, self.num_tokens)

    def keep(self, number: int, num_kept: int) -> None:
        """
        Shorten the latest reply to its first ``num_kept`` tokens.

        Does nothing when something was appended since, or when the reply is another one:
        the order then crossed the reply's end on the link and came too late to matter.
        """
        reply = self.latest_reply
        if reply is None or reply.number != number or reply.end != self.num_tokens:
            return
        end = min(reply.start + max(num_kept, 0), reply.end)
        self.cut(end)
        self.latest_reply = Reply(number, reply.start, end)
