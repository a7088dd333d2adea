"""
A small ``tokenizer.json`` of the real one's construction, trained on the text below.

Byte-level BPE behind o200k's pre-tokenizer, with the control tokens at the real distance
from the end of the vocabulary and with the real flags. Used by checkpoints of random
weights; knows no weight.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from assistant.model.config import Layout

REAL_VOCAB_SIZE = 200_064

# o200k_base of tiktoken (openai_public.py), which GPT-4o's and this tokenizer share.
_O200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token of ``added_tokens``: its id in the real vocabulary and its flags."""

    content: str
    real_id: int
    takes_space_after: bool
    """``rstrip``: white space after the token belongs to it."""
    is_special: bool
    """Special tokens are left out by ``skip_special_tokens``; tool tokens are not."""

    def id_in(self, vocab_size: int) -> int:
        return self.real_id - REAL_VOCAB_SIZE + vocab_size


END_OF_TEXT = SpecialToken("<|endoftext|>", 199_999, False, True)
END = SpecialToken("<|end|>", 200_020, True, True)
NUM_RESERVED_IDS = REAL_VOCAB_SIZE - END_OF_TEXT.real_id
"""From ``<|endoftext|>`` to the end of the vocabulary; most stand for nothing."""


def special_tokens(layout: Layout) -> tuple[SpecialToken, ...]:
    """Return those of the published ``tokenizer.json``: fourteen, Phi-4-mini twelve."""
    image, audio = (
        ("<|image|>", "<|audio|>")
        if layout == "native"
        else ("<|endoftext10|>", "<|endoftext11|>")
    )
    senses = (
        SpecialToken(image, 200_010, False, True),
        SpecialToken(audio, 200_011, False, True),
    )
    return (
        END_OF_TEXT,
        *(senses if layout != "text" else ()),
        SpecialToken("<|endofprompt|>", 200_018, False, True),
        SpecialToken("<|assistant|>", 200_019, True, True),
        END,
        SpecialToken("<|user|>", 200_021, True, True),
        SpecialToken("<|system|>", 200_022, True, True),
        SpecialToken("<|tool|>", 200_023, True, False),
        SpecialToken("<|/tool|>", 200_024, True, False),
        SpecialToken("<|tool_call|>", 200_025, True, False),
        SpecialToken("<|/tool_call|>", 200_026, True, False),
        SpecialToken("<|tool_response|>", 200_027, True, False),
        SpecialToken("<|tag|>", 200_028, True, True),
    )


def train_tokenizer(
    vocab_size: int, layout: Layout, corpus: Sequence[str] | None = None
) -> tokenizers.Tokenizer:
    """
    Return a tokenizer whose greatest id is below ``vocab_size`` (at least 600).

    It is trained on ``corpus``, by default on the text at the end of this file.
    """
    num_pieces = vocab_size - NUM_RESERVED_IDS
    assert num_pieces >= 535, "too small for 256 bytes and some words"
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_O200K), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trained.decoder = decoders.ByteLevel()
    trained.train_from_iterator(
        CORPUS if corpus is None else corpus,
        trainers.BpeTrainer(
            vocab_size=num_pieces,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return _with_special_tokens(trained, vocab_size, layout)


def _with_special_tokens(
    trained: tokenizers.Tokenizer, vocab_size: int, layout: Layout
) -> tokenizers.Tokenizer:
    """Add the control tokens at their ids, leaving the holes that the real file has."""
    vocab = trained.get_vocab()
    merges = _merges(trained)
    specials = special_tokens(layout)
    vocab |= {token.content: token.id_in(vocab_size) for token in specials}
    rebuilt = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    rebuilt.pre_tokenizer = trained.pre_tokenizer
    rebuilt.decoder = trained.decoder
    for token in specials:
        added = AddedToken(
            token.content,
            rstrip=token.takes_space_after,
            normalized=False,
            special=token.is_special,
        )
        if token.is_special:
            rebuilt.add_special_tokens([added])
        else:
            rebuilt.add_tokens([added])
    return rebuilt


def _merges(trained: tokenizers.Tokenizer) -> list[tuple[str, str]]:
    """Return the merges, which only the serialised form gives away."""
    merges: list[list[str]] = json.loads(trained.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges]


CORPUS = (
    "You are a helpful assistant.",
    "Transcribe the audio clip into text.",
    "Translate the audio to German, French, Spanish, Italian, Japanese or Chinese.",
    "What is shown in this image? Describe the picture in one short sentence.",
    "Hello there, how can I help you today? Please tell me what you need.",
    "I can see a small red cup on the wooden table next to an open window.",
    "The old lighthouse keeper walks slowly along the quiet harbour every morning.",
    "A yellow bicycle leans against the garden wall under the apple tree.",
    "My sister plays the piano while our grandfather reads the evening paper.",
    "It will probably rain tomorrow, so take an umbrella with you to the station.",
    "Turn on the kitchen light and set a timer for ten minutes.",
    "The next train to the city leaves from platform four at half past nine.",
    "Two children build a tall castle of sand near the water.",
    "Could you repeat the last word? I did not hear it well enough.",
    "There are three green bottles and one blue glass behind the door.",
    "Our engineers measured the latency of every request and wrote down the results.",
    "She opens the letter, smiles, and puts it back into her pocket.",
    "Yes, of course. No, thank you. Maybe later, when we have more time.",
    "A black cat sleeps on the warm stone steps in front of the bakery.",
    "Remember to buy bread, milk, eggs, cheese, coffee and some fresh fruit.",
    "He explained the problem again, but nobody in the room understood his answer.",
    "The camera points at a white board with a long list of numbers: 12, 345, 6789.",
    "Please speak a little louder and hold the phone closer to your face.",
    "Birds gather above the river before winter and fly south together.",
    "This machine answers questions about pictures and sounds, quickly and politely.",
    "Which of these colours do you like best: orange, purple, brown or grey?",
    "The doctor asked him to rest, drink plenty of tea and stay at home.",
    "They found an empty wallet between the seats and gave it to the driver.",
    "Straße, Überraschung, café, señor, naïve, 你好, こんにちは, Привет, 🙂.",
    '[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    "def main():\n    print('hello')\n\n\treturn 0\r\n",
)
