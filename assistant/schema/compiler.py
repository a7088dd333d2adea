"""
JSON Schema as a grammar: what a model must write so that its JSON is valid.

Understood: ``type``, ``properties``, ``required``, ``additionalProperties``, ``items``,
``minItems``, ``maxItems``, ``minLength``, ``maxLength``, ``minimum``, ``maximum`` and
their exclusive kinds, ``enum``, ``const``, ``anyOf`` and local ``$ref``. Annotations
(``title``, ``format``, …) say nothing here, as in the standard. What is written is always
valid, but not all that is valid is written: properties come in the order of the schema,
and none beyond those it names.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from assistant.errors import SchemaRefused
from assistant.schema.grammar import (
    Either,
    Node,
    Reference,
    Repeat,
    Sequence,
    StringBody,
    Text,
)
from assistant.schema.literals import literals, spell
from assistant.schema.number import NEVER, Number

DECIMALS = 6
MAX_DEPTH = 32
MAX_PARTS = 512
MAX_BRANCHES = 64
"""Of all ``anyOf`` together; each is a reading of its own that the engine keeps."""
MAX_PROPERTIES = 128
MAX_COUNT = 10_000
"""Greatest bound of a length that is understood."""

_BY_TYPE = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_BY_TYPE["integer"] = _BY_TYPE["number"]

_WHOLE = ("$ref", "anyOf", "allOf", "enum", "const")
"""Keywords that say all there is to say; beside them only ``type`` is understood."""

_ASSERTIONS = frozenset({"type", *_WHOLE}).union(*_BY_TYPE.values())

_UNSUPPORTED = frozenset(
    {"oneOf", "not", "if", "then", "else", "pattern", "patternProperties", "multipleOf",
     "propertyNames", "minProperties", "maxProperties", "uniqueItems", "contains",
     "minContains", "maxContains", "prefixItems", "additionalItems", "dependencies",
     "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties",
     "$dynamicRef", "$recursiveRef"}
)  # fmt: skip


def grammar(schema: object) -> Node:
    """
    Return the grammar of a schema's values.

    Raises:
        SchemaRefused: It has a keyword that is not understood, or no value at all.
    """
    compiler = _Compiler(schema)
    try:
        node = compiler.compile(schema, "")
        compiler.settle()
        fewest = node.fewest
    except RecursionError:
        raise SchemaRefused("", "is nested too deep") from None
    if fewest >= NEVER:
        raise SchemaRefused("", "has no finite value")
    return node


class _Compiler:
    """Builds the nodes of one schema; its definitions are compiled once each."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._references: dict[str, Reference] = {}
        self._targets: dict[str, Node] = {}
        self._any: Reference | None = None
        self._num_parts = 0
        self._num_branches = 0

    def settle(self) -> None:
        """Learn how short each definition can be; recursion needs more than one look."""
        changed = True
        while changed:
            changed = False
            known: dict[Node, int] = {}
            for name, reference in self._references.items():
                fewest = _shortest(self._targets[name], known)
                changed |= fewest < reference.fewest
                reference.fewest = fewest

    def compile(self, schema: object, path: str, depth: int = 0) -> Node:
        if depth > MAX_DEPTH:
            raise SchemaRefused(path, f"is nested more than {MAX_DEPTH} deep")
        self._num_parts += 1
        if self._num_parts > MAX_PARTS:
            raise SchemaRefused(path, f"is behind more than {MAX_PARTS} parts")
        if schema is True:
            return self._anything()
        if not isinstance(schema, dict):
            raise SchemaRefused(path, "is not a schema that has values")
        for keyword in schema:
            if keyword in _UNSUPPORTED:
                raise SchemaRefused(f"{path}.{keyword}", "is not supported")
        asserted = _ASSERTIONS & schema.keys()
        for keyword in _WHOLE:
            if keyword in asserted:
                others = asserted - {keyword, "type"}
                if others:
                    beside = f"is not supported beside {min(others)!r}"
                    raise SchemaRefused(f"{path}.{keyword}", beside)
                return self._whole(keyword, schema, path, depth)
        kind = schema["type"] if "type" in schema else _implied(asserted)
        if kind is None:
            return self._anything()
        kinds = kind if isinstance(kind, list) else [kind]
        return _either([self._typed(one, schema, path, depth) for one in kinds])

    def _whole(self, keyword: str, schema: Any, path: str, depth: int) -> Node:
        value = schema[keyword]
        path = f"{path}.{keyword}"
        if keyword == "$ref":
            return self._reference(value, path, depth)
        if keyword in ("const", "enum"):
            return literals([value] if keyword == "const" else value, schema, path)
        if not isinstance(value, list) or not value:
            raise SchemaRefused(path, "is not a list of schemas")
        self._num_branches += len(value)
        if self._num_branches > MAX_BRANCHES:
            raise SchemaRefused(path, f"is behind more than {MAX_BRANCHES} branches")
        if keyword == "allOf" and len(value) > 1:
            raise SchemaRefused(path, "is supported with one schema only")
        return _either(
            [
                self.compile(option, f"{path}[{index}]", depth + 1)
                for index, option in enumerate(value)
            ]
        )

    def _typed(self, kind: object, schema: Any, path: str, depth: int) -> Node:
        match kind:
            case "object":
                return self._object(schema, path, depth + 1)
            case "array":
                return self._array(schema, path, depth + 1)
            case "string":
                least = _count(schema, "minLength", path) or 0
                most = _count(schema, "maxLength", path)
                if most is not None and most < least:
                    raise SchemaRefused(f"{path}.maxLength", "is below minLength")
                return Sequence(Text(b'"'), StringBody(least, most))
            case "number" | "integer":
                return _number(schema, path, DECIMALS if kind == "number" else 0)
            case "boolean":
                return Text(b"true", b"false")
            case "null":
                return Text(b"null")
        raise SchemaRefused(f"{path}.type", f"is {kind!r:.40}, which is no type")

    def _object(self, schema: Any, path: str, depth: int) -> Node:
        properties = schema.get("properties")
        required = schema.get("required", [])
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, dict | None) or not isinstance(required, list):
            raise SchemaRefused(path, "has properties that cannot be read")
        if max(len(properties or {}), len(required)) > MAX_PROPERTIES:
            raise SchemaRefused(path, f"has more than {MAX_PROPERTIES} properties")
        if properties is None and not required and others is not False:
            value = self.compile(others, f"{path}.additionalProperties", depth)
            key = Sequence(Text(b'"'), StringBody())
            pair = Sequence(key, Text(b": "), value)
            return Either(
                Text(b"{}"), Sequence(Text(b"{"), pair, Repeat(pair, b"}", 0, None))
            )
        pairs: list[tuple[bytes, Node, bool]] = []
        for name, value in (properties or {}).items():
            node = self.compile(value, f"{path}.properties.{name}", depth)
            pairs.append((spell(name, path).encode(), node, name in required))
        for name in required:
            if name not in (properties or {}):
                if others is False or not isinstance(name, str):
                    raise SchemaRefused(f"{path}.required", "asks for what is not allowed")
                node = self.compile(others, f"{path}.additionalProperties", depth)
                pairs.append((spell(name, path).encode(), node, True))
        return Sequence(Text(b"{"), _members(pairs))

    def _array(self, schema: Any, path: str, depth: int) -> Node:
        item = self.compile(schema.get("items", True), f"{path}.items", depth)
        least = _count(schema, "minItems", path) or 0
        most = _count(schema, "maxItems", path)
        if most is not None and most < least:
            raise SchemaRefused(f"{path}.maxItems", "is below minItems")
        empty: list[Node] = [] if least else [Text(b"[]")]
        if most == 0:
            return Text(b"[]")
        rest = Repeat(item, b"]", max(0, least - 1), None if most is None else most - 1)
        return _either([*empty, Sequence(Text(b"["), item, rest)])

    def _reference(self, name: object, path: str, depth: int) -> Node:
        if not isinstance(name, str) or not name.startswith("#"):
            raise SchemaRefused(path, "is supported within the schema only")
        if name not in self._references:
            found: Any = self._root
            for key in name[1:].split("/")[1:]:
                found = found.get(key) if isinstance(found, Mapping) else None
            if found is None:
                raise SchemaRefused(path, f"names {name!r:.80}, which is not there")
            # Known before it is compiled: a definition may contain itself.
            self._references[name] = Reference(lambda: self._targets[name])
            self._targets[name] = self.compile(found, name, depth + 1)
        return self._references[name]

    def _anything(self) -> Node:
        if self._any is None:
            self._any = self._references["any"] = Reference(lambda: self._targets["any"])
            self._targets["any"] = Either(
                *(self._typed(kind, {}, "", 0) for kind in _BY_TYPE if kind != "integer")
            )
        return self._any


