"""
Token ids to text, as they arrive.

Knows the bytes of each token; knows no generation. A character is given out when all of
its bytes are there: half a character is never shown, not even as U+FFFD.
"""

import codecs
from collections.abc import Iterable

from assistant.model.tokenizer import Tokenizer


class Detokenizer:
    """The text of one reply. ``receive`` and ``flush`` add up to ``Tokenizer.decode``."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def receive(self, ids: Iterable[int]) -> str:
        """Return the characters that ``ids`` complete, possibly none."""
        return self._decoder.decode(b"".join(map(self._tokenizer.piece, ids)))

    def flush(self) -> str:
        """Return what was held back (U+FFFD for half a character) and start over."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text
