import itertools

import pytest
from hypothesis import given, strategies

from assistant.turns.stopping import StopScan


def shown(stops: list[str], *pieces: str) -> tuple[list[str], bool]:
    scan = StopScan(stops)
    return [scan.receive(piece) for piece in pieces] + [scan.flush()], scan.is_stopped


@pytest.mark.parametrize(
    ("stops", "pieces", "out", "is_stopped"),
    [
        ([], ["a", "b"], ["a", "b", ""], False),
        (["."], ["One.", " Two"], ["One", "", ""], True),
        (["END"], ["1 E", "N", "D 2"], ["1 ", "", "", ""], True),
        (["END"], ["1 E", "N", "E"], ["1 ", "", "EN", "E"], False),
        (["END"], ["1 EN"], ["1 ", "EN"], False),
        (["aab"], ["aa", "ab"], ["", "a", ""], True),
        (["xyz", "y"], ["xy", "z"], ["x", "", ""], True),
        (["\n\n"], ["a\n", "b\n", "\nc"], ["a", "\nb", "", ""], True),
    ],
)
def test_nothing_of_a_stop_string_is_shown_and_nothing_else_is_lost(
    stops: list[str], pieces: list[str], out: list[str], is_stopped: bool
) -> None:
    assert shown(stops, *pieces) == (out, is_stopped)


WORDS = strategies.text("ab", max_size=12)
STOPS = strategies.lists(strategies.text("ab", min_size=1, max_size=4), max_size=3)


@given(text=WORDS, cuts=strategies.lists(strategies.integers(0, 12)), stops=STOPS)
def test_how_the_text_is_cut_into_tokens_does_not_matter(
    text: str, cuts: list[int], stops: list[str]
) -> None:
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    out, is_stopped = shown(stops, *pieces)
    assert is_stopped == any(stop in text for stop in stops)
    seen = "".join(out)
    assert text.startswith(seen)
    assert not any(stop in seen for stop in stops)
    if not is_stopped:
        assert seen == text
