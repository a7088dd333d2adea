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
from assistant.demo.dialogues import Dialogue
from assistant.demo.eyes import SIZES, draw_pictures
from assistant.demo.fork import Fork
from assistant.demo.ideal import IMAGE_SIZE, PATCH_SIZE, Ideal
from assistant.demo.lessons import Materials, sound_batch, strange, take
from assistant.demo.network import Network
from assistant.demo.questions import Turn
from assistant.demo.scenes import Scene
from assistant.model.audio import Projector
from assistant.model.images import prepare_image

IGNORED = -100


@dataclass(slots=True)
class Script:
    """
    One conversation as pieces in the order in which they are read.

    It may end in one of several ways, which know nothing of each other: what they share
    is read but once.
    """

    pieces: list["list[int] | Sound | Sight"] = field(default_factory=list)
    is_answer: list[bool] = field(default_factory=list)
    endings: list[int] = field(default_factory=list)
    """The piece that each of several endings begins with."""

    def add(self, piece: "list[int] | Sound | Sight", *, is_answer: bool = False) -> None:
        self.pieces.append(piece)
        self.is_answer.append(is_answer)

    def begin_ending(self) -> None:
        """Let what is added from now on be another ending."""
        self.endings.append(len(self.pieces))


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
        script = self._opened(dialogue)
        for turn in dialogue.turns:
            self._show(script, turn.scenes)
            self._ask(script, turn, rng)
        return script

    def forked(
        self, dialogue: Dialogue, lasts: Sequence[Turn], rng: np.random.Generator
    ) -> Script:
        """Write down a conversation that goes on with any of ``lasts``, of one scene."""
        script = self.script(dialogue, rng)
        self._show(script, lasts[0].scenes)
        for turn in lasts:
            assert turn.scenes == lasts[0].scenes
            script.begin_ending()
            self._ask(script, turn, rng)
        return script

    def _opened(self, dialogue: Dialogue) -> Script:
        script = Script()
        if dialogue.tools or dialogue.instructions:
            system = [self.control("system"), *self.text(dialogue.instructions)]
            if dialogue.tools:
                listed = ", ".join(tool.declared() for tool in dialogue.tools)
                system += [self.control("tool"), *self.text(f"[{listed}]")]
                system.append(self.control("/tool"))
            script.add([*system, self.control("end")])
        return script

    def _show(self, script: Script, scenes: Sequence[Scene]) -> None:
        script.add([self.control("user")])
        for scene in scenes:
            script.add(Sight(scene))

    def _ask(self, script: Script, turn: Turn, rng: np.random.Generator) -> None:
        if turn.is_spoken:
            script.add(Sound(turn.text))
            words = turn.instruction
        else:
            words = dialogues.typed(rng, turn.text)
        script.add([*self.text(words), self.control("end"), self.control("assistant")])
        script.add(self.answer(turn.answer), is_answer=True)
        if turn.result:
            said = [self.control("tool_response"), *self.text(turn.result)]
            script.add([*said, self.control("end"), self.control("assistant")])
            script.add(self.answer(turn.closing), is_answer=True)


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
    Return the loss of the answers, and the share of endings without a mistake.

    A conversation with one ending counts as an ending.

    Args:
        net: Reads them, with the adapter of ``mode``, if any.
        scripts: The conversations.
        sensed: What was seen and heard, by the id of the piece.
        mode: Which adapter.
    """
    rows, targets, endings = [], [], []
    table = net.decoder.embed_tokens.weight
    for script in scripts:
        parts, wanted, of = [], [], []
        ending = 0
        for index, piece in enumerate(script.pieces):
            ending += index in script.endings
            if isinstance(piece, list):
                parts.append(table[piece])
                wanted += piece if script.is_answer[index] else [IGNORED] * len(piece)
            else:
                parts.append(sensed[id(piece)])
                wanted += [IGNORED] * len(parts[-1])
            of += [ending] * len(parts[-1])
        rows.append(torch.cat(parts)[:-1])
        targets.append(torch.tensor(wanted[1:]))
        endings.append(torch.tensor(of[:-1]))
    embeds = pad_sequence(rows, batch_first=True)
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    of_rows = pad_sequence(endings, batch_first=True, padding_value=-1)
    fork = Fork.of(of_rows) if any(script.endings for script in scripts) else None
    if mode is None:
        hidden = network.read(net.decoder, embeds, fork)
    else:
        hidden = network.read_adapted(net, embeds, mode, fork)
    asked = labels != IGNORED
    logits = net.decoder.logits(hidden[asked])
    loss = cross_entropy(logits, labels[asked])
    wrong = logits.argmax(1) != labels[asked]
    # Number all endings of all rows.
    of_answers = (of_rows + torch.arange(len(rows))[:, None] * labels.shape[1])[asked]
    is_wrong = torch.zeros(labels.numel(), dtype=torch.int64)
    is_wrong.index_add_(0, of_answers, wrong.long())
    learned = list(set(of_answers.tolist()))
    return loss, float((is_wrong[learned] == 0).float().mean())
