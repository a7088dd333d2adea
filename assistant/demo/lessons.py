"""
The lesson of hearing, and what all lessons share: heads, materials and recordings.

The ears learn which words are said (CTC) and whether they occur at all (a bag of words),
and to tell the language model so (see ``ideal``). The heads for it are not kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import ctc_loss, log_softmax

from assistant.demo import augment, network
from assistant.demo.adapter import PROJECTORS
from assistant.demo.clips import Clips, Float16Array
from assistant.demo.corpus import THIN_WORDS, Corpus
from assistant.demo.ideal import WORD_IDS, Ideal
from assistant.demo.network import Network
from assistant.demo.scenes import COLOURS, MAX_OBJECTS, SHAPES, UInt8Array
from assistant.demo.world import COMMANDS, DIGITS, WORDS
from assistant.model.config import ModelConfig

BAG_WEIGHT = 3.0
VOICES_SHARE = 0.6
"""Of synthetic speech; the rest is of formants."""
FEW_TAKES = 4
"""More recordings by people make a word one to learn from them."""


class Heads(nn.Module):
    """What only training needs."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.vision is not None
        assert config.audio is not None
        self.shape = nn.Linear(config.vision.hidden_size, len(SHAPES) + 1)
        self.colour = nn.Linear(config.vision.hidden_size, len(COLOURS) + 1)
        self.thing_shape = nn.Linear(config.vision.hidden_size, len(SHAPES) + 1)
        self.thing_colour = nn.Linear(config.vision.hidden_size, len(COLOURS) + 1)
        self.place = nn.Linear(config.vision.hidden_size, 9)
        self.count = nn.Linear(config.vision.hidden_size, MAX_OBJECTS + 1)
        self.word = nn.Linear(config.audio.hidden_size, len(WORDS) + 1)
        self.bag = nn.Linear(config.audio.hidden_size, len(WORDS) + 1)
        self.rank = nn.Linear(config.vision.hidden_size, MAX_OBJECTS)


@dataclass(frozen=True, slots=True)
class Materials:
    """What lessons are made of."""

    corpus: Corpus
    photos: Sequence[UInt8Array]
    by_text: dict[str, "Takes"]


@dataclass(frozen=True, slots=True)
class Takes:
    """Recordings of one text, as indices into ``corpus.known``."""

    people: list[int]
    voices: list[int]
    """Synthetic ones that are made of somebody's recordings."""
    formants: list[int]
    """Synthetic ones that are not."""


def materials(corpus: Corpus, photos: Sequence[UInt8Array]) -> Materials:
    """Sort the corpus by what is said."""
    by_text: dict[str, Takes] = {}
    known = corpus.known
    for index, (text, speaker) in enumerate(zip(known.texts, known.speakers, strict=True)):
        takes = by_text.setdefault(text, Takes([], [], []))
        if ":" in speaker:
            takes.people.append(index)
        else:
            is_formant = speaker.startswith("espeak-ng")
            (takes.formants if is_formant else takes.voices).append(index)
    return Materials(corpus, photos, by_text)


def take(material: Materials, text: str, rng: np.random.Generator) -> Float16Array:
    """Return somebody saying ``text``: mostly people where there are recordings of any."""
    takes = material.by_text[text]
    # Many takes by few people would drown the voices; a few takes deserve no such weight.
    share = min(len(takes.people) / 30, 0.7 if text in THIN_WORDS else 0.85)
    made = takes.voices if rng.random() < VOICES_SHARE else takes.formants
    made = made or takes.voices or takes.formants
    chosen = takes.people if rng.random() < share or not made else made
    return material.corpus.known.clip(chosen[int(rng.integers(len(chosen)))])


def strange(material: Materials, rng: np.random.Generator) -> Float16Array:
    """Return something that is not to be understood, silence included."""
    clips = material.corpus.strange
    if rng.random() < 0.05 or not len(clips):
        return np.zeros((int(rng.integers(30, 200)), 80), np.float16)
    clip = clips.clip(int(rng.integers(len(clips))))
    if len(clip) > 60:
        length = int(rng.integers(50, min(len(clip), 260) + 1))
        start = int(rng.integers(len(clip) - length + 1))
        clip = clip[start : start + length]
    return clip


def sound_batch(
    clips: Sequence[Float16Array],
    noise: Clips,
    rng: np.random.Generator,
    strength: float = 1.0,
) -> Tensor:
    """Return clips as other people say them elsewhere: [B, T, 80]."""
    placing = augment.place([len(clip) for clip in clips], rng)
    spread = rng.uniform(-0.1 * strength, 0.13 * strength, len(clips))
    warps = torch.from_numpy(1 + spread).float()
    mels = augment.lay_out(clips, placing, warps)
    noises = torch.zeros_like(mels)
    for row in range(len(clips) if len(noise) else 0):
        sound = noise.clip(int(rng.integers(len(noise))))
        start = int(rng.integers(max(len(sound) - placing.num_frames, 0) + 1))
        rolled = np.resize(sound[start:], (placing.num_frames, 80))
        noises[row] = torch.from_numpy(rolled.astype(np.float32))
    return augment.disturb(mels, noises, rng, strength)


