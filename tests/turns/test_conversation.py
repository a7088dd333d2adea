import pytest
from hypothesis import given, strategies as st

from assistant.turns.conversation import (
    MAX_ECHO_CHARS,
    Audio,
    Conversation,
    Image,
    Item,
    Text,
)
from assistant.wire import client_events as client, items as wire
from assistant.wire.refusals import EventRefused
from assistant.wire.server_events import ItemDeleted, ItemRetrieved
from tests.turns.items import call, picture, reply, result, spoken, system, user


def conversation(*ids: str, max_items: int = 10) -> Conversation:
    made = Conversation(max_items, max_bytes=1000)
    for item_id in ids:
        made.insert(user(item_id))
    return made


def ids(made: Conversation) -> list[str]:
    return [item.id for item in made.items]


def message(item: object) -> wire.MessageItem:
    assert isinstance(item, wire.MessageItem)
    return item


@pytest.mark.parametrize(
    ("after", "previous", "order"),
    [
        (None, "b", ["a", "b", "new"]),
        ("root", None, ["new", "a", "b"]),
        ("a", "a", ["a", "new", "b"]),
        ("b", "b", ["a", "b", "new"]),
    ],
)
def test_an_item_goes_where_it_is_told_and_names_the_one_before(
    after: str | None, previous: str | None, order: list[str]
) -> None:
    made = conversation("a", "b")
    assert made.insert(user("new"), after) == previous
    assert ids(made) == order
    assert made.previous_id("new") == previous


@pytest.mark.parametrize("after", [None, "root"])
def test_the_first_item_has_none_before_it(after: str | None) -> None:
    made = conversation()
    assert made.last_id() is None
    assert made.insert(user("a"), after) is None
    assert made.last_id() == "a"


@pytest.mark.parametrize(
    ("item_id", "after", "code", "param"),
    [
        ("a", None, "item_create_duplicate_item_id", None),
        ("a", "nobody", "item_create_duplicate_item_id", None),
        ("new", "nobody", "item_create_invalid_item_id", "previous_item_id"),
        ("new", "new", "item_create_invalid_item_id", "previous_item_id"),
    ],
)
def test_a_wrong_place_is_refused_and_nothing_is_inserted(
    item_id: str, after: str | None, code: str, param: str | None
) -> None:
    made = conversation("a", "b")
    with pytest.raises(EventRefused) as caught:
        made.insert(user(item_id), after)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert ids(made) == ["a", "b"]


def test_a_full_conversation_says_its_bound() -> None:
    made = conversation("a", "b", max_items=2)
    with pytest.raises(EventRefused, match="holds 2 items") as caught:
        made.insert(user("c"))
    assert caught.value.code == "conversation_full"
    made.delete("a")
    made.insert(user("c"))


def test_deleting_repairs_the_chain_and_frees_the_id() -> None:
    made = conversation("a", "b", "c")
    made.delete("b")
    assert made.previous_id("c") == "a"
    with pytest.raises(EventRefused):
        made.insert(user("d"), "b")
    assert made.insert(user("b")) == "c"


@pytest.mark.parametrize("verb", ["retrieve", "truncate"])
def test_an_unknown_item_is_refused_with_the_verb_in_the_code(verb: str) -> None:
    with pytest.raises(EventRefused) as caught:
        conversation("a").get("b", verb)
    assert (caught.value.code, caught.value.param) == (
        f"item_{verb}_invalid_item_id",
        "item_id",
    )


def test_deleting_an_unknown_item_has_its_own_code() -> None:
    with pytest.raises(EventRefused) as caught:
        conversation("a").delete("b")
    assert caught.value.code == "item_delete_invalid_item_id"


@given(
    steps=st.lists(
        st.tuples(
            st.booleans(), st.integers(0, 5), st.sampled_from([None, "root", *"012345"])
        )
    )
)
def test_a_list_that_a_client_mirrors_from_the_answers_is_the_conversation(
    steps: list[tuple[bool, int, str | None]],
) -> None:
    """As livekit does: it links every item after the ``previous_item_id`` it is told."""
    made, mirrored = conversation(), list[str]()
    for is_insert, number, after in steps:
        item_id = str(number)
        try:
            if is_insert:
                previous = made.insert(user(item_id), after)
                at = 0 if previous is None else mirrored.index(previous) + 1
                mirrored.insert(at, item_id)
            else:
                made.delete(item_id)
                mirrored.remove(item_id)
        except EventRefused:
            pass  # and then neither side changed
        assert ids(made) == mirrored


