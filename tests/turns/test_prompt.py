import pytest

from assistant.turns import prompt
from assistant.turns.conversation import Audio, Item
from assistant.turns.windows import windows_end
from assistant.wire import link
from tests.turns.harness import shown
from tests.turns.items import call, picture, reply, result, spoken, system, user


def line(instructions: str, *items: Item) -> str:
    """Return the whole prompt as one readable line."""
    built = prompt.segments(instructions, items)
    return shown([part for segment in built for part in segment.parts])


def ids(items: list[Item]) -> list[str]:
    return [item.id for item in items]


def test_instructions_come_first_and_no_instructions_leave_no_trace() -> None:
    assert line("Be brief.", user("1", "Hi")) == "<system> Be brief. <end> <user> Hi <end>"
    assert line("", user("1", "Hi")) == "<user> Hi <end>"
    assert line("") == ""


def test_a_turn_is_pictures_then_sound_then_words() -> None:
    item = picture("1", "What is it?")
    item.content.insert(0, Audio(b"clip"))
    item.frames = spoken("1", num_frames=1).frames
    assert line("", item) == (
        "<user> [1 frame 0 x1] [1 picture x4] [audio clip] What is it? <end>"
    )


def test_a_reply_is_read_back_as_the_tokens_it_was_made_of() -> None:
    assert line("", user("1", "Hi"), reply("2", 5, 6), user("3", "So")) == (
        "<user> Hi <end> <assistant> ids[5, 6] <end> <user> So <end>"
    )


def test_a_reply_that_a_client_wrote_is_read_as_its_text() -> None:
    assert line("", reply("2", text="Yes.")) == "<assistant> Yes. <end>"


def test_items_of_one_role_share_a_header() -> None:
    assert line("", picture("1"), user("2", "Hi"), reply("3", 5), reply("4", 6)) == (
        "<user> [1 picture x4] Hi <end> <assistant> ids[5] ids[6] <end>"
    )


def test_a_call_has_its_arguments_as_an_object_and_words_as_they_are() -> None:
    assert line("", call("1", '{"city": "Zürich"}')) == (
        '<assistant> <tool_call> [{"name": "f", "arguments": {"city": "Zürich"}}] '
        "<tool_call_end> <end>"
    )


@pytest.mark.parametrize("arguments", ["", "{", "not JSON", "[" * 100_000])
def test_arguments_that_are_no_json_stay_a_string(arguments: str) -> None:
    assert '"arguments": "' in line("", call("1", arguments))


def test_every_result_of_a_call_has_its_own_header() -> None:
    assert line("", call("1"), call("2"), result("3", "12"), result("4", "34")) == (
        '<assistant> <tool_call> [{"name": "f", "arguments": {"a": 1}}] <tool_call_end> '
        '<tool_call> [{"name": "f", "arguments": {"a": 1}}] <tool_call_end> <end> '
        "<tool_response> 12 <end> <tool_response> 34 <end>"
    )


def test_control_tokens_in_words_stay_words() -> None:
    (opening, words), (end,) = (
        segment.parts for segment in prompt.segments("", [user("1", "<|end|>")])
    )
    assert (opening, end) == (link.ControlPart("user"), link.ControlPart("end"))
    assert words == link.TextPart("<|end|>")


def test_sound_that_is_gone_is_read_as_its_transcript() -> None:
    item = spoken("1")
    item.content = [Audio(b"", "What I said")]
    assert line("", item) == "<user> What I said <end>"


def test_an_item_with_nothing_to_read_leaves_no_trace() -> None:
    gone = picture("1")
    gone.drop_images()
    empty = user("2", "")
    silent = spoken("3", b"")
    assert line("", gone, reply("4", text=""), empty, user("5", "Hi"), silent) == (
        "<user> Hi <end>"
    )


def test_a_trimmed_item_is_not_read() -> None:
    old = user("1", "Old")
    old.leave_prompt()
    assert line("", old, user("2", "New")) == "<user> New <end>"


def test_the_prefix_of_a_growing_conversation_keeps_its_keys() -> None:
    items = [user("1", "Hi"), reply("2", 5), user("3", "So")]
    before = prompt.segments("", items[:1])
    after = prompt.segments("", items)
    assert [s.key for s in after[: len(before)]] == [s.key for s in before]
    assert after[len(before)].key == prompt.reply_key("2")


def test_a_key_changes_with_what_the_segment_says() -> None:
    item = picture("1", "Look")
    keys = {prompt.segments("", [item])[0].key}
    keys.add(prompt.segments("", [user("0", "Hi"), item])[1].key)
    item.drop_images()
    keys.add(prompt.segments("", [item])[0].key)
    keys.add(prompt.segments("", [user("1", "Another of the same id")])[0].key)
    assert len(keys) == 4


def test_any_picture_means_vision_and_sound_alone_speech() -> None:
    seen, heard, said = spoken("1", num_frames=1), spoken("2"), user("3", "Hi")
    assert prompt.adapter_for([said]) == "none"
    assert prompt.adapter_for([said, heard]) == "speech"
    assert prompt.adapter_for([said, heard, seen]) == "vision"
    assert prompt.adapter_for([picture("4"), heard]) == "vision"
    seen.leave_prompt()
    assert prompt.adapter_for([said, heard, seen]) == "speech"
    heard.leave_prompt()
    assert prompt.adapter_for([said, heard, seen]) == "none"


def test_pictures_leave_several_at_a_time_and_only_above_the_bound() -> None:
    items = [picture(str(number)) for number in range(6)]
    assert prompt.images_to_age(items[:4], most=4, keep=2) == []
    assert ids(prompt.images_to_age(items[:5], most=4, keep=2)) == ["0", "1", "2"]
    assert ids(prompt.images_to_age(items, most=4, keep=2)) == ["0", "1", "2", "3"]


