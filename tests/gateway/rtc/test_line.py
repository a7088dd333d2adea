from pathlib import Path

from tests.gateway.fakes import run
from tests.gateway.places import place
from tests.gateway.rtc.caller import Caller


def test_a_question_typed_over_the_data_channel_is_answered_over_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            caller = Caller()
            await caller.call(at.app)
            created = await caller.until("session.created")
            assert created["session"]["id"].startswith("sess_")
            content = [{"type": "input_text", "text": "what is this?"}]
            item = {"type": "message", "role": "user", "content": content}
            caller.send("conversation.item.create", item=item)
            caller.send("response.create")
            at.engine.answer(await at.generate(), "a ", "cup")
            done = await caller.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "a cup"
            await caller.close()
            await at.is_idle()

    run(scenario())