def test_an_event_about_one_item_is_answered_or_refused() -> None:
    made = conversation("a", "b")
    retrieved = made.receive_event(client.ItemRetrieve(item_id="a"))
    assert isinstance(retrieved, ItemRetrieved)
    assert message(retrieved.item).id == "a"
    assert made.receive_event(client.ItemDelete(item_id="a")) == ItemDeleted(item_id="a")
    assert ids(made) == ["b"]
    for item_id in ("a", "b"):
        with pytest.raises(EventRefused):
            made.receive_event(client.ItemTruncate(item_id=item_id))


def test_two_items_are_never_the_same_even_when_they_look_alike() -> None:
    assert user("a", "Hi") != user("a", "Hi")


# --- the wire ----------------------------------------------------------------------------


def test_a_spoken_item_is_echoed_without_its_sound_and_without_its_frames() -> None:
    echo = message(spoken("a", num_frames=2).to_wire())
    assert echo.content == [wire.InputAudio(transcript=None)]
    assert (echo.status, echo.role, echo.id) == ("completed", "user", "a")


def test_words_have_the_name_of_their_role() -> None:
    assert message(user("a", "Hi").to_wire()).content == [wire.InputText("Hi")]
    assert message(system("a", "Hi").to_wire()).content == [wire.InputText("Hi")]
    assert message(reply("a", text="Hi").to_wire()).content == [wire.OutputText("Hi")]
    spoken_reply = reply("a")
    spoken_reply.content = [Audio(b"", "Hi")]
    assert message(spoken_reply.to_wire()).content == [wire.OutputAudio(transcript="Hi")]


def test_a_picture_is_echoed_as_it_came_even_after_it_aged() -> None:
    item = picture("a")
    item.content = [Image(b"x", 1, "low", "data:image/png;base64,eA==")]
    item.drop_images()
    assert message(item.to_wire()).content == [
        wire.InputImage(image_url="data:image/png;base64,eA==", detail="low")
    ]


def test_a_picture_without_url_is_echoed_without_the_key() -> None:
    assert MAX_ECHO_CHARS < 2**20, "outgoing messages stay small"
    assert message(picture("a").to_wire()).content == [wire.InputImage()]


def test_calls_and_results_are_echoed_whole_under_the_items_id() -> None:
    echoed = call("a", "{}").to_wire()
    assert echoed == wire.FunctionCallItem(
        id="a", status="completed", name="f", arguments="{}", call_id="c"
    )
    item = result("b", "7")
    first = item.to_wire()
    assert first == wire.FunctionCallOutputItem(
        id="b", status="completed", call_id="c", output="7"
    )
    item.status = "incomplete"
    item.to_wire()
    assert first.status == "completed", "an echo that waits to be sent does not change"


# --- ageing ------------------------------------------------------------------------------


def test_dropping_pictures_counts_them_lets_go_of_their_bytes_and_changes_the_version() -> (
    None
):
    item = picture("a", "Look")
    item.frames = spoken("a", num_frames=2).frames
    assert item.num_images() == 3
    assert item.drop_images() == 3
    assert (item.num_images(), item.version) == (0, 1)
    assert item.content[0] == Text("Look")


def test_a_trimmed_item_lets_go_of_every_payload_and_stays_listed() -> None:
    item = spoken("a", b"clip", num_frames=1)
    item.leave_prompt()
    assert not item.is_in_prompt
    assert item.content == [Audio(b"")]
    assert message(item.to_wire()).content == [wire.InputAudio()]


def test_beyond_the_bound_of_bytes_the_oldest_items_let_their_sound_and_pictures_go() -> (
    None
):
    made = conversation()
    for number in range(4):
        made.insert(Item(id=f"item {number}", role="user", content=[Audio(b"x" * 400)]))
    assert [item.num_bytes() for item in made.items] == [0, 0, 400, 400]
    assert [item.is_in_prompt for item in made.items] == [False, False, True, True]
    made.insert(Item(id="huge", role="user", content=[Image(b"x" * 5000, 1)]))
    assert [item.num_bytes() for item in made.items] == [0, 0, 0, 0, 5000]


def test_a_long_clip_is_cut_once_and_again_when_it_was_let_go() -> None:
    clip = Audio(bytes(4 * 700_000))
    assert len(clip.parts()) == 2
    assert clip.parts() is clip.parts()
    assert clip == Audio(clip.samples), "being cut is not a difference"
    clip.samples = b""
    assert [part.samples for part in clip.parts()] == [b""]
