"""
Synthetic speech: Debian's free voices say whatever the world can hear.

Runs the programs of the packages espeak-ng, flite, festival, libttspico-utils and rhvoice,
as far as they are installed. Only voices are used whose licence lets a model that was
trained on their sound be given away (no ``-ND``/``-NC`` voice, no mbrola).
"""

import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.demo import clips
from assistant.demo.clips import Clips, Float32Array
from assistant.model.features import log_mel

TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker of one program; ``is_held_out`` voices are for scores only."""

    program: str
    name: str
    is_held_out: bool = False
    takes: int = 1
    """How often it says each text, each time with another speed and pitch."""

    @property
    def title(self) -> str:
        return f"{self.program}-{self.name}".replace("+", "-")


VOICES: tuple[Voice, ...] = (
    Voice("flite", "kal16", takes=2),
    Voice("flite", "awb", takes=3),
    Voice("flite", "slt", takes=2),
    Voice("flite", "rms", is_held_out=True),
    Voice("pico2wave", "en-US", takes=3),
    Voice("pico2wave", "en-GB", is_held_out=True),
    Voice("RHVoice-test", "alan", takes=2),
    Voice("RHVoice-test", "bdl", takes=2),
    Voice("RHVoice-test", "clb", takes=2),
    Voice("RHVoice-test", "slt", takes=2),
    Voice("text2wave", "ked_diphone"),
    *(
        Voice("espeak-ng", name)
        for name in (
            "en-us", "en-gb", "en-us+f1", "en-gb+f2", "en-us+f3", "en-gb-scotland",
            "en-us+m1", "en-gb+m2", "en-us+m3", "en-gb-x-rp+m4", "en-us+f5",
            "en-us+Andy", "en-gb-x-gbclan+klatt2", "en-us+Alicia", "en-gb+Denis",
            "en-us+Michael", "en-us+linda", "en-gb+steph", "en-us+david",
            "en-us+grandma", "en-us+klatt4", "en-us-nyc+m8", "en-gb-x-gbcwmd+john",
            "en-029+belinda", "en-gb-scotland+m5",
        )
    ),
    Voice("espeak-ng", "en-gb-scotland+f4", is_held_out=True),
    Voice("espeak-ng", "en-us+m7", is_held_out=True),
    Voice("espeak-ng", "en-gb-x-rp+Annie", is_held_out=True),
)  # fmt: skip


def installed(voices: Sequence[Voice] = VOICES) -> tuple[list[Voice], list[str]]:
    """Return the voices that can speak here, and the programs that are absent."""
    absent = sorted({v.program for v in voices if shutil.which(v.program) is None})
    return [v for v in voices if v.program not in absent], absent


def speak(voice: Voice, texts: Sequence[str]) -> Clips:
    """Let a voice say each text ``voice.takes`` times; text it cannot say is left out."""

    def said() -> Iterator[tuple[str, str, Float32Array]]:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.wav"
            for text in texts:
                for take in range(voice.takes):
                    samples = say(voice, text, take, out)
                    if samples is not None:
                        yield text, voice.title, log_mel(samples)

    return clips.collect(said())


def say(voice: Voice, text: str, take: int, out: Path) -> Float32Array | None:
    """Return a text as said by a voice, 16 kHz mono; None if the program gave up."""
    seed = zlib.crc32(f"{voice.title}:{take}:{text}".encode())
    rng = np.random.default_rng(seed)
    arguments, words = _command(voice, text, out, rng)
    out.unlink(missing_ok=True)
    result = subprocess.run(
        arguments, input=words.encode(), capture_output=True, timeout=TIMEOUT_S, check=False
    )
    if result.returncode or not out.exists() or out.stat().st_size < 2000:
        return None
    samples = clips.trimmed(clips.read_sound(out))
    return samples * np.float32(0.3 / max(float(np.abs(samples).max()), 1e-4))


def _command(
    voice: Voice, text: str, out: Path, rng: np.random.Generator
) -> tuple[list[str], str]:
    """Return the command line and what it reads from its standard input."""
    speed, pitch = float(rng.uniform(0.85, 1.2)), float(rng.uniform(0.85, 1.2))
    match voice.program:
        case "flite":
            stretch = f"duration_stretch={1 / speed:.2f}"
            arguments = ["-voice", voice.name, "--setf", stretch, "-t", text]
            return ["flite", *arguments, "-o", str(out)], ""
        case "pico2wave":
            level = f'<speed level="{100 * speed:.0f}"><pitch level="{100 * pitch:.0f}">'
            marked = f"{level}{text}</pitch></speed>"
            return ["pico2wave", "-l", voice.name, "-w", str(out), marked], ""
        case "RHVoice-test":
            rate, tone = f"{100 * speed:.0f}", f"{100 * pitch:.0f}"
            arguments = ["-p", voice.name, "-r", rate, "-t", tone, "-o", str(out)]
            return ["RHVoice-test", *arguments], text
        case "text2wave":
            stretch = f"(Parameter.set 'Duration_Stretch {1 / speed:.2f})"
            chosen = f"(begin (voice_{voice.name}) {stretch})"
            return ["text2wave", "-eval", chosen, "-o", str(out)], text
        case _:
            rate, tone = f"{165 * speed:.0f}", f"{50 * pitch:.0f}"
            arguments = ["-v", voice.name, "-s", rate, "-p", tone, "-w", str(out), text]
            return ["espeak-ng", *arguments], ""


FOREIGN: dict[str, tuple[str, ...]] = {
    "de": ("wo ist der Bahnhof", "ich habe keine Zeit", "das Buch liegt auf dem Tisch"),
    "fr": ("où est la gare", "je ne sais pas pourquoi", "il fait beau aujourd'hui"),
    "es": ("dónde está la estación", "no tengo tiempo hoy", "el libro es muy viejo"),
    "it": ("dove si trova la stazione", "non ho capito niente", "vorrei un gelato"),
    "ru": ("где находится вокзал", "я ничего не знаю", "сегодня хорошая погода"),
    "pl": ("gdzie jest dworzec", "nie mam czasu", "dzisiaj jest zimno"),
    "nl": ("waar is het station", "het is mooi weer", "het boek ligt op tafel"),
    "pt": ("onde fica a estação", "não tenho tempo", "o livro é velho"),
}
"""What is said in languages that the world does not understand, by espeak-ng voice."""


def speak_foreign() -> Clips:
    """Return foreign speech; its text is empty."""
    parts = []
    for language, texts in FOREIGN.items():
        for variant in ("", "+f2", "+m3"):
            voice = Voice("espeak-ng", language + variant)
            spoken = speak(voice, texts)
            parts.append(
                Clips(spoken.features, spoken.starts, ("",) * len(spoken), spoken.speakers)
            )
    return clips.joined(parts)
