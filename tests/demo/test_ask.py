import numpy as np
import torch

from assistant.demo import ask
from assistant.demo.talk import Script, Sight, Sound
from assistant.model.phi4 import Phi4Multimodal
from assistant.models_on_disk import SHIPPED_DEMO


def test_a_script_becomes_a_prompt_up_to_its_last_answer() -> None:
    sound, sight = Sound("yes"), Sight(())
    script = Script([[1], sight, sound, [2, 3], [4, 5]], [False] * 4 + [True])
    heard, seen = torch.ones(9, 80), np.zeros((4, 4, 3), np.uint8)
    parts, wanted = ask.last_question(script, {id(sound): heard}, {id(sight): seen})
    assert parts[0] == [1]
    assert parts[1] is seen
    assert parts[2] is heard
    assert (parts[3], wanted) == ([2, 3], [4, 5])


def test_asks_with_a_sound_and_a_picture() -> None:
    model = Phi4Multimodal.load(SHIPPED_DEMO, device="cpu", dtype=torch.float32)
    parts: list[ask.Part] = [
        [model.tokenizer.control("user")],
        np.full((48, 64, 3), 200, np.uint8),
        torch.zeros(60, 80),
        [model.tokenizer.control("end"), model.tokenizer.control("assistant")],
    ]
    assert ask.reply(model, parts)
