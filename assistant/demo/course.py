"""
The whole course: the three lessons, the fourth that puts them together, the model folder.

Eyes, ears and talk know nothing of each other and may be learned side by side, by as many
processes; ``together`` starts from what they left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import tokenizers
import torch
from torch import Tensor

from assistant.demo import (
    augment,
    dialogues,
    exercises,
    eyes,
    lessons,
    network,
    talk,
    train,
)
from assistant.demo.clips import Clips
from assistant.demo.corpus import Corpus
from assistant.demo.ideal import Ideal
from assistant.demo.lessons import Heads, Materials
from assistant.demo.network import VOCAB_SIZE, Network
from assistant.demo.photos import varied
from assistant.demo.scenes import UInt8Array
from assistant.demo.talk import Spelling
from assistant.demo.train import Plan
from assistant.model.tokenizer_trainer import train_tokenizer

Lesson = Literal["eyes", "ears", "talk", "together"]
LESSONS: tuple[Lesson, ...] = get_args(Lesson)
PLANS: dict[Lesson, Plan] = {
    "eyes": Plan("eyes", steps=4500, batch=32, rate=2e-3),
    "ears": Plan("ears", steps=6000, batch=32, rate=1.5e-3),
    "talk": Plan("talk", steps=5200, batch=32, rate=3e-3, warm_up=50),
    "together": Plan("together", steps=1500, batch=24, rate=8e-4, warm_up=40),
}
CLOSE_STEPS = 900
"""So long the eyes look closely, at twice as many pictures, before they see whole ones."""
GENTLE_STEPS = 800
"""So long it takes until the ears meet the worst microphones."""
EXAMINED = 160

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Classroom:
    """Everything the lessons share."""

    folder: Path
    """Where states are kept."""
    material: Materials
    tokenizer: tokenizers.Tokenizer
    ideal: Ideal
    say: Say


def classroom(
    folder: Path, corpus: Corpus, photos: Sequence[UInt8Array], say: Say
) -> Classroom:
    """Prepare the lessons; the tokenizer is trained here, once for all of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    # What was learned with one vocabulary is nothing to another, were it made anew.
    if file.exists():
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    else:
        tokenizer = train_tokenizer(VOCAB_SIZE, "native", dialogues.texts_for_tokenizer())
        tokenizer.save(str(file))
    net, _ = train.new_network()
    ideal = Ideal.of(net.decoder.embed_tokens.weight.detach(), tokenizer)
    material = lessons.materials(corpus, varied(photos))
    return Classroom(folder, material, tokenizer, ideal, say)


def learn(room: Classroom, lesson: Lesson, steps: int | None = None) -> Network:
    """Learn one lesson, from where it was left; return what has learned it."""
    plan = PLANS[lesson] if steps is None else PLANS[lesson].shortened(steps)
    net, heads = train.new_network()
    if lesson == "ears":
        _measure_loudness(net, room.material.corpus.known)
    if lesson == "together":
        _gather(room.folder, net, heads)
        # Words keep their embedding, and the senses what they have learned.
        net.image_encoder.requires_grad_(False)
        net.audio_encoder.requires_grad_(False)
    spelling = Spelling(room.tokenizer)

    def loss(
        net: Network, heads: Heads, rng: np.random.Generator, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        match lesson:
            case "eyes" if step < CLOSE_STEPS:
                return eyes.close_loss(net, heads, room.material, rng, 2 * plan.batch)
            case "eyes":
                return eyes.whole_loss(
                    net, heads, room.ideal, room.material, rng, plan.batch
                )
            case "ears":
                strength = min(step / GENTLE_STEPS, 1.0)
                return lessons.ears_loss(
                    net, heads, room.ideal, room.material, rng, plan.batch, strength
                )
            case "talk":
                return _ideal_loss(net, room, spelling, rng, step)
            case _:
                return _real_loss(net, room, spelling, rng)

    train.learn(
        plan,
        net,
        heads,
        loss,
        room.folder / f"{lesson}.pt",
        room.say,
        (lambda: examine_ears(net, heads, room.material.corpus))
        if lesson == "ears"
        else None,
    )
    return net


def _measure_loudness(net: Network, clips: Clips) -> None:
    """Set the statistics by which features are normalised."""
    some = [clips.clip(index) for index in range(0, len(clips), 7)]
    mels = np.concatenate(some).astype(np.float32)
    norm = net.audio_encoder.encoder.encoder_embedding
    norm.global_mean.copy_(torch.from_numpy(mels.mean(0)))
    norm.global_invstd.copy_(torch.from_numpy(1 / mels.std(0)))


def _gather(folder: Path, net: Network, heads: Heads) -> None:
    """Take each part from the lesson that trained it."""
    sources = (
        ("eyes", ("image_encoder.",), ()),
        ("ears", ("audio_encoder.",), ("word.", "bag.")),
        ("talk", ("decoder.",), ()),
    )
    for lesson, parts, head_parts in sources:
        state = torch.load(folder / f"{lesson}.pt", weights_only=True)
        for module, name, prefixes in (
            (net, "network", parts),
            (heads, "heads", head_parts),
        ):
            module.load_state_dict(
                {k: v for k, v in state[name].items() if k.startswith(tuple(prefixes))},
                strict=False,
            )


def _ideal_loss(
    net: Network, room: Classroom, spelling: Spelling, rng: np.random.Generator, step: int
) -> tuple[Tensor, dict[str, float]]:
    kind, scripts = exercises.talking(spelling, rng, step)
    share = exercises.share_of_nothing(step)
    sensed = talk.ideal_senses(scripts, room.ideal, rng, share)
    loss, exact = talk.answers_loss(net, scripts, sensed)
    return loss, {kind: exact}


def _real_loss(
    net: Network, room: Classroom, spelling: Spelling, rng: np.random.Generator
) -> tuple[Tensor, dict[str, float]]:
    kind, scripts, mode = exercises.sensing(spelling, rng)
    if mode is None:
        loss, exact = talk.answers_loss(net, scripts, {})
        return loss, {kind: exact}
    sensed = talk.real_senses(scripts, net, room.material, rng, mode)
    loss, exact = talk.answers_loss(net, scripts, sensed, mode)
    return loss, {kind: exact}


@torch.inference_mode()
def examine_ears(net: Network, heads: Heads, corpus: Corpus) -> str:
    """Return which shares of held-out utterances CTC spells without a mistake."""
    told = []
    for name, clips in (
        ("people", corpus.people_held_out),
        ("voices", corpus.known_held_out),
    ):
        rng = np.random.default_rng(1)
        chosen = sorted(
            rng.permutation(len(clips))[:EXAMINED].tolist(),
            key=lambda index: len(clips.clip(index)),
        )
        right = 0
        for start in range(0, len(chosen), 32):
            part = chosen[start : start + 32]
            mels = augment.quietly([clips.clip(index) for index in part], rng)
            hidden = network.hear(net.audio_encoder.encoder, mels)
            said = lessons.recognise(heads, hidden)
            right += sum(s == clips.texts[i] for s, i in zip(said, part, strict=True))
        told.append(f"{name} {right / max(len(chosen), 1):.3f}")
    return " ".join(told)
