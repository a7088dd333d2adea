"""
Text to token ids, and token ids to bytes, with the checkpoint's own ``tokenizer.json``.

Knows which ids are control tokens; builds no prompt. Reads the file with ``tokenizers``
directly: transformers 5 rebuilds GPT-2's pre-tokenizer for this checkpoint and gets other
ids (huggingface/transformers#45701).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self, get_args

import tokenizers
from tokenizers.pre_tokenizers import ByteLevel

from assistant.errors import CheckpointError
from assistant.model.config import TokenIds
from assistant.wire.link import Control

CONTROL_SPELLINGS: dict[str, tuple[str, ...]] = {
    "end_of_text": ("<|endoftext|>",),
    "image": ("<|image|>", "<|endoftext10|>"),
    "audio": ("<|audio|>", "<|endoftext11|>"),
    "assistant": ("<|assistant|>",),
    "end": ("<|end|>",),
    "user": ("<|user|>",),
    "system": ("<|system|>",),
    "tool": ("<|tool|>",),
    "tool_end": ("<|/tool|>",),
    "tool_call": ("<|tool_call|>",),
    "tool_call_end": ("<|/tool_call|>",),
    "tool_response": ("<|tool_response|>",),
}
"""Image and audio placeholders changed their names between revisions, not their ids."""

SENSES = ("image", "audio")
"""The names that Phi-4-mini's tokenizer does without."""


def _byte_of_character() -> dict[str, int]:
    """
    Return the byte each character of a byte-level vocabulary stands for.

    GPT-2's table (``bytes_to_unicode`` in ``encoder.py``): printable Latin-1 characters
    stand for themselves, the other bytes for the characters from U+0100 on, in order.
    """
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(0xA1, 0xAD),
        *range(0xAE, 0x100),
    }
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return table | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTES = _byte_of_character()
assert _BYTES.keys() == set(ByteLevel.alphabet())


class _Spelling(dict[int, int]):
    """For ``str.translate``: what is not spelt in bytes becomes what no byte is."""

    def __missing__(self, character: int) -> int:
        return 0xFFFF


_SPELLING = _Spelling({ord(character): byte for character, byte in _BYTES.items()})


class Tokenizer:
    """One ``tokenizer.json``."""

    def __init__(self, backend: tokenizers.Tokenizer, control_ids: TokenIds) -> None:
        self._backend = backend
        self.control_ids = control_ids
        self._added = frozenset(backend.get_added_tokens_decoder())
        self._spoken = {control_ids.tool_call, control_ids.tool_call_end}
        self._pieces: dict[int, bytes] = {}

    @classmethod
    def load(cls, directory: Path, vocab_size: int) -> Self:
        """
        Read ``tokenizer.json``.

        Args:
            directory: The model folder.
            vocab_size: Rows of the embedding; no id may reach it.

        Raises:
            CheckpointError: The file is missing or damaged, or lacks a control token.
        """
        file = directory / "tokenizer.json"
        if not file.is_file():
            raise CheckpointError(f"{file} is missing")
        try:
            backend = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises bare Exception for a bad file
            raise CheckpointError(f"{file} is not a tokenizer: {error}") from error
        return cls.adopt(backend, vocab_size, str(file))

    @classmethod
    def adopt(cls, backend: tokenizers.Tokenizer, vocab_size: int, source: str) -> Self:
        """Use a tokenizer that is in memory; ``source`` names it in errors, as above."""
        greatest = max(backend.get_vocab(with_added_tokens=True).values(), default=0)
        if greatest >= vocab_size:
            raise CheckpointError(
                f"{source} has id {greatest}, the embedding holds {vocab_size}"
            )
        control_ids = _find_control_ids(source, backend)
        # `encode_special_tokens` spells out only tokens marked special; the tool tokens
        # of this vocabulary are not. The mark has no other effect here.
        for token in backend.get_added_tokens_decoder().values():
            token.special = True
            backend.add_special_tokens([token])
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        return cls(backend, control_ids)

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text; control tokens written in it stay plain text."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def control(self, name: Control) -> int:
        """Return the id of a control token."""
        token: int = getattr(self.control_ids, name)
        return token

    def piece(self, token: int) -> bytes:
        """
        Return the bytes one id adds to a reply.

        Control tokens and ids without a token add nothing, except ``<|tool_call|>`` and
        ``<|/tool_call|>``: they delimit what the reader of the reply has to parse.
        """
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._spell(token)
        return piece

    def _spell(self, token: int) -> bytes:
        content = self._backend.id_to_token(token)
        if content is None:
            return b""
        if token in self._added:
            return content.encode() if token in self._spoken else b""
        try:
            # Faster than a lookup for each character, and done 200,000 times.
            return content.translate(_SPELLING).encode("latin-1")
        except (
            UnicodeEncodeError
        ):  # not spelt in bytes; the ByteLevel decoder does the same
            return content.encode()

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of complete ids; invalid UTF-8 becomes U+FFFD."""
        return b"".join(map(self.piece, ids)).decode("utf-8", errors="replace")


def _find_control_ids(source: str, backend: tokenizers.Tokenizer) -> TokenIds:
    assert set(get_args(Control)) <= CONTROL_SPELLINGS.keys()
    added = {t.content: i for i, t in backend.get_added_tokens_decoder().items()}
    ids: dict[str, int] = {}
    for name, spellings in CONTROL_SPELLINGS.items():
        found = [added[spelling] for spelling in spellings if spelling in added]
        if found:
            ids[name] = found[0]
        elif name not in SENSES:
            raise CheckpointError(f"{source}: token {' or '.join(spellings)} is missing")
    image, audio = (ids.pop(name, None) for name in SENSES)
    return TokenIds(image=image, audio=audio, **ids)
