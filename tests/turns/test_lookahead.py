import itertools
from typing import TypeVar

from assistant.turns import prompt
from assistant.turns.actions import Action, Tell
from assistant.turns.load import Load
from assistant.turns.lookahead import Lookahead
from assistant.turns.mirror import Mirror
from assistant.turns.plan import Plan
from assistant.wire import link
from tests.turns.items import user

_Order = TypeVar("_Order", bound=link.Message)
SAMPLING = link.Sampling(max_tokens=5)


class Desk:
    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.load = Load()
        self.load.num_slots = 4
        self.mirror = Mirror(itertools.count(1))
        self.ahead = Lookahead(
            mirror=self.mirror,
            load=self.load,
            share=0.5,
            generations=itertools.count(1),
            new_id=lambda kind: kind,
            emit=self.actions.append,
        )

    def told(self, kind: type[_Order]) -> list[_Order]:
        orders = [action.order for action in self.actions if isinstance(action, Tell)]
        return [order for order in orders if isinstance(order, kind)]


HI = user("1", "Hi")


def plan(*, max_tokens: int = 5) -> Plan:
    segments = prompt.segments("", [HI])
    return Plan("none", segments, link.Sampling(max_tokens=max_tokens))


def test_the_same_wish_again_orders_nothing() -> None:
    desk = Desk()
    for _ in range(3):
        assert desk.ahead.speculate(plan(), 0.0)
    assert len(desk.told(link.Generate)) == 1
    for _ in range(3):
        desk.ahead.read("none", prompt.segments("", [HI]))
    assert len(desk.told(link.Rollback)) == 1


def test_reports_are_held_and_handed_over_in_their_order() -> None:
    desk = Desk()
    desk.ahead.speculate(plan(), 1.0)
    reports: list[link.Report] = [link.Admitted(1, 1), link.Token(1, 1, [7], "a")]
    for report in reports:
        assert desk.ahead.receive(report, 1.2)
    assert not desk.ahead.receive(link.Token(1, 9, [7], "of another"), 1.2)
    given = desk.ahead.confirm(plan(), 1.3)
    assert given is not None
    assert given.held == reports
    assert not desk.ahead.is_speculating
    assert not desk.ahead.receive(link.Token(1, 1, [8], "b"), 1.4), "not held any more"
    assert round(desk.mirror.tally.won_s, 3) == 0.2


def test_another_question_is_not_given_this_answer() -> None:
    desk = Desk()
    desk.ahead.speculate(plan(), 1.0)
    desk.ahead.receive(link.Token(1, 1, [7, 8], "a"), 1.2)
    assert desk.ahead.confirm(plan(max_tokens=6), 1.3) is None
    tally = desk.mirror.tally
    assert (tally.num_speculations, tally.num_confirmed, tally.num_wasted) == (1, 0, 2)
    desk.ahead.receive(link.Token(1, 1, [9], "late"), 1.4)
    assert tally.num_wasted == 3, "what was under way was computed too"


def test_a_refusal_bars_every_guess_until_an_answer_is_asked_for() -> None:
    desk = Desk()
    desk.ahead.speculate(plan(), 1.0)
    failed = link.Failed(sequence=1, generation=1, code="no_free_slot", message="")
    assert desk.ahead.receive(failed, 1.1)
    assert desk.told(link.Close) == [link.Close(1)]
    assert not desk.ahead.speculate(plan(), 1.2)
    desk.ahead.read("none", prompt.segments("", [HI]))
    assert len(desk.told(link.Open)) == 1
    assert desk.ahead.confirm(plan(), 1.3) is None
    assert desk.ahead.may_speculate


def test_a_speculation_is_stopped_also_when_nothing_can_be_read_instead() -> None:
    desk = Desk()
    desk.ahead.stop()
    assert desk.actions == []
    desk.ahead.speculate(plan(), 0.0)
    desk.ahead.stop()
    assert desk.told(link.Close) == [link.Close(1)]
    assert not desk.ahead.is_speculating


def test_without_room_nothing_is_begun() -> None:
    desk = Desk()
    desk.load.num_slots = 0
    assert not desk.ahead.speculate(plan(), 0.0)
    assert desk.actions == []


def test_nothing_to_read_opens_no_sequence() -> None:
    desk = Desk()
    desk.ahead.read("vision", [])
    assert desk.actions == []
