"""
What the engine is to have read, and is asked for, to give one answer.

Two plans are equal when nobody could tell the answers apart: the same prompt under the
same adapter, drawn in the same way. That is the whole test whether an answer that was
begun at a pause may be given at the end of the turn.

Only ``settle`` and ``make_room`` change the conversation. What is guessed before a turn is
over shows old pictures as they will be, and leaves them where they are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from assistant.config import Config
from assistant.turns import prompt
from assistant.turns.conversation import Conversation, Item
from assistant.turns.mirror import Mirror
from assistant.turns.prompt import Segment
from assistant.turns.request import Request
from assistant.turns.truncation import Bounds, bounds
from assistant.wire import link

MIN_REPLY_TOKENS = 64
"""Room that trimming leaves for a reply, however long it may become."""

FULL_SHARE = 0.9
"""Of the budget, what a conversation may fill when a turn is over. One that fills more is
trimmed then, so that the next turn finds the shorter prompt read already."""

ADAPTERS: tuple[link.Adapter, ...] = ("none", "speech", "vision")
"""Each one serves what those before it serve."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A prompt, its adapter and how the reply is drawn."""

    adapter: link.Adapter
    segments: list[Segment]
    sampling: link.Sampling

    def gives_the_same_as(self, other: "Plan") -> bool:
        """Compare without looking at payloads: a segment's key changes with it."""
        return (
            self.adapter == other.adapter
            and self.sampling == other.sampling
            and [s.key for s in self.segments] == [s.key for s in other.segments]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is to be expected of the next turn."""

    items: Sequence[Item]
    """The conversation, and the item that is being spoken."""
    at_least: link.Adapter
    """The adapter that what is still to come will need."""
    is_pause: bool = False
    """The user may have finished: answer already, if there is room for it."""
    may_trim: bool = False
    """The user is not speaking: a full history may be trimmed now."""


class Plans:
    """The plans of one session; what a prompt costs it knows from the mirror."""

    def __init__(self, config: Config, conversation: Conversation, mirror: Mirror) -> None:
        self.budget = 0
        """Tokens that a sequence may have; the engine says so."""
        self._config = config
        self._conversation = conversation
        self._mirror = mirror

    def settle(self, request: Request, number: int) -> Plan:
        """Plan the ``number``-th response of the session, and let go of what it omits."""
        for item in self._to_age(self._conversation.items):
            item.drop_images()
        items = self._conversation.items if request.items is None else request.items
        limits = self._bounds(request)
        if not self._fits(_segments(request, items), limits.most):
            self._trim_to(limits.kept, request, items)
        segments = _segments(request, items)
        return Plan(prompt.adapter_for(items), segments, self._sampling(request, number))

    def guess(self, request: Request, items: Sequence[Item], number: int) -> Plan | None:
        """Return what ``settle`` will, if nothing more comes; None: it would trim."""
        aged = self._to_age(items)
        segments = _segments(request, items, aged=aged)
        if not self._fits(segments, self._bounds(request).most):
            return None
        return Plan(prompt.adapter_for(items), segments, self._sampling(request, number))

    def opening(
        self, request: Request, outlook: Outlook
    ) -> tuple[link.Adapter, list[Segment]] | None:
        """Return what stays of the next prompt whatever the user says; None: too much."""
        items, at_least = outlook.items, outlook.at_least
        aged = self._to_age(items)
        segments = _segments(request, items, aged=aged, is_open=True)
        adapter = max(prompt.adapter_for(items), at_least, key=ADAPTERS.index)
        fits = self._fits(segments, self._bounds(request).most)
        return (adapter, segments) if fits else None

    def make_room(self, request: Request) -> None:
        """Trim a conversation that hardly leaves room for another turn."""
        items = self._conversation.items
        limits = self._bounds(request)
        if not self._fits(_segments(request, items), int(limits.most * FULL_SHARE)):
            self._trim_to(limits.kept, request, items)

    def trim(self, request: Request) -> bool:
        """Let the oldest turn leave the prompt; False when there is none to spare."""
        if request.truncation == "disabled" or request.items is not None:
            return False
        leaving = prompt.oldest_turn(self._conversation.items)
        for item in leaving:
            item.leave_prompt()
        return bool(leaving)

    def set_aside(self) -> None:
        """What the engine cannot read must not spoil every later prompt as well."""
        for item in reversed(self._conversation.items):
            if item.role == "user" and item.is_in_prompt:
                item.leave_prompt()
                return

    def _to_age(self, items: Sequence[Item]) -> list[Item]:
        pairing = self._config.pairing
        most, keep = pairing.max_prompt_images, pairing.keep_prompt_images
        return prompt.images_to_age(items, most=most, keep=keep)

    def _bounds(self, request: Request) -> Bounds:
        """Return when and how far to trim; only a limit behind it needs the opening."""
        opening = _segments(request, ())
        cost = self._mirror.known_cost(opening)
        return bounds(request.truncation, self.budget - MIN_REPLY_TOKENS, cost)

    def _fits(self, segments: Sequence[Segment], bound: int) -> bool:
        return self._mirror.known_cost(segments) <= bound

    def _trim_to(self, bound: int, request: Request, items: Sequence[Item]) -> None:
        while not self._fits(_segments(request, items), bound):
            if not self.trim(request):
                return

    def _sampling(self, request: Request, number: int) -> link.Sampling:
        # The seed counts responses and not attempts: what was taken back leaves no trace.
        reply = self._config.reply
        asked = request.max_output_tokens
        return link.Sampling(
            max_tokens=reply.max_output_tokens if asked == "inf" else int(asked),
            temperature=reply.temperature,
            top_p=reply.top_p,
            seed=reply.seed + number,
            constraint=request.tools.constraint(),
        )


def _segments(
    request: Request,
    items: Sequence[Item],
    *,
    aged: Collection[Item] = (),
    is_open: bool = False,
) -> list[Segment]:
    tools = request.tools.prompt_text()
    return prompt.segments(
        request.instructions, items, tools=tools, aged=aged, is_open=is_open
    )