def ears_texts(
    material: Materials, rng: np.random.Generator, count: int, strength: float
) -> list[str]:
    """
    Draw what is said in a batch; "" is something strange.

    Half of it is single words, and at first all of it is what people say.
    """
    texts = list(material.by_text)
    if rng.random() > 4 * strength:
        texts = [text for text in texts if len(material.by_text[text].people) > FEW_TAKES]
    words = [word for word in (*DIGITS, *COMMANDS) if word in material.by_text]
    singles = [text for text in texts if len(material.by_text[text].people) > FEW_TAKES]
    drawn = []
    for _ in range(count):
        choice = rng.random()
        if choice < 0.07:
            drawn.append("")
        elif choice < 0.44 and words:
            drawn.append(words[int(rng.integers(len(words)))])
        elif choice < 0.5 and singles:
            drawn.append(singles[int(rng.integers(len(singles)))])
        else:
            drawn.append(texts[int(rng.integers(len(texts)))])
    return drawn


def ears_batch(
    material: Materials, rng: np.random.Generator, count: int, strength: float
) -> list[tuple[Tensor, list[str]]]:
    """Return two batches [count / 2, T, 80] of similar lengths, with their texts."""
    texts = ears_texts(material, rng, count, strength)
    said = [
        (take(material, text, rng) if text else strange(material, rng), text)
        for text in texts
    ]
    said.sort(key=lambda pair: len(pair[0]))
    half = count // 2
    return [
        (
            sound_batch([clip for clip, _ in part], material.corpus.noise, rng, strength),
            [text for _, text in part],
        )
        for part in (said[i : i + half] for i in range(0, count, half))
    ]


def ears_loss(
    net: Network,
    heads: Heads,
    ideal: Ideal,
    material: Materials,
    rng: np.random.Generator,
    count: int,
    strength: float,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of naming words, and the share of utterances all of whose are."""
    total = torch.zeros(())
    right, told, bag = 0, 0.0, 0.0
    for mels, texts in ears_batch(material, rng, count, strength):
        hidden = network.hear(net.audio_encoder.encoder, mels)
        share = len(texts) / count
        ctc_share = float(np.clip(4 * strength - 0.4, 0.01, 1))
        total = total + share * words_loss(heads, hidden, texts, ctc_share)
        error = telling_loss(net, heads, ideal, hidden)
        told += share * float(error.detach())
        total = total + share * ctc_share * error
        bag += share * float(
            (found(heads, hidden).argmax(1) == first_words(texts)).float().mean()
        )
        right += sum(
            said == text for said, text in zip(recognise(heads, hidden), texts, strict=True)
        )
    return total, {"exact": right / count, "told": told, "bag": bag}


def words_loss(
    heads: Heads, hidden: Tensor, texts: Sequence[str], ctc_share: float = 1.0
) -> Tensor:
    """
    Return CTC and bag-of-words losses of encoded speech [B, T, D].

    At first CTC learns to say nothing, and keeps the encoder from learning anything: it
    has to wait (a small ``ctc_share``) until words are told apart.
    """
    logits = log_softmax(heads.word(hidden), dim=2)
    spelled = [[WORD_IDS[word] for word in text.split()] for text in texts]
    targets = torch.tensor([i for ids in spelled for i in ids], dtype=torch.int64)
    ctc = ctc_loss(
        logits.transpose(0, 1),
        targets,
        torch.full((len(texts),), hidden.shape[1]),
        torch.tensor([len(ids) for ids in spelled]),
        reduction="none",
        zero_infinity=True,
    )
    bag = torch.zeros(len(texts), len(WORDS) + 1)
    for row, ids in enumerate(spelled):
        bag[row, ids or [0]] = 1
    occurs = -(found(heads, hidden) * bag).sum(1) / bag.sum(1)
    return ctc_share * ctc.mean() + BAG_WEIGHT * occurs.mean()


def found(heads: Heads, hidden: Tensor) -> Tensor:
    """Return log-probabilities [B, words + 1] of each word in encoded speech [B, T, D]."""
    return log_softmax(heads.bag(hidden).logsumexp(1), dim=1)


def first_words(texts: Sequence[str]) -> Tensor:
    """Return the id of each text's first word: [B], 0 where there is none."""
    return torch.tensor([WORD_IDS[text.split()[0]] if text else 0 for text in texts])


def telling_loss(net: Network, heads: Heads, ideal: Ideal, hidden: Tensor) -> Tensor:
    """Return how far both projectors are from telling what CTC hears in each frame."""
    with torch.no_grad():
        heard = heads.word(hidden).softmax(2)
        meant = heard @ ideal.words
        # Words are rare among the pauses, and matter more.
        weight = 0.2 + 4 * (1 - heard[:, :, :1])
    total = torch.zeros(())
    for projector in PROJECTORS:
        told = net.audio_encoder.project(hidden, projector)
        total = total + (weight * (told - meant).square()).mean()
    return total / ideal.words.var()


def recognise(heads: Heads, hidden: Tensor) -> list[str]:
    """Return the words that CTC's best path spells for encoded speech [B, T, D]."""
    best = heads.word(hidden).argmax(2)
    return [
        " ".join(WORDS[i - 1] for i in row.unique_consecutive().tolist() if i)
        for row in best
    ]
