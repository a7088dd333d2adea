"""
From a chat completion request to what the model is to read and how its reply is drawn.

Messages become the items of a conversation, so that a prompt sent over HTTP and the same
one spoken in a session are the same tokens. What a client asks for and cannot have is
refused with the path of the field; nothing is adjusted silently.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from msgspec import UNSET, structs

from assistant.config import Config
from assistant.turns import input_items, kept, prompt, response_format, tasks, tools
from assistant.turns.conversation import Item
from assistant.turns.prompt import Segment
from assistant.turns.settings import InputFormat
from assistant.turns.tasks import Task
from assistant.turns.tools import NO_TOOLS, Tools
from assistant.wire import chat as wire, items as wire_items, link, refusals
from assistant.wire.refusals import EventRefused

MAX_STOPS = 4
MAX_STOP_CHARS = 256
TEMPERATURE_RANGE = (0.0, 2.0)
TOP_P_RANGE = (0.01, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, checked."""

    instructions: str
    items: list[Item]
    sampling: link.Sampling
    tools: Tools = NO_TOOLS
    stops: tuple[str, ...] = ()
    task: Task = tasks.ASSISTANT
    segments: list[Segment] = field(default_factory=list)
    """The prompt, with keys by content; empty when there is nothing to answer."""
    is_streamed: bool = False
    wants_usage: bool = False
    """In the stream; an answer at once always has it."""


def read(
    request: wire.ChatRequest,
    *,
    models: Collection[str],
    new_id: Callable[[str], str],
    media: input_items.Checks,
    config: Config,
    seed: int,
    owner: str = "",
) -> Question:
    """
    Check a request.

    Args:
        models: Names that the model goes by.
        media: Checks pictures; its ``read_clip`` reads whole sound files.
        seed: Of the reply, when the request has none.
        owner: Who asks; only theirs is read again without being computed again.

    Raises:
        EventRefused: A value is wrong, over its bound, or asks for what we do not have.
        MediaError: A picture or a recording cannot be used.
    """
    if request.model not in models:
        raise EventRefused(
            "model_not_found", f"The model '{request.model}' does not exist.", "model"
        )
    _refuse_unsupported(request)
    declared = _tools(request, config)
    sampling = _sampling(request, config, seed)
    stops = _stops(request.stop)
    if not request.messages:
        raise refusals.invalid_value("messages", "expected at least one message.")
    _check_counts(request.messages, config)
    items = [
        input_items.read(
            item,
            new_id=new_id,
            media=media,
            form=InputFormat(),
            config=config,
            path=f"messages[{index}]",
        )
        for index, message in enumerate(request.messages)
        for item in _wire_items(message, f"messages[{index}]")
    ]
    has_rules = any(item.role == "system" for item in items)
    task = _task(request)
    alone = tasks.context(task, items)
    if task.kind != "assistant" and alone is None:
        reason = f"the task '{task.kind}' needs a last user message with input_audio."
        raise refusals.invalid_value("messages", reason)
    instructions = "" if has_rules or alone else config.reply.instructions
    declared = NO_TOOLS if alone else declared
    read_out = prompt.segments(instructions, alone or items, tools=declared.prompt_text())
    return Question(
        instructions=instructions,
        items=alone or items,
        segments=kept.by_content(read_out, owner),
        sampling=structs.replace(sampling, constraint=_constraint(request, task, declared)),
        tools=declared,
        stops=stops,
        task=task,
        is_streamed=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
    )


def _tools(request: wire.ChatRequest, config: Config) -> Tools:
    declared = tools.updated(
        NO_TOOLS,
        path="",
        declared=request.tools,
        choice=request.tool_choice,
        parallel=request.parallel_tool_calls,
        max_chars=config.limits.text_chars,
    )
    if declared.choice == "required" and not declared.functions:
        raise refusals.invalid_value("tool_choice", "there are no tools to choose from.")
    return declared


def unsupported(param: str, reason: str) -> EventRefused:
    return EventRefused("unsupported_parameter", f"'{param}': {reason}.", param)


def _refuse_unsupported(request: wire.ChatRequest) -> None:
    if request.n not in (None, 1):
        raise refusals.invalid_value("n", f"{request.n}; one answer a request is given.")
    if request.stream_options is not None and not request.stream:
        reason = "only allowed when 'stream' is true."
        raise refusals.invalid_value("stream_options", reason)
    if any(modality != "text" for modality in request.modalities or ()):
        raise unsupported("modalities", "answers are text")
    for name in ("logprobs", "logit_bias", "presence_penalty", "frequency_penalty"):
        if getattr(request, name):
            raise unsupported(name, "not available")


