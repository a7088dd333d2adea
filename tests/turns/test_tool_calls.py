import json
import random

import pytest

from assistant.turns.tool_calls import (
    Arguments,
    CallClosed,
    CallOpened,
    Piece,
    ToolCalls,
    Words,
)

NAMES = {"weather", "stop"}
WEATHER = '{"name": "weather", "arguments": {"city": "K\\"öln", "days": [1, {"a": "}"}]}}'
ARGUMENTS = '{"city": "K\\"öln", "days": [1, {"a": "}"}]}'
STOP = '{"name": "stop"}'
CALLED = [CallOpened("weather"), Arguments(ARGUMENTS), CallClosed(True)]
STOPPED = [CallOpened("stop"), Arguments("{}"), CallClosed(True)]


def cut(text: str, rng: random.Random) -> list[str]:
    """Return the text in pieces of random sizes, many of them one character."""
    pieces = []
    while text:
        size = rng.choice([1, 1, 2, 3, 7, 40])
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def merged(pieces: list[Piece]) -> list[Piece]:
    """Return what the pieces say, however it was cut."""
    found: list[Piece] = []
    for piece in pieces:
        match (found[-1] if found else None), piece:
            case Words(before), Words(text):
                found[-1] = Words(before + text)
            case Arguments(before), Arguments(delta):
                found[-1] = Arguments(before + delta)
            case _:
                found.append(piece)
    return found


def read(text: str, most: int | None = None) -> tuple[list[Piece], list[str]]:
    """Return what a reply says, which must not depend on how it was cut."""
    answers = []
    for seed in range(12):
        calls = ToolCalls(NAMES, most=most)
        pieces = cut(text, random.Random(seed)) if seed else [text]
        found = [piece for part in pieces for piece in calls.receive(part)]
        answers.append((merged([*found, *calls.finish()]), calls.warnings))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Just words < here, functools too.", [Words("Just words < here, functools too.")]),
        (f"<|tool_call|>[{WEATHER}]<|/tool_call|>", CALLED),
        (f"<|tool_call|> [ {WEATHER} , {STOP} ] <|/tool_call|>\n", CALLED + STOPPED),
        (f"<|tool_call|>[{STOP}]<|/tool_call|><|tool_call|>[{STOP}]<|/tool_call|>",
         STOPPED + STOPPED),
        (f"<|tool_call|>{STOP}<|/tool_call|>", STOPPED),
        (f"functools[{WEATHER}, {STOP}]", CALLED + STOPPED),
        (f"functools[{STOP}", STOPPED),
        (f"I look.\n<|tool_call|>[{STOP}]<|/tool_call|>", [Words("I look.\n"), *STOPPED]),
        (f" \n<|tool_call|>[{STOP}]<|/tool_call|> Done. ", [*STOPPED, Words(" Done. ")]),
        (f"<|tool_call|>[{STOP}]<|/tool_call|> <|tool_call|>[{STOP}]<|/tool_call|>",
         STOPPED + STOPPED),
        ("A<|/tool_call|>B", [Words("AB")]),
        ("\n ", [Words("\n ")]),
        ("", []),
    ],
)  # fmt: skip
def test_words_and_calls_are_told_apart_however_the_text_is_cut(
    text: str, wanted: list[Piece]
) -> None:
    assert read(text) == (wanted, [])


@pytest.mark.parametrize(
    "call",
    [
        '{"arguments": {"a": 1}, "name": "weather"}',
        '{"name": "weather", "parameters": {"a": 1}}',
        '{"id": 7, "name":"weather","arguments":"{\\"a\\": 1}"}',
        ' { "name" : "weather" , "arguments" :  {"a": 1} } ',
    ],
)
def test_other_ways_of_writing_a_call_are_understood(call: str) -> None:
    pieces, warnings = read(f"<|tool_call|>[{call}]<|/tool_call|>")
    assert (warnings, pieces[0], pieces[-1]) == (
        [],
        CallOpened("weather"),
        CallClosed(True),
    )
    (arguments,) = pieces[1:-1]
    assert isinstance(arguments, Arguments)
    assert json.loads(arguments.delta) == {"a": 1}


