"""
What the client of a chat completion is told, built from the pieces of one reply.

Takes the pieces in order; gives the chunks of a stream, and at the end the whole answer.
"""

from collections.abc import Callable

from msgspec import UNSET

from assistant.turns import tasks
from assistant.turns.chat import Question
from assistant.turns.completion import Ended, Spent
from assistant.turns.tool_calls import Arguments, CallClosed, CallOpened, Piece, Words
from assistant.wire import chat as wire


class ChatAnswer:
    """One answer; the same chunks and completion whichever the client asked for."""

    def __init__(
        self,
        question: Question,
        *,
        id: str,
        created: int,
        model: str,
        new_id: Callable[[str], str],
    ) -> None:
        self._question = question
        self._id = id
        self._created = created
        self._model = model
        self._new_id = new_id
        self._text = ""
        self._calls: list[wire.ToolCall] = []

    def opening(self) -> wire.Chunk:
        """Return the chunk that says who speaks."""
        return self._delta(wire.Delta("assistant", ""))

    def receive(self, piece: Piece) -> wire.Chunk | None:
        """Take a piece of the reply; return its chunk, if it has one."""
        match piece:
            case Words(text):
                self._text += text
                return self._delta(wire.Delta(content=text))
            case CallOpened(name):
                function = wire.CalledFunction(name, "")
                call = wire.ToolCall(self._new_id("call"), function)
                self._calls.append(call)
                return self._call(wire.FunctionDelta(name, ""), id=call.id)
            case Arguments(delta):
                self._calls[-1].function.arguments += delta
                return self._call(wire.FunctionDelta(arguments=delta))
            case CallClosed():
                return None

    def end(self, ended: Ended) -> list[wire.Chunk]:
        """Return the last chunks: why it ended, and what was spent if that is wanted."""
        last = self._chunk([wire.ChunkChoice(wire.Delta(), ended.reason)])
        last.assistant = self._vendor(ended)
        if not self._question.wants_usage:
            return [last]
        usage = self._chunk([])
        usage.usage = _usage(ended.spent)
        return [last, usage]

    def whole(self, ended: Ended) -> wire.ChatCompletion:
        """Return everything at once."""
        # Only calls: clients take null for "nothing was said".
        content = None if self._calls and not self._text else self._text
        message = wire.AnswerMessage(content, tool_calls=self._calls or UNSET)
        return wire.ChatCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[wire.Choice(message, ended.reason)],
            usage=_usage(ended.spent),
            assistant=self._vendor(ended),
        )

    def _vendor(self, ended: Ended) -> wire.Vendor:
        told = tasks.fields(self._question.task, self._text)
        if ended.warnings:
            told["warnings"] = list(ended.warnings)
        return told or UNSET

    def _call(self, function: wire.FunctionDelta, id: str | None = None) -> wire.Chunk:
        delta = wire.CallDelta(index=len(self._calls) - 1, function=function)
        if id is not None:
            delta.id, delta.type = id, "function"
        return self._delta(wire.Delta(tool_calls=[delta]))

    def _delta(self, delta: wire.Delta) -> wire.Chunk:
        return self._chunk([wire.ChunkChoice(delta)])

    def _chunk(self, choices: list[wire.ChunkChoice]) -> wire.Chunk:
        return wire.Chunk(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=None if self._question.wants_usage else UNSET,
        )


def _usage(spent: Spent) -> wire.Usage:
    return wire.Usage(
        prompt_tokens=spent.num_prompt,
        completion_tokens=spent.num_output,
        total_tokens=spent.num_prompt + spent.num_output,
        prompt_tokens_details=wire.PromptDetails(
            cached_tokens=spent.num_cached,
            audio_tokens=spent.num_audio,
            image_tokens=spent.num_image,
        ),
    )