def _sampling(request: wire.ChatRequest, config: Config, seed: int) -> link.Sampling:
    reply = config.reply
    refusals.check_range("temperature", request.temperature, *TEMPERATURE_RANGE)
    refusals.check_range("top_p", request.top_p, *TOP_P_RANGE)
    limit = reply.max_output_tokens
    for name in ("max_tokens", "max_completion_tokens"):
        asked = getattr(request, name)
        refusals.check_range(name, asked, 1, config.engine.max_sequence_tokens)
        limit = limit if asked is None else asked
    return link.Sampling(
        max_tokens=limit,
        temperature=reply.temperature
        if request.temperature is None
        else request.temperature,
        top_p=reply.top_p if request.top_p is None else request.top_p,
        # Any integer is a seed for clients; the engine takes 63 bits.
        seed=(seed if request.seed is None else request.seed) % 2**63,
    )


def _constraint(
    request: wire.ChatRequest, task: Task, declared: Tools
) -> link.Constraint | None:
    wanted = response_format.constraint(request.response_format)
    if task.kind != "assistant":
        if wanted is not None:
            raise unsupported("response_format", f"the task '{task.kind}' answers in text")
        return None
    if wanted is None or not declared.offered:
        return wanted or declared.constraint()
    return declared.constraint_beside(wanted.schema)


def _stops(given: str | list[str] | None) -> tuple[str, ...]:
    stops = (given,) if isinstance(given, str) else tuple(given or ())
    if len(stops) > MAX_STOPS:
        reason = f"{len(stops)} strings, the bound is {MAX_STOPS}."
        raise refusals.invalid_value("stop", reason)
    for stop in stops:
        if not 1 <= len(stop) <= MAX_STOP_CHARS:
            reason = f"a string has {len(stop)} characters, not 1 to {MAX_STOP_CHARS}."
            raise refusals.invalid_value("stop", reason)
    return stops


def _check_counts(messages: list[wire.ChatMessage], config: Config) -> None:
    limits = config.limits
    if len(messages) > limits.conversation_items:
        reason = f"{len(messages)}, the bound is {limits.conversation_items}."
        raise refusals.invalid_value("messages", reason)
    num_media = sum(
        isinstance(part, wire.ImagePart | wire.AudioPart)
        for message in messages
        if isinstance(message.content, list)
        for part in message.content
    )
    if num_media > limits.request_media:
        raise refusals.invalid_value(
            "messages",
            f"{num_media} pictures and recordings, the bound is {limits.request_media}.",
        )


def _task(request: wire.ChatRequest) -> Task:
    given = None if request.assistant is None else request.assistant.task
    return tasks.checked(None if given is UNSET else given, "assistant.task")


def _wire_items(message: wire.ChatMessage, path: str) -> list[wire_items.Item]:
    if message.role == "tool":
        if not message.tool_call_id:
            raise refusals.missing_parameter(f"{path}.tool_call_id")
        output = _only_text(message.content, f"{path}.content")
        return [
            wire_items.FunctionCallOutputItem(call_id=message.tool_call_id, output=output)
        ]
    calls = message.tool_calls or []
    if calls and message.role != "assistant":
        raise refusals.invalid_value(f"{path}.tool_calls", "only assistants call tools.")
    if message.content is None and not calls:
        raise refusals.missing_parameter(f"{path}.content")
    role: wire_items.Role = "system" if message.role == "developer" else message.role
    given = message.content or []
    parts = [wire.TextPart(given)] if isinstance(given, str) else given
    content = [
        _part(part, role, f"{path}.content[{index}]") for index, part in enumerate(parts)
    ]
    items: list[wire_items.Item] = []
    if content:
        items.append(wire_items.MessageItem(role=role, content=content))
    for call in calls:
        function = call.function
        items.append(
            wire_items.FunctionCallItem(
                call_id=call.id, name=function.name, arguments=function.arguments
            )
        )
    return items


def _part(part: wire.Part, role: wire_items.Role, path: str) -> wire_items.ContentPart:
    match part:
        case wire.TextPart():
            return wire_items.InputText(part.text)
        case wire.RefusalPart():
            return wire_items.InputText(part.refusal)
        case wire.ImagePart():
            url, detail = part.image_url.url, part.image_url.detail
            if url.lower().startswith(("http:", "https:")):
                raise refusals.invalid_value(
                    f"{path}.image_url.url",
                    "this server fetches nothing; send the picture as a data URI "
                    "(data:image/jpeg;base64,…).",
                )
            return wire_items.InputImage(image_url=url, detail=detail)
        case wire.AudioPart():
            if role != "user":
                raise refusals.invalid_value(path, f"a {role} message cannot hold sound.")
            if not part.input_audio.data:
                raise refusals.missing_parameter(f"{path}.input_audio.data")
            return wire_items.InputAudio(audio=part.input_audio.data)


def _only_text(content: str | list[wire.Part] | None, path: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for index, part in enumerate(content or []):
        if not isinstance(part, wire.TextPart):
            raise refusals.invalid_value(f"{path}[{index}]", "a result is text.")
        texts.append(part.text)
    return "".join(texts)
