"""
The lesson of answering: conversations as the language model reads them.

Prompts are built as the service builds them; the senses are either ideal (see ``ideal``)
or the network's own. Only answers are learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import tokenizers
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from assistant.demo import dialogues, network
from assistant.demo.dialogues import Dialogue, Turn
from assistant.demo.eyes import SIZES, draw_pictures
from assistant.demo.ideal import IMAGE_SIZE, PATCH_SIZE, Ideal
from assistant.demo.lessons import Materials, sound_batch, strange, take
from assistant.demo.network import Network
from assistant.demo.scenes import Scene
from assistant.model.audio import Projector
from assistant.model.images import prepare_image

IGNORED = -100


@dataclass(slots=True)
class Script:
    """One conversation as pieces in the order in which they are read."""

    pieces: list["list[int] | Sound | Sight"] = field(default_factory=list)
    is_answer: list[bool] = field(default_factory=list)

    def add(self, piece: "list[int] | Sound | Sight", *, is_answer: bool = False) -> None:
        self.pieces.append(piece)
        self.is_answer.append(is_answer)


@dataclass(frozen=True, slots=True)
class Sound:
    """Something said; the index of the clip once there is one."""

    text: str


@dataclass(frozen=True, slots=True)
class Sight:
    scene: Scene


class Spelling:
    """Text and control tokens as ids."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self.tokenizer = tokenizer

    def text(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def control(self, name: str) -> int:
        token = self.tokenizer.token_to_id(f"<|{name}|>")
        assert token is not None
        return token

    def answer(self, text: str) -> list[int]:
        """Return the ids of an answer up to its end; a call has its control tokens."""
        end = [self.control("end")]
        if not text.startswith("<|tool_call|>"):
            return self.text(text) + end
        body = text.removeprefix("<|tool_call|>").removesuffix("<|/tool_call|>")
        call = [self.control("tool_call"), *self.text(body), self.control("/tool_call")]
        return call + end

    def script(self, dialogue: Dialogue, rng: np.random.Generator) -> Script:
        """Write down a conversation."""
        script = Script()
        if dialogue.tools or dialogue.instructions:
            system = [self.control("system"), *self.text(dialogue.instructions)]
            if dialogue.tools:
                listed = ", ".join(tool.declared() for tool in dialogue.tools)
                system += [self.control("tool"), *self.text(f"[{listed}]")]
                system.append(self.control("/tool"))
            script.add([*system, self.control("end")])
        for turn in dialogue.turns:
            self._write_turn(script, turn, rng)
        return script

    def _write_turn(self, script: Script, turn: Turn, rng: np.random.Generator) -> None:
        script.add([self.control("user")])
        for scene in turn.scenes:
            script.add(Sight(scene))
        if turn.is_spoken:
            script.add(Sound(turn.text))
            words = turn.instruction
        else:
            words = dialogues.typed(rng, turn.text)
        script.add([*self.text(words), self.control("end"), self.control("assistant")])
        script.add(self.answer(turn.answer), is_answer=True)


def draw_scripts(
    spelling: Spelling,
    rng: np.random.Generator,
    count: int,
    *,
    has_picture: bool,
    spoken: float = 0.7,
) -> list[Script]:
    """Draw conversations of similar length, so that little of a batch is padding."""
    drawn = [
        spelling.script(
            dialogues.draw_dialogue(rng, has_picture=has_picture, spoken=spoken), rng
        )
        for _ in range(4 * count)
    ]
    drawn.sort(key=_length)
    start = count * int(rng.integers(4))
    return drawn[start : start + count]


def _length(script: Script) -> int:
    """Return about how many tokens a script takes."""
    return sum(
        len(piece) if isinstance(piece, list) else 78 if isinstance(piece, Sight) else 20
        for piece in script.pieces
    )


def ideal_senses(
    scripts: Sequence[Script], ideal: Ideal, rng: np.random.Generator, share: float = 1.0
) -> dict[int, Tensor]:
    """
    Return the embeddings of all sounds and sights, by the id of their piece.

    ``share`` of the patches that tell nothing are there (see ``Ideal.picture``).
    """
    sensed: dict[int, Tensor] = {}
    for script in scripts:
        for piece in script.pieces:
            if isinstance(piece, Sound):
                heard = ideal.sound(piece.text, rng) if piece.text else ideal.strange(rng)
                sensed[id(piece)] = heard
            elif isinstance(piece, Sight):
                width, height = SIZES[int(rng.integers(len(SIZES)))]
                sensed[id(piece)] = ideal.picture(piece.scene, width, height, rng, share)
    return sensed


@torch.no_grad()
def real_senses(
    scripts: Sequence[Script],
    net: Network,
    material: Materials,
    rng: np.random.Generator,
    projector: Projector,
) -> dict[int, Tensor]:
    """Draw and play everything; return what the network sees and hears of it."""
    sensed: dict[int, Tensor] = {}
    pieces = [piece for script in scripts for piece in script.pieces]
    sights = [piece for piece in pieces if isinstance(piece, Sight)]
    if sights:
        size = SIZES[int(rng.integers(len(SIZES)))]
        drawn = draw_pictures([sight.scene for sight in sights], material, rng, size)
        images = [prepare_image(p, 1, IMAGE_SIZE, PATCH_SIZE) for p in drawn]
        seen = network.see(net.image_encoder, network.stack(images))
        sensed |= {id(sight): row for sight, row in zip(sights, seen, strict=True)}
    sounds = [piece for piece in pieces if isinstance(piece, Sound)]
    clips = [
        take(material, s.text, rng) if s.text else strange(material, rng) for s in sounds
    ]
    order = sorted(range(len(sounds)), key=lambda index: len(clips[index]))
    third = max(-(-len(order) // 3), 1)
    for start in range(0, len(order), third):
        chosen = order[start : start + third]
        mels = sound_batch([clips[i] for i in chosen], material.corpus.noise, rng)
        hidden = network.hear(net.audio_encoder.encoder, mels)
        heard = net.audio_encoder.project(hidden, projector)
        sensed |= {id(sounds[i]): row for i, row in zip(chosen, heard, strict=True)}
    return sensed


def answers_loss(
    net: Network,
    scripts: Sequence[Script],
    sensed: dict[int, Tensor],
    mode: Projector | None = None,
) -> tuple[Tensor, float]:
    """
    Return the loss of the answers and the share of conversations without a mistake.

    Args:
        net: Reads them, with the adapter of ``mode``, if any.
        scripts: The conversations.
        sensed: What was seen and heard, by the id of the piece.
        mode: Which adapter.
    """
    rows, targets = [], []
    table = net.decoder.embed_tokens.weight
    for script in scripts:
        parts, wanted = [], []
        for piece, is_answer in zip(script.pieces, script.is_answer, strict=True):
            if isinstance(piece, list):
                parts.append(table[piece])
                wanted += piece if is_answer else [IGNORED] * len(piece)
            else:
                parts.append(sensed[id(piece)])
                wanted += [IGNORED] * len(parts[-1])
        rows.append(torch.cat(parts)[:-1])
        targets.append(torch.tensor(wanted[1:]))
    embeds = pad_sequence(rows, batch_first=True)
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    if mode is None:
        hidden = network.read(net.decoder, embeds)
    else:
        hidden = network.read_adapted(net, embeds, mode)
    asked = labels != IGNORED
    logits = net.decoder.logits(hidden[asked])
    loss = cross_entropy(logits, labels[asked])
    wrong = torch.zeros(labels.shape, dtype=torch.bool)
    wrong[asked] = logits.argmax(1) != labels[asked]
    return loss, 1 - float(wrong.any(1).float().mean())
