"""
From the wish for a response to its request: what it is asked with, and of which turn.

A turn that ended by itself is answered with the session's settings; a client may ask with
settings and context of its own. Knows wishes, items and frames; who answers, and when, is
``answers.py``'s.
"""

from collections.abc import Callable

from msgspec import UNSET

from assistant.turns import settings as session_settings
from assistant.turns.answers import Answers
from assistant.turns.conversation import Conversation, Item
from assistant.turns.listener import Listener
from assistant.turns.request import Request, ask
from assistant.turns.settings import Settings
from assistant.turns.turn import Turn
from assistant.wire import client_events as client
from assistant.wire.items import Item as WireItem, ItemReference


class Asking:
    """Holds the turn that the next response will answer."""

    def __init__(
        self,
        conversation: Conversation,
        listener: Listener,
        answers: Answers,
        read_item: Callable[[WireItem], Item],
    ) -> None:
        self.turn = Turn()
        self._conversation = conversation
        self._listener = listener
        self._answers = answers
        self._read_item = read_item

    def by_turn(self, settings: Settings) -> None:
        """A turn is over and is to be answered."""
        self._answers.queue(self._request(settings))

    def by_client(
        self, event: client.ResponseCreate, settings: Settings, now: float
    ) -> None:
        """
        A client asks.

        Raises:
            EventRefused: It may not now, or asks for something that is not to be had.
        """
        params = event.response or client.ResponseParams()
        is_aside = params.conversation == "none"
        if not is_aside:
            self._answers.check_free()
        settings = session_settings.for_response(settings, params)
        context = None
        if params.input not in (UNSET, None):
            context = [self._context_item(entry) for entry in params.input or []]
        metadata = params.metadata or None
        if is_aside:
            context = self._conversation.items[:] if context is None else context
            self._answers.answer_aside(ask(settings, Turn(), metadata, context), now)
            return
        if context is None:
            self._listener.pair_words(self.turn, self._conversation.items, now)
        request = self._request(settings, metadata, context, is_asked=True)
        request.is_plain = params == client.ResponseParams()
        self._answers.queue(request)

    def look_ahead(self, settings: Settings, now: float) -> None:
        """Nobody asks yet: let the engine do what the next answer will need."""
        answers = settings.answers_turns
        outlook = self._listener.outlook(self._conversation.items, now, answers=answers)
        self._answers.responder.look_ahead(ask(settings, Turn()), outlook, now)

    def _request(
        self,
        settings: Settings,
        metadata: dict[str, str] | None = None,
        context: list[Item] | None = None,
        *,
        is_asked: bool = False,
    ) -> Request:
        """Freeze what the next response is asked with; its turn is used up by that."""
        turn, self.turn = self.turn, Turn()
        request = ask(settings, turn, metadata, context, is_asked=is_asked)
        return request if context else request.for_task(self._conversation.items)

    def _context_item(self, entry: WireItem | ItemReference) -> Item:
        if isinstance(entry, ItemReference):
            return self._conversation.get(entry.id)
        return self._read_item(entry)