@pytest.mark.parametrize(
    "broken",
    [
        "[]",
        "[weather]",
        '[{"name": "unknown", "arguments": {}}]',
        '[{"name": ["weather"]}]',
        '[{"arguments": {}}]',
        '[{"name": "weather", "arguments": 7}]',
        '[{"name": "weather" "arguments": {}}]',
        '[{"name": weather}]',
        '[{name: "weather"}]',
        '[{"name"= "weather"}]',
        '[{"name": "weather", "arg',
        "",
    ],
)
@pytest.mark.parametrize("end", ["<|/tool_call|>", ""])
def test_what_is_no_call_is_given_as_words_with_a_warning(broken: str, end: str) -> None:
    pieces, warnings = read(f"<|tool_call|>{broken}{end}")
    words = [piece for piece in pieces if isinstance(piece, Words)]
    assert "".join(piece.text for piece in words) == broken
    assert len(warnings) == 1
    assert CallClosed(True) not in pieces


@pytest.mark.parametrize("arguments", ['{"a": }', '{"a": [1}]', '{"a": "b'])
def test_a_call_that_breaks_after_it_began_is_closed_as_broken_and_given_as_words(
    arguments: str,
) -> None:
    text = f'[{{"name": "weather", "arguments": {arguments}'
    pieces, warnings = read(f"<|tool_call|>{text}<|/tool_call|> Sorry.")
    assert pieces[0] == CallOpened("weather")
    assert CallClosed(False) in pieces
    (words,) = [piece for piece in pieces if isinstance(piece, Words)]
    assert words.text == f"{text} Sorry."
    assert len(warnings) == 1


def test_calls_before_a_broken_one_stay_calls() -> None:
    pieces, warnings = read(f'<|tool_call|>[{STOP}, {{"name": 1}}]<|/tool_call|>')
    assert pieces == [*STOPPED, Words(', {"name": 1}]')]
    assert len(warnings) == 1


def test_calls_beyond_the_bound_are_dropped_with_a_warning() -> None:
    pieces, warnings = read(f"<|tool_call|>[{STOP}, {WEATHER}]<|/tool_call|>", most=1)
    assert (pieces, len(warnings)) == (STOPPED, 1)


def test_without_functions_everything_is_words_as_it_comes() -> None:
    calls = ToolCalls(())
    text = f"<|tool_call|>[{STOP}]<|/tool_call|>"
    assert calls.receive(text) == [Words(text)]
    assert calls.finish() == []


def test_name_and_arguments_leave_as_soon_as_they_are_certain() -> None:
    calls = ToolCalls(NAMES)
    assert calls.receive('<|tool_call|>[{"name": "weather') == []
    assert calls.receive('",') == [CallOpened("weather")]
    assert calls.receive(' "arguments": {"ci') == [Arguments('{"ci')]
    assert calls.receive('ty": "X"}') == [Arguments('ty": "X"}')]
    assert calls.receive("}") == [CallClosed(True)]


def test_words_wait_only_while_they_may_begin_a_call() -> None:
    calls = ToolCalls(NAMES)
    assert calls.receive("Hi <") == [Words("Hi ")]
    assert calls.receive("|tool") == []
    assert calls.receive("s") == [Words("<|tools")]


def test_nothing_but_markers_and_spaces_is_lost_of_any_text() -> None:
    rng = random.Random(7)
    bits = ["<|tool_call|>", "<|/tool_call|>", "functools[", '{"name": ', '"stop"', ": "]
    bits += ['"arguments"', *'[]{},"\\x ', "null"]
    for _ in range(300):
        text = "".join(rng.choices(bits, k=rng.randint(1, 14)))
        calls = ToolCalls(NAMES)
        found: list[Piece] = []
        for part in cut(text, rng):
            found += calls.receive(part)
        found += calls.finish()
        is_open = False
        for piece in found:
            match piece:
                case CallOpened():
                    assert not is_open
                    is_open = True
                case CallClosed():
                    assert is_open
                    is_open = False
                case Arguments():
                    assert is_open
        assert not is_open