def _members(pairs: list[tuple[bytes, Node, bool]]) -> Node:
    """Return what follows the brace; an absent optional property decides the comma."""
    last = Text(b"}")
    as_first: Node = last
    as_next: Node = last
    for name, value, is_required in reversed(pairs):
        first = Sequence(Text(name + b": "), value, as_next)
        following = Sequence(Text(b", " + name + b": "), value, as_next)
        as_first = first if is_required else Either(first, as_first)
        as_next = following if is_required else Either(following, as_next)
    return as_first


def _number(schema: Any, path: str, decimals: int) -> Node:
    scale = 10**decimals
    lows: list[int] = []
    highs: list[int] = []
    for keyword in sorted(_BY_TYPE["number"] & schema.keys()):
        value = schema[keyword]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SchemaRefused(f"{path}.{keyword}", "is not a number")
        if not math.isfinite(value):
            raise SchemaRefused(f"{path}.{keyword}", "is not finite")
        exact = Fraction(str(value)) * scale
        match keyword:
            case "minimum":
                lows.append(math.ceil(exact))
            case "exclusiveMinimum":
                lows.append(math.floor(exact) + 1)
            case "maximum":
                highs.append(math.floor(exact))
            case _:
                highs.append(math.ceil(exact) - 1)
    node = Number(decimals, max(lows, default=None), min(highs, default=None))
    if node.fewest >= NEVER:
        raise SchemaRefused(path, "leaves no number")
    return node


def _implied(asserted: frozenset[str] | set[str]) -> str | None:
    """Return the type that keywords without one are about."""
    for kind in ("object", "array", "string", "number"):
        if asserted & _BY_TYPE[kind]:
            return kind
    return None


def _count(schema: Any, keyword: str, path: str) -> int | None:
    value = schema.get(keyword)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise SchemaRefused(f"{path}.{keyword}", f"is not from 0 to {MAX_COUNT}")
    return value


def _either(options: list[Node]) -> Node:
    if not options:
        raise SchemaRefused("", "allows no type")
    return options[0] if len(options) == 1 else Either(*options)


def _shortest(node: Node, known: dict[Node, int]) -> int:
    """``fewest`` as it is now: nodes keep theirs from when they are first asked."""
    if node not in known:
        match node:
            case Sequence():
                found = min(NEVER, sum(_shortest(part, known) for part in node.parts))
            case Either():
                found = min(_shortest(option, known) for option in node.options)
            case Repeat():
                found = node.shortest(lambda item: _shortest(item, known))
            case _:
                found = node.fewest
        known[node] = found
    return known[node]
