"""
What a client may set for transcripts of what the user says, and what the model is told.

Knows the ``transcription`` object of the session's audio input. There is one model, so
its name is only kept to be echoed, and so is a prompt: the model was trained without.
"""

from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET, UnsetType

from assistant.turns.tasks import Task
from assistant.wire import refusals
from assistant.wire.client_events import TranscriptionPatch

LANGUAGES = {
    "zh": "Chinese",
    "de": "German",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "es": "Spanish",
    "pt": "Portuguese",
}
"""Those that the model hears (its card), English apart: that is what its prompt is in."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """How transcripts are asked for; a session without one has none."""

    model: str
    language: str | None = None
    """As the client named it: an ISO 639-1 code, with or without a region."""
    prompt: str | None = None

    @property
    def words(self) -> str:
        """
        What the model is told behind the sound.

        That is its documented prompt, which says which language it is when the client
        knows: one of ``LANGUAGES``. Other hints tell the model nothing.
        """
        code = (self.language or "").replace("_", "-").partition("-")[0].lower()
        words = Task("transcribe").words
        language = LANGUAGES.get(code)
        return words if language is None else words.replace("audio", f"{language} audio", 1)

    def to_wire(self) -> dict[str, Any]:
        """Return these three keys at most: another one breaks a client."""
        given = {"model": self.model, "language": self.language, "prompt": self.prompt}
        return {key: value for key, value in given.items() if value is not None}


def updated(
    current: Transcription | None,
    patch: TranscriptionPatch | UnsetType | None,
    *,
    model: str,
    max_chars: int,
) -> Transcription | None:
    """
    Merge a patch: absent is unchanged, ``null`` clears.

    Args:
        current: What is in effect.
        patch: What the client sent.
        model: The name to echo when the client gives none.
        max_chars: Bound of each text, which is echoed as long as the session lives.

    Raises:
        EventRefused: A text is over its bound.
    """
    if patch is UNSET:
        return current
    if patch is None:
        return None
    changes: dict[str, Any] = {}
    for name in ("model", "language", "prompt"):
        value = getattr(patch, name)
        if value is UNSET:
            continue
        if value is not None and len(value) > max_chars:
            reason = f"{len(value)} characters, the bound is {max_chars}."
            path = f"session.audio.input.transcription.{name}"
            raise refusals.invalid_value(path, reason)
        changes[name] = value
    changes["model"] = changes.get("model") or (current.model if current else model)
    return replace(current or Transcription(model), **changes)
