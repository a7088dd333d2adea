"""
The functions that a client lets the model call, and whether it must.

Reads ``tools`` and ``tool_choice`` of the wire; says what the prompt tells the model of
them, and which constraint the engine draws the reply with.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from msgspec import UNSET, UnsetType

from assistant.errors import SchemaRefused
from assistant.schema.calls import calls_grammar
from assistant.schema.value import ANY_OBJECT
from assistant.wire import link, refusals

MAX_FUNCTIONS = 128
MAX_NAME_CHARS = 128
MAX_CALLS = 8
"""Calls of one reply, where a constraint must say a number."""


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None

    def to_prompt(self) -> dict[str, Any]:
        """Return what the model reads; the keys are in the order it was trained on."""
        told: dict[str, Any] = {"name": self.name}
        if self.description is not None:
            told["description"] = self.description
        if self.parameters is not None:
            told["parameters"] = self.parameters
        return told

    def to_link(self) -> link.Function:
        parameters = "" if self.parameters is None else json.dumps(self.parameters)
        return link.Function(self.name, parameters)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a session or a response declares; what follows from it is worked out once."""

    functions: tuple[Function, ...] = ()
    choice: str = "auto"
    """``auto``, ``none``, ``required``, or ``named``."""
    named: str | None = None
    is_parallel: bool = True
    """A reply may hold several calls."""

    @property
    def offered(self) -> tuple[Function, ...]:
        """What the model is told of."""
        return () if self.choice == "none" else self.functions

    @property
    def names(self) -> frozenset[str]:
        return frozenset(function.name for function in self.offered)

    @property
    def max_calls(self) -> int | None:
        return None if self.is_parallel else 1

    def prompt_text(self) -> str:
        """Return what stands between ``<|tool|>`` and ``<|/tool|>``; may be empty."""
        return self._prompt_text

    @cached_property
    def _prompt_text(self) -> str:
        if not self.offered:
            return ""
        told = [function.to_prompt() for function in self.offered]
        return json.dumps(told, ensure_ascii=False)

    def constraint(self) -> link.Constraint | None:
        """
        Return how the engine must draw the reply.

        A call that the model makes by its own choice is held to the schemas as well, if
        all of them can be; else it is drawn freely and parsed.
        """
        return self._constraint

    @cached_property
    def _constraint(self) -> link.Constraint | None:
        chosen = self._must_call()
        if not chosen:
            chosen = self.offered
            if not chosen or any(_refusal(function) for function in chosen):
                return None
        is_required = self.choice in ("required", "named")
        return link.Constraint(
            functions=[function.to_link() for function in chosen],
            is_required=is_required,
            max_calls=MAX_CALLS if self.is_parallel and not is_required else 1,
        )

    def constraint_beside(self, schema: str) -> link.Constraint | None:
        """
        Return how a reply must be drawn that is a call or a JSON value of a schema.

        One that must be a call has no other form. A schema of a function that cannot be
        kept is loosened to any object: what is called freely might be no JSON at all.
        """
        if self._must_call():
            return self.constraint()
        offered = (function.to_link() for function in self.offered)
        held = [
            wanted
            if _refusal(function) is None
            else link.Function(function.name, ANY_OBJECT)
            for function, wanted in zip(self.offered, offered, strict=True)
        ]
        return link.Constraint(
            functions=held,
            is_required=False,
            max_calls=MAX_CALLS if self.is_parallel else 1,
            schema=schema,
        )

    def _must_call(self) -> tuple[Function, ...]:
        if self.choice == "named":
            return tuple(f for f in self.functions if f.name == self.named)
        return self.functions if self.choice == "required" else ()

    def check(self, path: str) -> None:
        """
        Raise EventRefused when the choice cannot be kept.

        ``path`` is where the object with ``tools`` is. Required without functions means
        nothing yet: they may come with the next update.
        """
        if self.choice == "named" and not self._must_call():
            reason = f"there is no function {self.named!r:.80}."
            raise refusals.invalid_value(_joined(path, "tool_choice"), reason)
        for index, function in enumerate(self.functions):
            if function in self._must_call() and (refusal := _refusal(function)):
                keyword = refusal.path.partition("]")[2]
                reason = f"{refusal.reason}, so calls of it cannot be forced."
                where = _joined(path, f"tools[{index}]{keyword}")
                raise refusals.invalid_value(where, reason)

    def to_wire(self) -> dict[str, Any]:
        """Return the keys of the session or response object."""
        choice: Any = self.choice
        if choice == "named":
            choice = {"type": "function", "name": self.named}
        return {
            "tools": [{"type": "function", **f.to_prompt()} for f in self.functions],
            "tool_choice": choice,
            "parallel_tool_calls": self.is_parallel,
        }


