"""
What ``assistant ask`` sends: a question, or a task on a recording of any length.

The model takes sound of some minutes at once and is best below 40 s, so a task is done
section by section, each read from the file when its turn comes: memory does not grow with
the recording. The summary of a long recording is made of the summaries of its sections.
"""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from assistant.cli.captions import printable
from assistant.cli.completion_client import CompletionClient
from assistant.cli.conversation import Picture
from assistant.errors import CommandError, MediaError
from assistant.media.recordings import SAMPLE_RATE_HZ, read_blocks
from assistant.media.sections import sections
from assistant.turns.tasks import SEPARATOR

MAX_QUESTION_S = 240.0
"""3000 of the 4096 tokens that prompt and answer share."""
MAX_TASK_S = 1800.0
SECTION_S = 40.0
"""What the model's authors advise for transcripts and translations."""
SUMMARY_SECTION_S = 240.0
PARTIAL_SUMMARY_TOKENS = 256
"""Of eight sections, the longest recording, 2048: they fit into one prompt."""

_SUMMARISE_PARTS = (
    "These are summaries of the consecutive parts of one recording. Write one summary of "
    "the whole recording.\n\n"
)


def check_audio(task: str, file: Path) -> None:
    """
    Read a recording once, block by block, before anything is loaded or sent.

    Raises:
        CommandError: It cannot be read, or is longer than the task takes.
    """
    bound_s = MAX_QUESTION_S if task == "assistant" else MAX_TASK_S
    try:
        for _ in read_blocks(file, bound_s):
            pass
    except MediaError as error:
        hint = ""
        if error.code == "audio_too_long" and task == "assistant":
            hint = f"; the tasks (--task) take up to {MAX_TASK_S:g} s"
        raise CommandError(f"{error}{hint}") from error


class Asker:
    """Ask a service and show what it answers."""

    def __init__(
        self,
        client: CompletionClient,
        model: str,
        show: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._model = model
        self._show = show
        self._say = say

    def ask(self, text: str, pictures: Sequence[Picture], audio: Path | None) -> None:
        """Ask one question; show the answer as it comes."""
        content: list[dict[str, Any]] = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:{picture.media_type};base64,{picture.base64}"},
            }
            for picture in pictures
        ]
        if audio is not None:
            samples = np.concatenate(list(read_blocks(audio, MAX_QUESTION_S)))
            content.append(recording(samples))
        if text:
            content.append({"type": "text", "text": text})
        for delta in self._client.ask(self._model, content):
            self._show(printable(delta))

    def do(self, task: str, language: str, audio: Path) -> None:
        """Do a task on a recording, section by section."""
        if task == "summarise":
            self._summarise(audio)
            return
        for number, samples in enumerate(_sections(audio, SECTION_S)):
            if number:
                self._show("\n")
            answer = self._on(samples, {"type": task, "language": language or None})
            if task == "transcribe_translate":
                transcript, _, translation = "".join(answer).partition(SEPARATOR)
                self._show(f"{printable(transcript.strip())}\n")
                self._show(f"  {printable(translation.strip())}")
            else:
                for delta in answer:
                    self._show(printable(delta))

    def _summarise(self, audio: Path) -> None:
        task = {"type": "summarise"}
        parts: list[str] = []
        rest = _sections(audio, SUMMARY_SECTION_S)
        section, following = next(rest, None), next(rest, None)
        if section is not None and following is None:
            for delta in self._on(section, task):
                self._show(printable(delta))
            return
        while section is not None:
            self._say(f"part {len(parts) + 1}\n")
            answer = self._on(section, task, max_tokens=PARTIAL_SUMMARY_TOKENS)
            parts.append("".join(answer).strip())
            section, following = following, next(rest, None)
        text = _SUMMARISE_PARTS + "\n\n".join(parts)
        for delta in self._client.ask(self._model, [{"type": "text", "text": text}]):
            self._show(printable(delta))

    def _on(
        self, samples: npt.NDArray[np.float32], task: dict[str, Any], **keys: Any
    ) -> Iterator[str]:
        content = [recording(samples)]
        return self._client.ask(self._model, content, assistant={"task": task}, **keys)


def _sections(audio: Path, longest_s: float) -> Iterator[npt.NDArray[np.float32]]:
    return sections(read_blocks(audio, MAX_TASK_S), longest_s)


def recording(samples: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Return samples (float32 mono at 16 kHz) as a part of a message: FLAC in base64."""
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "flac"}}
