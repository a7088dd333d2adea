from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch

from assistant.demo import dialogues, talk, world
from assistant.demo.dialogues import Dialogue
from assistant.demo.network import Network, demo_config
from assistant.demo.questions import Turn
from assistant.demo.talk import Sight, Sound, Spelling
from assistant.model.audio import Projector

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def spelling(tokenizer: tokenizers.Tokenizer) -> Spelling:
    return Spelling(tokenizer)


def written(spelling: Spelling, dialogue: Dialogue) -> str:
    script = spelling.script(dialogue, np.random.default_rng(0))
    out = ""
    for piece in script.pieces:
        if isinstance(piece, list):
            out += spelling.tokenizer.decode(piece, skip_special_tokens=False)
        else:
            out += "[sound]" if isinstance(piece, Sound) else "[picture]"
    return out


def test_a_spoken_turn_has_its_picture_before_its_sound(spelling: Spelling) -> None:
    turn = Turn("how are you", "Fine.", True, scenes=((),))
    assert written(spelling, Dialogue((turn,))) == (
        "<|user|>[picture][sound]<|end|><|assistant|>Fine.<|end|>"
    )


def test_tools_stand_in_the_system_prompt_and_calls_between_control_tokens(
    spelling: Spelling,
) -> None:
    text = "call anna"
    tool = world.usual_tool("call")
    answer = world.answer(world.ASKS[text], (), [tool])
    dialogue = Dialogue((Turn(text, answer, True),), (tool,), "Use the tools.")
    prompt = written(spelling, dialogue)
    assert prompt.startswith(
        f"<|system|>Use the tools.<|tool|>[{tool.declared()}]<|/tool|>"
    )
    assert prompt.endswith(
        '<|assistant|><|tool_call|>[{"name": "call", "arguments": {"name": "Anna"}}]'
        "<|/tool_call|><|end|>"
    )


def test_what_a_function_says_has_a_header_of_its_own_and_is_answered(
    spelling: Spelling,
) -> None:
    turn = Turn("call anna", "Calling.", True, result="ok", closing="I am calling Anna.")
    script = spelling.script(Dialogue((turn,)), np.random.default_rng(0))
    assert written(spelling, Dialogue((turn,))).endswith(
        "Calling.<|end|><|tool_response|>ok<|end|><|assistant|>I am calling Anna.<|end|>"
    )
    assert script.is_answer[-3:] == [True, False, True]


def test_instructions_stand_in_the_system_prompt(spelling: Spelling) -> None:
    dialogue = Dialogue((Turn("", "Sorry.", True),), (), "Be brief.")
    assert written(spelling, dialogue) == (
        "<|system|>Be brief.<|end|><|user|>[sound]<|end|><|assistant|>Sorry.<|end|>"
    )


def test_an_adapter_that_has_learned_nothing_changes_nothing(spelling: Spelling) -> None:
    torch.manual_seed(0)
    net = Network(demo_config())
    scripts = [spelling.script(Dialogue((Turn("yes", "You said yes.", False),)), RNG)]
    plain, _ = talk.answers_loss(net, scripts, {})
    adapted, _ = talk.answers_loss(net, scripts, {}, "speech")
    torch.testing.assert_close(plain, adapted)


def test_only_answers_are_learned(spelling: Spelling) -> None:
    torch.manual_seed(0)
    net = Network(demo_config())
    script = talk.Script()
    script.add([5, 6, 7])
    script.add(Sight(()))
    script.add([8])
    sensed = {id(script.pieces[1]): torch.randn(4, 160)}
    silent, _ = talk.answers_loss(net, [_with_answer(script, [9])], sensed)
    torch.autograd.backward(silent)
    gradient = net.decoder.norm.weight.grad
    assert gradient is not None
    assert bool(gradient.any())


def _with_answer(script: talk.Script, ids: list[int]) -> talk.Script:
    longer = talk.Script(list(script.pieces), list(script.is_answer))
    longer.add(ids, is_answer=True)
    return longer


@pytest.mark.parametrize("mode", [None, "speech"])
def test_endings_are_learned_as_conversations_of_their_own(
    spelling: Spelling, mode: Projector | None
) -> None:
    torch.manual_seed(0)
    net = Network(demo_config())
    opening, turns = dialogues.tool_turns(np.random.default_rng(3), 4, 0.0)
    forked = spelling.forked(opening, turns, np.random.default_rng(0))
    apart = [
        spelling.script(replace(opening, turns=(turn,)), np.random.default_rng(0))
        for turn in turns
    ]
    # Typing varies with every turn: compare what is typed alike.
    ends = [*forked.endings[1:], len(forked.pieces)]
    for script, start, end in zip(apart, forked.endings, ends, strict=True):
        script.pieces[start - end :] = forked.pieces[start:end]
    loss, exact = talk.answers_loss(net, [forked], {}, mode)
    expected, wanted = talk.answers_loss(net, apart, {}, mode)
    torch.testing.assert_close(loss, expected)
    assert exact == wanted


@pytest.mark.parity
def test_a_mistake_spoils_its_own_ending_alone(spelling: Spelling) -> None:
    torch.manual_seed(0)
    net = Network(demo_config())
    asked = [Turn("up", answer, False) for answer in ("You said up.", "No.")]
    script = spelling.forked(Dialogue(()), asked, np.random.default_rng(0))
    optimizer = torch.optim.AdamW(net.decoder.parameters(), lr=3e-3)
    # To the same words only one of two answers can be learned.
    script.is_answer[-1] = False
    for _ in range(40):
        loss, _ = talk.answers_loss(net, [script], {})
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert talk.answers_loss(net, [script], {})[1] == 1
    script.is_answer[-1] = True
    assert talk.answers_loss(net, [script], {})[1] == 0.5
