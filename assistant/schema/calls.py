"""The grammar of a list of tool calls, as the model writes one."""

from functools import lru_cache

from assistant.errors import SchemaRefused
from assistant.schema.grammar import Either, Node, Repeat, Sequence, Text
from assistant.schema.literals import spell
from assistant.schema.value import value_grammar


@lru_cache(256)
def calls_grammar(functions: tuple[tuple[str, str], ...], most: int) -> Node:
    """
    Return the grammar of ``[{"name": …, "arguments": …}, …]`` with 1 to ``most`` calls.

    Args:
        functions: Names, and their ``parameters`` as JSON; empty for a function that has
            none. One grammar is made and kept for equal arguments.
        most: Calls in the list.

    Raises:
        SchemaRefused: As ``grammar``; its path begins with the function's index.
    """
    options: list[Node] = []
    for index, (name, parameters) in enumerate(functions):
        head = f'{{"name": {spell(name, "")}, "arguments": '
        arguments: Node = Text(b"{}")
        if parameters:
            try:
                arguments = value_grammar(parameters)
            except SchemaRefused as error:
                path = f"[{index}].parameters{error.path}"
                raise SchemaRefused(path, error.reason) from None
        options.append(Sequence(Text(head.encode()), arguments, Text(b"}")))
    call = Either(*options)
    return Sequence(Text(b"["), call, Repeat(call, b"]", 0, most - 1))
