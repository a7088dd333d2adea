"""A client that believes what it is told, and complains when that cannot be true."""

from dataclasses import dataclass, field

from assistant.wire import items, server_events as wire


@dataclass
class Open:
    """A response that is not over, as its events tell it."""

    is_aside: bool
    num_items: int = 0
    item: items.Item | None = None
    is_part_open: bool = False
    written: str = ""
    is_written_whole: bool = False


@dataclass
class Witness:
    """What a client knows of a session from its events alone."""

    order: list[str] = field(default_factory=list)
    """The conversation's items, by their ids."""
    responses: dict[str, Open] = field(default_factory=dict)
    done: dict[str, wire.Response] = field(default_factory=dict)
    metadata: dict[str, dict[str, str] | None] = field(default_factory=dict)
    num_calls: int = 0

    def see(self, event: wire.ServerEvent) -> None:
        """Take an event; AssertionError when it contradicts what was told before."""
        match event:
            case wire.ItemAdded():
                self._place(event)
            case wire.ItemDone():
                self._check_place(event)
            case wire.ItemDeleted():
                self.order.remove(event.item_id)
            case wire.Committed(previous_item_id=previous):
                assert previous == (self.order[-1] if self.order else None)
            case wire.ResponseCreated(response=response):
                self._created(response)
            case wire.ResponseDone(response=response):
                self._ended(response)
            case _:
                response_id = getattr(event, "response_id", None)
                if response_id is not None:
                    assert response_id in self.responses, f"{event} of what is over"
                    self._told(self.responses[response_id], event)

    def _place(self, event: wire.ItemAdded) -> None:
        item_id, previous = str(event.item.id), event.previous_item_id
        assert item_id not in self.order, "added twice"
        at = 0 if previous is None else self.order.index(previous) + 1
        self.order.insert(at, item_id)

    def _check_place(self, event: wire.ItemDone) -> None:
        if event.item.id not in self.order:
            return  # deleted while it was made
        at = self.order.index(str(event.item.id))
        assert event.previous_item_id == (self.order[at - 1] if at else None)

    def _created(self, response: wire.Response) -> None:
        assert response.id not in self.responses | self.done.keys(), "created twice"
        is_aside = response.conversation_id is None
        active = [known for known in self.responses.values() if not known.is_aside]
        assert is_aside or not active, "two active responses"
        assert (response.status, response.output) == ("in_progress", [])
        self.responses[response.id] = Open(is_aside)
        self.metadata[response.id] = response.metadata

    def _ended(self, response: wire.Response) -> None:
        known = self.responses.pop(response.id)
        assert known.item is None, "an item was left open"
        assert len(response.output) == known.num_items
        assert response.metadata == self.metadata[response.id]
        assert response.status != "in_progress"
        self.done[response.id] = response

    def _told(self, known: Open, event: wire.ServerEvent) -> None:
        if isinstance(event, wire.OutputItemAdded):
            assert known.item is None, "two items at once"
            assert event.output_index == known.num_items
            assert event.item.status == "in_progress"
            known.num_items += 1
            known.item, known.written = event.item, ""
            known.is_written_whole = False
            return
        assert known.item is not None, f"{event} without an item"
        assert event.output_index == known.num_items - 1  # type: ignore[attr-defined]  # all have it
        if isinstance(event, wire.OutputItemDone):
            assert not known.is_part_open
            assert known.is_written_whole
            assert event.item.id == known.item.id
            assert event.item.status != "in_progress"
            known.item = None
            return
        assert event.item_id == known.item.id  # type: ignore[attr-defined]  # all have it
        self._written(known, event)

    def _written(self, known: Open, event: wire.ServerEvent) -> None:
        match event:
            case wire.ContentPartAdded():
                assert not known.is_part_open
                known.is_part_open = True
            case wire.TextDelta(delta=delta) | wire.ArgumentsDelta(delta=delta):
                assert delta, "an empty delta"
                assert not known.is_written_whole
                known.written += delta
            case wire.TextDone(text=text):
                assert known.is_part_open
                assert text == known.written
                known.is_written_whole = True
            case wire.ContentPartDone(part=part):
                assert known.is_written_whole
                assert part.text == known.written
                known.is_part_open = False
            case wire.ArgumentsDone(arguments=arguments):
                assert arguments == known.written
                known.is_written_whole = True
                self.num_calls += 1
