from dataclasses import replace

from assistant.config import Config
from assistant.turns import settings
from assistant.turns.request import ask
from assistant.turns.turn import Turn


def test_a_request_keeps_the_settings_and_the_turn_it_was_made_with() -> None:
    before = settings.initial(Config(), "model", 0)
    now = replace(before, instructions="Be brief.", max_output_tokens=7)
    turn = Turn()
    request = ask(now, turn, {"a": "b"})
    assert (request.instructions, request.max_output_tokens) == ("Be brief.", 7)
    assert request.timeline is turn.timeline
    assert (request.metadata, request.items) == ({"a": "b"}, None)
