from assistant.engine.reports import Reports
from assistant.engine.sequence import PendingAppend, Sequence, text_chunk
from assistant.wire import link


def replying() -> tuple[Reports, Sequence, list[tuple[int, link.Report]]]:
    """Return reports, a sequence of connection 5 that replies, and what was sent."""
    sent: list[tuple[int, link.Report]] = []
    sequence = Sequence((5, 1), "none", max_tokens=10)
    sequence.append([text_chunk([1, 2])])
    sequence.begin(7, link.Sampling(max_tokens=1), now=0.0)
    return Reports(lambda *report: sent.append(report)), sequence, sent


def test_an_append_is_answered_with_its_counts_and_the_length_now() -> None:
    reports, sequence, sent = replying()
    reports.answer(sequence, PendingAppend(end=1, num_text=1, num_image=2, num_audio=3))
    assert sent == [
        (
            5,
            link.Appended(sequence=1, num_tokens=2, num_text=1, num_image=2, num_audio=3),
        )
    ]


def test_a_refused_append_is_answered_with_its_code() -> None:
    reports, sequence, sent = replying()
    reports.answer(sequence, PendingAppend(end=1, refusal=("image_invalid", "why")))
    failed = link.Failed(sequence=1, generation=None, code="image_invalid", message="why")
    assert sent == [(5, failed)]


def test_a_generation_is_admitted_once() -> None:
    reports, sequence, sent = replying()
    reports.admitted(sequence)
    reports.admitted(sequence)
    assert sent == [(5, link.Admitted(1, 7))]


def test_a_token_and_the_end_name_their_generation() -> None:
    reports, sequence, sent = replying()
    reports.token(sequence, 42, "a")
    reports.finished(sequence, "stop", text="b", num_output=1)
    assert sent == [
        (5, link.Token(1, 7, [42], "a")),
        (
            5,
            link.Finished(
                sequence=1,
                generation=7,
                reason="stop",
                text="b",
                num_prompt=2,
                num_cached=0,
                num_output=1,
            ),
        ),
    ]
