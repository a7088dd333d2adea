import contextlib
import itertools
import random
import struct

import pytest
from hypothesis import example, given, strategies as st

from assistant.errors import ProtocolError
from assistant.wire import link

SAMPLING = link.Sampling(max_tokens=9, temperature=0.5, top_p=0.9, seed=3)
CONSTRAINED = link.Sampling(
    max_tokens=9,
    constraint=link.Constraint(functions=[link.Function("f", "{}")], is_required=True),
)
ORDERS: list[link.Order] = [
    link.Open(1, "vision"),
    link.Append(
        1,
        [
            link.ControlPart("user"),
            link.TextPart("hé"),
            link.TokensPart([5, 200_063]),
            link.ImagePart(b"\xff\xd8", max_crops=1),
            link.AudioPart(b"\0\0\0\0"),
        ],
    ),
    link.Mark(1, 2),
    link.Rollback(1, 2),
    link.Generate(1, 3, SAMPLING),
    link.Generate(1, 3, SAMPLING, is_speculative=True),
    link.Generate(1, 3, CONSTRAINED),
    link.Promote(1, 3),
    link.Cancel(1, 3, num_kept=4),
    link.Close(1),
    link.Ping(7),
]
REPORTS: list[link.Report] = [
    link.Ready(
        model="demo",
        device="cpu",
        dtype="float32",
        max_sequence_tokens=4096,
        num_slots=8,
        is_meaningless=True,
    ),
    link.Appended(sequence=1, num_tokens=9, num_text=4, num_image=5, num_audio=0),
    link.Admitted(1, 3),
    link.Token(1, 3, [17], "a"),
    link.Finished(
        sequence=1,
        generation=3,
        reason="stop",
        text="",
        num_prompt=9,
        num_cached=4,
        num_output=1,
    ),
    link.Failed(sequence=1, generation=None, code="image_invalid", message="why"),
    link.Pong(7),
]


def payload_of(frame: bytes) -> bytes:
    (payload,) = link.Deframer().receive_data(frame)
    return payload


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_every_order_survives_the_link(order: link.Order) -> None:
    assert link.decode_order(payload_of(link.encode(order))) == order


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_every_report_survives_the_link(report: link.Report) -> None:
    assert link.decode_report(payload_of(link.encode(report))) == report


def test_a_frame_is_a_length_and_a_tagged_array() -> None:
    assert link.encode(link.Ping(7)) == b"\x07\0\0\0" + b"\x92\xa4Ping\x07"


def test_an_order_is_no_report_and_a_report_no_order() -> None:
    with pytest.raises(ProtocolError, match="not a report"):
        link.decode_report(payload_of(link.encode(link.Ping(7))))
    with pytest.raises(ProtocolError, match="not an order"):
        link.decode_order(payload_of(link.encode(link.Pong(7))))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"\x92\xa4Ping\xa1x", b"\x91\xa7Unheard", b"\x93\xa4Open\x01\xa3all"],
    ids=["empty", "not msgpack", "wrong type", "unknown tag", "unknown adapter"],
)
def test_what_is_not_an_order_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        link.decode_order(payload)


def test_frames_come_out_whole_and_in_order_however_the_bytes_arrive() -> None:
    frames = [link.encode(order) for order in ORDERS]
    stream = b"".join(frames)
    for seed in range(50):
        draw = random.Random(seed)
        deframer = link.Deframer()
        found: list[link.Order] = []
        position = 0
        while position < len(stream):
            size = draw.choice([1, 2, 3, 5, 50, 500])
            piece = stream[position : position + size]
            found += map(link.decode_order, deframer.receive_data(piece))
            position += size
        assert found == ORDERS


def test_what_was_yielded_stays_yielded_when_the_reader_stops() -> None:
    deframer = link.Deframer()
    stream = link.encode(link.Ping(1)) + link.encode(link.Ping(2))
    first = next(iter(deframer.receive_data(stream)))
    assert link.decode_order(first) == link.Ping(1)
    (second,) = deframer.receive_data(b"")
    assert link.decode_order(second) == link.Ping(2)


def test_a_frame_longer_than_the_bound_is_refused_by_its_length_alone() -> None:
    announced = struct.pack("<I", link.MAX_MESSAGE_BYTES + 1)
    with pytest.raises(ProtocolError, match=str(link.MAX_MESSAGE_BYTES)):
        list(link.Deframer().receive_data(announced))


def test_a_message_longer_than_the_bound_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "MAX_MESSAGE_BYTES", 100)
    with pytest.raises(ProtocolError, match="the bound is 100"):
        link.encode(link.Append(1, [link.TextPart("x" * 200)]))


def test_half_an_hour_of_audio_fits_into_one_message() -> None:
    assert link.MAX_MESSAGE_BYTES > 30 * 60 * 16_000 * 4


@given(
    payloads=st.lists(st.binary(max_size=40), max_size=6),
    cuts=st.lists(st.integers(0, 300), max_size=12),
)
def test_any_split_of_a_stream_yields_the_same_payloads(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(struct.pack("<I", len(p)) + p for p in payloads)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    deframer = link.Deframer()
    found = [
        payload
        for start, stop in itertools.pairwise(edges)
        for payload in deframer.receive_data(stream[start:stop])
    ]
    assert found == payloads


@given(payload=st.binary(max_size=60))
@example(b"\x91\xa3\x00\x00\x80")  # a tag that is not UTF-8
def test_any_bytes_are_a_message_or_a_protocol_error(payload: bytes) -> None:
    for decode in (link.decode_order, link.decode_report):
        with contextlib.suppress(ProtocolError):
            decode(payload)
