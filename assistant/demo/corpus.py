"""
Everything the demo is trained to hear, gathered once and kept in a folder.

Says what is absent instead of failing: with fewer recordings the model hears less well.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from assistant.demo import clips, voices
from assistant.demo.clips import Clips
from assistant.demo.voices import Voice
from assistant.demo.world import ASKS

STRANGE = (
    "the train leaves at noon", "my brother plays chess", "bananas are expensive",
    "we walked along the river", "she wrote a long letter", "elephant", "kitchen",
    "mountain", "computer", "umbrella", "tomorrow morning", "it rained all night",
    "he bought a new bicycle", "please close your book", "the doctor is busy",
    "i would like some coffee", "where did you put my keys", "never mind", "chocolate",
    "two weeks ago", "the quick brown fox", "nobody knows", "open your mouth",
    "turn around", "what a lovely day", "the cat is asleep", "my house is old",
    "how far is the airport", "who wrote this book", "why is the sky dark",
    "what did you eat", "when does it start", "tell me a story", "garden", "window",
    "music", "information", "important", "newspaper", "hospital", "sing a song",
)  # fmt: skip
"""English outside the world, which the voices say as well: not to be understood."""

SHARE_ALIKE = ("fsdd", "art4apps", "asterisk")
"""Sets of recordings under share-alike licences, by the name of their folder."""
THIN_WORDS = frozenset({"six", "seven", "nine"})
"""Words that the other sets hardly have."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sounds by use. ``strange`` is not to be understood, ``noise`` is mixed in as well."""

    known: Clips
    strange: Clips
    noise: Clips
    known_held_out: Clips
    people_held_out: Clips
    strange_held_out: Clips


def gather(
    cache: Path,
    *,
    commands: Path | None,
    noise: Path | None,
    speech: Path | None,
    say: Callable[[str], None],
) -> Corpus:
    """
    Read or synthesise all sounds, keeping the features in ``cache``.

    Args:
        cache: A folder; what is in it already is not made again.
        commands: A corpus of recorded words (see ``clips.read_commands``).
        noise: A folder of sounds that are no speech.
        speech: A folder of speech outside the world.
        say: Takes a line about what is done, and about what is absent.
    """
    cache.mkdir(parents=True, exist_ok=True)
    available, absent = voices.installed()
    if absent:
        say(f"absent: voices of {', '.join(absent)} (Debian packages of those names)")
    with ProcessPoolExecutor(2) as pool:
        spoken = dict(
            zip(
                available,
                pool.map(_voice_file, [cache] * len(available), available),
                strict=True,
            )
        )
    known: list[Clips] = []
    held_out: list[Clips] = []
    strange: list[Clips] = []
    strange_held_out: list[Clips] = []
    for voice, file in spoken.items():
        said = clips.load(file)
        inside = [i for i, text in enumerate(said.texts) if text in ASKS]
        outside = said.chosen(i for i, text in enumerate(said.texts) if text not in ASKS)
        (held_out if voice.is_held_out else known).append(said.chosen(inside))
        (strange_held_out if voice.is_held_out else strange).append(outside)
    people, unknown_words, people_held_out = _people(cache, commands, say)
    foreign = _cached(cache / "foreign.npz", voices.speak_foreign)
    for what, folder in (("noise", noise), ("speech", speech)):
        if folder is None and not (cache / f"{what}.npz").exists():
            say(f"absent: {what} (give a folder)")
    sounds = _folder(cache, "noise", noise)
    others = _folder(cache, "speech", speech)
    outside = clips.joined([*strange, unknown_words, foreign, others, sounds])
    kept = [i for i, who in enumerate(outside.speakers) if not clips.is_held_out(who)]
    left = [i for i, who in enumerate(outside.speakers) if clips.is_held_out(who)]
    return Corpus(
        known=clips.joined([*known, people]),
        strange=outside.chosen(kept),
        noise=sounds.chosen(
            i for i, who in enumerate(sounds.speakers) if not clips.is_held_out(who)
        ),
        known_held_out=clips.joined(held_out),
        people_held_out=people_held_out,
        strange_held_out=clips.joined([outside.chosen(left), *strange_held_out]),
    )


def _voice_file(cache: Path, voice: Voice) -> Path:
    texts = [*ASKS, *STRANGE]
    # Other words or another number of takes are another file.
    digest = zlib.crc32("\n".join([str(voice.takes), *texts]).encode())
    file = cache / f"voice-{voice.title}-{digest:08x}.npz"
    if not file.exists():
        voices.speak(voice, texts).save(file)
    return file


def _people(
    cache: Path, commands: Path | None, say: Callable[[str], None]
) -> tuple[Clips, Clips, Clips]:
    """Return what people say that is known, what is not, and what is held out."""
    if commands is None and not (cache / "commands.npz").exists():
        say("absent: recordings of people (give a folder with index.tsv)")
        return clips.collect(()), clips.collect(()), clips.collect(())
    every = _cached(cache / "commands.npz", lambda: clips.read_commands(commands or cache))
    known, strange, held_out = [], [], []
    for index, (text, speaker) in enumerate(zip(every.texts, every.speakers, strict=True)):
        shares_alike = speaker.split(":")[0] in SHARE_ALIKE
        if shares_alike and text not in THIN_WORDS:
            continue
        if text not in ASKS:
            strange.append(index)
        elif clips.is_held_out(speaker) and not shares_alike:
            held_out.append(index)
        else:
            known.append(index)
    return every.chosen(known), every.chosen(strange), every.chosen(held_out)


def _folder(cache: Path, name: str, folder: Path | None) -> Clips:
    file = cache / f"{name}.npz"
    if folder is None and not file.exists():
        return clips.collect(())
    return _cached(file, lambda: clips.read_others(folder or cache))


def _cached(file: Path, make: Callable[[], Clips]) -> Clips:
    if not file.exists():
        make().save(file)
    return clips.load(file)
