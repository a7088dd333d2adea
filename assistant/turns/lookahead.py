"""
What one session lets the engine do before it is asked to answer.

Two things, one at a time, and either may turn out to be wrong at no price but compute:

* *Reading ahead*: the prompt as far as it is known. Between turns that is the history,
  while the user speaks also the pictures that go with the words.
* *Speculating*: at the first pause the whole turn is answered, and the answer held here.
  Nothing of it is seen by anybody until ``confirm`` hands it over.

Both are stated as what is wanted now, again and again; the mirror turns the difference to
what the engine holds into orders. So taking back needs no rule of its own: whoever wants
less has the rest rolled back, and a rollback ends the generation that stands on it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from assistant.turns import prompt
from assistant.turns.actions import Action, Tell
from assistant.turns.load import Load
from assistant.turns.mirror import Mirror
from assistant.turns.plan import Plan
from assistant.wire import link


@dataclass(slots=True, kw_only=True)
class Speculation:
    """An answer that nobody has asked for yet."""

    plan: Plan
    generation: int
    item_id: str
    """Of the reply, should it be given."""
    began: float
    first_token: float | None = None
    is_admitted: bool = False
    held: list[link.Report] = field(default_factory=list)
    """At most ``max_tokens`` of them and two more."""

    def won_s(self, now: float) -> float:
        """Return how much later the first token would have come if asked for ``now``."""
        if not self.is_admitted:
            return 0.0
        return (now if self.first_token is None else self.first_token) - self.began


class Lookahead:
    """At most one speculation, else what was read ahead."""

    def __init__(
        self,
        *,
        mirror: Mirror,
        load: Load,
        share: float,
        generations: Iterator[int],
        new_id: Callable[[str], str],
        emit: Callable[[Action], None],
    ) -> None:
        self._mirror = mirror
        self._load = load
        self._share = share
        self._generations = generations
        self._new_id = new_id
        self._emit = emit
        self._speculation: Speculation | None = None
        self._taken_back: int | None = None  # generation of the latest one
        self._is_barred = False

    @property
    def is_speculating(self) -> bool:
        return self._speculation is not None

    @property
    def may_speculate(self) -> bool:
        """Whether there is room for a speculation, or for the one under way."""
        return not self._is_barred and self._load.allows(self, self._share)

    # --- what is wanted -----------------------------------------------------------------

    def read(self, adapter: link.Adapter, segments: Sequence[prompt.Segment]) -> None:
        """Let the engine hold that and nothing more."""
        self._take_back()
        if self._is_barred or not (segments or self._mirror.sequence):
            return
        self._tell(self._mirror.orders(adapter, segments))

    def stop(self) -> None:
        """Let the engine answer nothing."""
        if self._speculation is not None:
            self._take_back()
            self._tell(self._mirror.close())

    def speculate(self, plan: Plan, now: float) -> bool:
        """Let the engine answer, unless it does already; False when it may not."""
        if not self.may_speculate:
            return False
        if self._speculation is not None:
            if self._speculation.plan.gives_the_same_as(plan):
                return True
            self._take_back()
        item_id = self._new_id("item")
        reply_key = prompt.reply_key(item_id)
        self._tell(self._mirror.orders(plan.adapter, plan.segments, reply_key))
        speculation = Speculation(
            plan=plan, generation=next(self._generations), item_id=item_id, began=now
        )
        self._speculation = speculation
        self._load.speculate(self)
        self._mirror.tally.num_speculations += 1
        sequence = self._mirror.sequence
        assert sequence is not None
        number = speculation.generation
        self._tell([link.Generate(sequence, number, plan.sampling, is_speculative=True)])
        return True

    def confirm(self, plan: Plan, now: float) -> Speculation | None:
        """
        Hand over the speculation if it is the answer that is asked for.

        Otherwise it is taken back, and the next orders of the mirror end it.
        """
        self._is_barred = False
        self._mirror.tally.num_early = self._mirror.tally.num_read
        speculation = self._speculation
        if speculation is None or not speculation.plan.gives_the_same_as(plan):
            self._take_back()
            return None
        self._speculation = None
        self._load.rest(self)
        self._mirror.tally.num_confirmed += 1
        self._mirror.tally.won_s += speculation.won_s(now)
        return speculation

    def give_up(self) -> None:
        """The engine refused something: ask nothing ahead of the next answer."""
        self._is_barred = True
        self._take_back()

    def forget(self) -> None:
        """The engine is gone, or the session is."""
        self._is_barred = False
        self._take_back()

    # --- what the engine said -----------------------------------------------------------

    def receive(self, report: link.Report, now: float) -> bool:
        """Hold a report that belongs to the speculation; False for all others."""
        number = getattr(report, "generation", None)
        if number is None:
            return False
        speculation = self._speculation
        is_ours = getattr(report, "sequence", None) == self._mirror.sequence
        if speculation is None or number != speculation.generation or not is_ours:
            if number == self._taken_back and isinstance(report, link.Token):
                self._mirror.tally.num_wasted += len(report.ids)
            return False
        match report:
            case link.Failed():
                self._tell(self._mirror.close())
                self.give_up()
                return True
            case link.Admitted():
                speculation.is_admitted = True
            case link.Token() if speculation.first_token is None:
                speculation.first_token = now
        speculation.held.append(report)
        return True

    # --- inside -------------------------------------------------------------------------

    def _take_back(self) -> None:
        speculation, self._speculation = self._speculation, None
        if speculation is None:
            return
        self._taken_back = speculation.generation
        self._load.rest(self)
        self._mirror.tally.num_wasted += sum(
            len(report.ids) for report in speculation.held if isinstance(report, link.Token)
        )

    def _tell(self, orders: Sequence[link.Order]) -> None:
        for order in orders:
            self._emit(Tell(order))