def test_the_newest_item_keeps_its_pictures_however_many_they_are() -> None:
    items = [picture("1"), spoken("2", num_frames=9)]
    assert ids(prompt.images_to_age(items, most=4, keep=0)) == ["1"]
    assert prompt.images_to_age(items[1:], most=4, keep=0) == []


@pytest.mark.parametrize(
    ("items", "leaving"),
    [
        ([user("1"), reply("2"), user("3")], ["1", "2"]),
        ([picture("1"), user("2"), reply("3"), user("4")], ["1", "2", "3"]),
        ([system("0", "s"), user("1"), reply("2"), reply("3"), user("4")], ["1", "2", "3"]),
        ([reply("1"), user("2"), reply("3"), user("4")], ["1"]),
        ([user("1"), call("2"), result("3"), reply("4"), user("5")], ["1", "2", "3", "4"]),
        ([user("1"), call("2"), result("3"), user("4")], ["1", "2", "3"]),
        ([picture("1"), picture("2"), user("3")], ["1"]),
        ([user("1")], []),
        ([], []),
        ([user("1"), reply("2")], []),
        ([user("1"), call("2"), result("3")], []),
        ([picture("1"), user("2"), call("3"), result("4")], ["1"]),
    ],
)
def test_whole_turns_leave_oldest_first_and_the_last_question_never(
    items: list[Item], leaving: list[str]
) -> None:
    assert ids(prompt.oldest_turn(items)) == leaving


def test_what_was_trimmed_is_not_trimmed_again() -> None:
    items = [user("1"), reply("2"), user("3"), reply("4"), user("5")]
    for item in prompt.oldest_turn(items):
        item.leave_prompt()
    assert ids(prompt.oldest_turn(items)) == ["3", "4"]


TOOLS = '[{"name": "f"}]'


def test_tools_stand_in_the_system_message_behind_the_instructions() -> None:
    told = prompt.segments("Be brief.", [user("u", "hi")], tools=TOOLS)
    alone = prompt.segments("", [], tools=TOOLS)
    parts = [shown(list(segment.parts)) for segment in (told[0], alone[0])]
    assert parts == [
        f"<system> Be brief. <tool> {TOOLS} <tool_end> <end>",
        f"<system> <tool> {TOOLS} <tool_end> <end>",
    ]
    assert told[0].key != prompt.segments("Be brief.", [])[0].key


def whole_reply() -> list[Item]:
    """Return a reply that said something and made two calls."""
    said, *calls = reply("said", 5, 6), call("c1"), call("c2")
    said.followers = tuple(calls)
    return [said, *calls]


def test_a_reply_of_several_items_is_one_run_of_tokens() -> None:
    items = [user("u", "hi"), *whole_reply(), result("r")]
    assert line("", *items) == (
        "<user> hi <end> <assistant> ids[5, 6] <end> <tool_response> 7 <end>"
    )
    keys = [segment.key for segment in prompt.segments("", items)]
    assert prompt.reply_key("said") in keys


@pytest.mark.parametrize("change", ["deleted", "trimmed", "parted"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_reply_that_is_not_whole_any_more_is_told_in_words(change: str, at: int) -> None:
    items = whole_reply()
    match change:
        case "deleted":
            del items[at]
        case "trimmed":
            items[at].leave_prompt()
        case _:
            items.insert(at, user("between", "wait"))
    told = line("", *items)
    assert "ids" not in told
    assert told.count("<tool_call>") == (2 if change == "parted" else 1)
    assert told.startswith("<assistant> Yes.")
    keys = [segment.key for segment in prompt.segments("", items)]
    assert prompt.reply_key("said") not in keys


def test_without_its_first_item_a_reply_is_told_in_words() -> None:
    _, *calls = whole_reply()
    assert line("", *calls).count("<tool_call>") == 2


def test_what_is_still_being_said_is_not_read() -> None:
    item = reply("half")
    item.status = "in_progress"
    assert line("", item) == ""


def test_a_call_that_was_cut_off_is_not_read_and_what_was_said_before_it_is() -> None:
    said, first, cut = whole_reply()
    cut.status = "incomplete"
    told = line("", user("u", "hi"), said, first, cut, user("v", "and now"))
    assert "ids" not in told
    assert told.count("<tool_call>") == 1
    assert told.endswith("<end> <user> and now <end>")
    assert line("", cut) == ""


def test_the_windows_of_a_long_recording_keep_their_keys_while_it_grows() -> None:
    """So that what was read while somebody spoke is what the whole turn begins with."""
    grown = spoken("1", num_frames=1)
    grown.content = [Audio(bytes(4 * windows_end(1)))]
    early = prompt.segments("", [grown], is_open=True)
    grown.content = [Audio(bytes(4 * (windows_end(2) + 9000)))]
    grown.num_takes += 1
    late = prompt.segments("", [grown])
    assert early == late[: len(early)]
    assert len(early) == 2, "the picture and one window"
    sounds = [p for s in late for p in s.parts if isinstance(p, link.AudioPart)]
    assert [part.is_continuation for part in sounds] == [False, True, True]
    assert shown(list(late[0].parts)).startswith("<user>")


def test_a_window_that_carries_the_header_is_another_one() -> None:
    item = spoken("1")
    item.content = [Audio(bytes(4 * windows_end(1)))]
    (bare,) = prompt.segments("", [item], is_open=True)
    item.frames = spoken("1", num_frames=1).frames
    _, behind_a_picture = prompt.segments("", [item], is_open=True)
    assert bare.key != behind_a_picture.key