NO_TOOLS = Tools()


def updated(
    tools: Tools,
    *,
    path: str,
    declared: Sequence[Any] | UnsetType | None = UNSET,
    choice: str | dict[str, Any] | UnsetType | None = UNSET,
    parallel: bool | UnsetType | None = UNSET,
    max_chars: int,
) -> Tools:
    """
    Return the tools after a patch: absent is unchanged, None clears.

    Raises:
        EventRefused: Something cannot be read, or the choice cannot be kept.
    """
    if declared is not UNSET:
        functions = _functions(declared or (), _joined(path, "tools"), max_chars)
        tools = replace(tools, functions=functions)
    if choice is not UNSET:
        kind, named = _choice(choice, _joined(path, "tool_choice"))
        tools = replace(tools, choice=kind, named=named)
    if parallel is not UNSET:
        tools = replace(tools, is_parallel=parallel is not False)
    if declared is not UNSET or choice is not UNSET:
        tools.check(path)
    return tools


def _joined(path: str, name: str) -> str:
    """Return the path of a key; "" is the path of a whole request."""
    return f"{path}.{name}" if path else name


def _functions(declared: Sequence[Any], path: str, max_chars: int) -> tuple[Function, ...]:
    if len(declared) > MAX_FUNCTIONS:
        reason = f"{len(declared)} functions, the bound is {MAX_FUNCTIONS}."
        raise refusals.invalid_value(path, reason)
    functions: dict[str, Function] = {}
    for index, tool in enumerate(declared):
        function = _function(tool, f"{path}[{index}]")
        if function is None:
            continue
        if function.name in functions:
            reason = f"{function.name!r} is declared twice."
            raise refusals.invalid_value(f"{path}[{index}].name", reason)
        functions[function.name] = function
    told = Tools(functions=tuple(functions.values()))
    try:
        num_chars = len(told.prompt_text())
    except RecursionError:
        raise refusals.invalid_value(path, "nested too deep.") from None
    if num_chars > max_chars:
        reason = f"longer than {max_chars} characters."
        raise refusals.invalid_value(path, reason)
    return told.functions


def _function(tool: Any, path: str) -> Function | None:
    """Return a function, or None for a tool that another service would run."""
    if not isinstance(tool, dict):
        raise refusals.invalid_value(path, "expected an object.")
    if tool.get("type", "function") != "function":
        return None
    # The chat API has the same keys one level deeper.
    nested = tool.get("function")
    fields = nested if isinstance(nested, dict) else tool
    name = fields.get("name")
    if name is None:
        raise refusals.missing_parameter(f"{path}.name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS:
        reason = f"expected a name of at most {MAX_NAME_CHARS} characters."
        raise refusals.invalid_value(f"{path}.name", reason)
    description = fields.get("description")
    if not isinstance(description, str | None):
        raise refusals.invalid_value(f"{path}.description", "expected a string.")
    parameters = fields.get("parameters")
    if not isinstance(parameters, dict | None):
        raise refusals.invalid_value(f"{path}.parameters", "expected a JSON schema.")
    return Function(name, description, parameters)


def _choice(choice: object, path: str) -> tuple[str, str | None]:
    if choice is None:
        return "auto", None
    if isinstance(choice, dict):
        nested = choice.get("function")
        fields = nested if isinstance(nested, dict) else choice
        name = fields.get("name")
        if choice.get("type") == "function" and isinstance(name, str):
            return "named", name
    elif choice in ("auto", "none", "required"):
        return str(choice), None
    supported = "'auto', 'none', 'required', {'type': 'function', 'name': …}."
    raise refusals.invalid_value(path, f"Supported values are: {supported}")


def _refusal(function: Function) -> SchemaRefused | None:
    """Return why calls of a function cannot be held to its schema."""
    wanted = function.to_link()
    try:
        calls_grammar(((wanted.name, wanted.parameters),), 1)
    except SchemaRefused as error:
        return error
    return None
