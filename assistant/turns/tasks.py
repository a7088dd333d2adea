"""
What a session or a request is for: talking, or one of the tasks the model was trained on.

A task is a documented prompt: its words stand behind the sound of one turn, without a
system message and without what was said before, as the model card shows it. What holds no
sound (a typed question, say) is answered as always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from assistant.turns.conversation import Audio, Content, Item, Text
from assistant.wire import refusals
from assistant.wire.client_events import TaskKind, TaskPatch

KINDS: tuple[TaskKind, ...] = (
    "assistant",
    "transcribe",
    "translate",
    "transcribe_translate",
    "summarise",
)
NEED_LANGUAGE: frozenset[TaskKind] = frozenset({"translate", "transcribe_translate"})
MAX_LANGUAGE_CHARS = 40
SEPARATOR = "<sep>"
"""Between transcript and translation; plain text for the tokenizer."""


@dataclass(frozen=True, slots=True)
class Task:
    kind: TaskKind = "assistant"
    language: str = ""
    """English name of the language to translate to; empty where none is."""

    @property
    def needs_sound(self) -> bool:
        return self.kind != "assistant"

    @property
    def words(self) -> str:
        """What the model is told behind the sound (model card, "Input formats")."""
        match self.kind:
            case "assistant":
                return ""
            case "transcribe":
                return "Transcribe the audio clip into text."
            case "translate":
                return f"Translate the audio to {self.language}."
            case "transcribe_translate":
                return (
                    "Transcribe the audio to text, and then translate the audio to "
                    f"{self.language}. Use {SEPARATOR} as a separator between the original "
                    "transcript and the translation."
                )
            case "summarise":
                return "Summarize the audio clip."

    def to_wire(self) -> dict[str, Any]:
        return {"type": self.kind, "language": self.language or None}


ASSISTANT = Task()


def checked(given: str | TaskPatch | None, path: str) -> Task:
    """
    Return the task that a client named; ``None`` is the assistant.

    Raises:
        EventRefused: There is no such task, or its language is missing or not needed.
    """
    if given is None:
        return ASSISTANT
    patch = given if isinstance(given, TaskPatch) else TaskPatch(type=given)
    kinds = {str(kind): kind for kind in KINDS}
    if patch.type not in kinds:
        listed = ", ".join(f"'{kind}'" for kind in KINDS)
        reason = f"'{patch.type}'. Supported values are: {listed}."
        raise refusals.invalid_value(path, reason)
    kind = kinds[patch.type]
    language = "" if patch.language in (UNSET, None) else str(patch.language).strip()
    if kind not in NEED_LANGUAGE:
        if language:
            raise refusals.invalid_value(f"{path}.language", f"'{kind}' takes none.")
        return Task(kind)
    if not language:
        raise refusals.missing_parameter(f"{path}.language")
    if len(language) > MAX_LANGUAGE_CHARS:
        reason = f"{len(language)} characters, the bound is {MAX_LANGUAGE_CHARS}."
        raise refusals.invalid_value(f"{path}.language", reason)
    if not all(character.isalpha() or character in " -()" for character in language):
        raise refusals.invalid_value(f"{path}.language", "expected the name of a language.")
    return Task(kind, language)


def context(task: Task, items: Sequence[Item]) -> list[Item] | None:
    """
    Return what the model reads for this task instead of the conversation.

    That is the sound of the newest user item and the task's words, without pictures: with
    one the model would be another (see ``prompt.adapter_for``). None when the task is the
    assistant's, or there is no sound to do it on.
    """
    newest = next((item for item in reversed(items) if item.role == "user"), None)
    if task.kind == "assistant" or newest is None or not newest.is_in_prompt:
        return None
    sound: list[Content] = [
        part for part in newest.content if isinstance(part, Audio) and part.samples
    ]
    if not sound:
        return None
    return [Item(id=newest.id, role="user", content=[*sound, Text(task.words)])]


def fields(task: Task, text: str) -> dict[str, Any]:
    """Return what the vendor key of an answer says: the task, and its two parts."""
    if task.kind == "assistant":
        return {}
    told: dict[str, Any] = {"task": task.to_wire()}
    if task.kind == "transcribe_translate":
        transcript, separator, translation = text.partition(SEPARATOR)
        told["transcript"] = transcript.strip()
        told["translation"] = translation.strip() if separator else None
    return told
