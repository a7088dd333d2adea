import random
import re

import pytest

from assistant.wire.refusals import EventRefused
from assistant.wire.sdp import MAX_SDP_BYTES, fragment_username, parse_offer
from tests.rounds import rounds
from tests.wire.offers import CHROMIUM


def refusal(text: str) -> str:
    with pytest.raises(EventRefused) as caught:
        parse_offer(text)
    assert caught.value.code == "invalid_sdp"
    return caught.value.message


def without(line: str) -> str:
    return re.sub(rf"a={line}.*\r\n", "", CHROMIUM)


def test_a_browsers_offer_is_understood() -> None:
    offer = parse_offer(CHROMIUM)
    audio = offer.audio()
    assert audio is not None
    assert (audio.payload_type, audio.name, audio.clock_hz) == (111, "opus", 48_000)
    assert [codec.payload_type for codec in offer.video()] == [96, 103]
    assert offer.video()[0].feedback >= {"nack", "nack pli", "goog-remb"}
    assert offer.has_channel
    assert (offer.username, offer.password) == ("Vk5c", "hkzBVW1VHTHrhmvNTRJDKOqR")
    assert offer.fingerprints[0][0] == "sha-256"
    assert offer.answered_setup == "active"
    assert (offer.sctp_port, offer.max_message_bytes) == (5000, 262_144)


def test_lines_may_end_without_a_carriage_return() -> None:
    assert parse_offer(CHROMIUM.replace("\r\n", "\n")) == parse_offer(CHROMIUM)


def test_attributes_of_the_session_hold_for_its_sections() -> None:
    moved = ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
    text = CHROMIUM
    lines = []
    for name in moved:
        found = re.search(rf"a={name}:.*\r\n", text)
        assert found is not None
        lines.append(found[0])
        text = re.sub(rf"a={name}:.*\r\n", "", text)
    text = text.replace("t=0 0\r\n", "t=0 0\r\n" + "".join(lines))
    assert parse_offer(text) == parse_offer(CHROMIUM)


def test_the_peer_that_waits_is_met_by_one_that_begins_and_the_other_way_round() -> None:
    passive = parse_offer(CHROMIUM.replace("setup:actpass", "setup:passive"))
    active = parse_offer(CHROMIUM.replace("setup:actpass", "setup:active"))
    assert (passive.answered_setup, active.answered_setup) == ("active", "passive")


def bundle_only(text: str) -> str:
    """Return an offer of a client that counts on its bundle (``max-bundle``)."""
    head, audio, *others = re.split(r"(?=^m=)", text, flags=re.MULTILINE)
    guests = []
    for other in others:
        kept = re.sub(r"a=(ice-|fingerprint|setup|rtcp-mux).*\r\n", "", other)
        kept = re.sub(r"^(m=\w+) 9 ", r"\1 0 ", kept)
        guests.append(kept + "a=bundle-only\r\n")
    return head + audio + "".join(guests)


def test_sections_that_are_only_there_in_the_bundle_are_answered() -> None:
    assert parse_offer(bundle_only(CHROMIUM)) == parse_offer(CHROMIUM)
    outside = parse_offer(bundle_only(CHROMIUM).replace("BUNDLE 0 1 2", "BUNDLE 0 2"))
    assert outside.video() == []
    assert outside.has_channel


def test_without_a_bundle_one_section_is_answered() -> None:
    offer = parse_offer(without("group:"))
    assert [section.is_open for section in offer.sections] == [True, False, False]


def test_a_section_that_is_switched_off_or_has_a_port_for_rtcp_stays_closed() -> None:
    offer = parse_offer(CHROMIUM.replace("m=video 9", "m=video 0"))
    assert offer.video() == []
    text = CHROMIUM.replace("a=sendonly\r\na=rtcp-mux\r\n", "a=sendonly\r\n")
    assert parse_offer(text).video() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0",
        "hello",
        "v=0\r\nnonsense\r\n",
        "v=1\r\n" + CHROMIUM,
        "v=0\r\nm=audio\r\n",
        without("ice-ufrag"),
        without("ice-pwd"),
        without("fingerprint"),
        without("setup"),
        CHROMIUM.replace("sha-256", "sha-1"),
        CHROMIUM.replace("sctp-port:5000", "sctp-port:99999"),
        CHROMIUM.replace("t=0 0", "t=0 0\r\na=ice-lite"),
        CHROMIUM.replace("a=mid:1", "a=mid:a b"),
        CHROMIUM + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 20,
        "v=0\r\n" + "m=text 9 RTP/AVP 0\r\n",
    ],
)
def test_what_cannot_be_answered_is_refused(text: str) -> None:
    refusal(text)


def test_an_offer_without_any_codec_of_ours_is_refused() -> None:
    text = CHROMIUM[: CHROMIUM.index("m=video")].replace("opus", "opera")
    assert "no Opus" in refusal(text.replace("BUNDLE 0 1 2", "BUNDLE 0"))


def test_a_long_offer_is_refused_before_it_is_read() -> None:
    assert str(MAX_SDP_BYTES) in refusal(CHROMIUM + "a=x\r\n" * MAX_SDP_BYTES)


@rounds(150, 3000)
def test_mutations_are_answered_or_refused_and_nothing_else(rounds: int) -> None:
    dice = random.Random(7)
    codes = []
    for _ in range(rounds):
        text = list(CHROMIUM)
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(text))
            text[at : at + dice.randint(0, 9)] = dice.choice(
                ["", "\r\n", "m=", "a=", ":", " ", "²", "\0", "99999999999", chr(at)]
            )
        try:
            parse_offer("".join(text))
        except EventRefused as refused:
            codes.append(refused.code)
    assert rounds / 30 < len(codes) < rounds * 0.97
    assert set(codes) == {"invalid_sdp"}


@pytest.mark.parametrize(
    "text",
    ["", "a=ice-ufrag:!", "a=ice-ufrag:abcd\r\na=ice-ufrag:efgh", "a=mid:0", "x" * 70_000],
)
def test_a_fragment_names_one_agent_or_is_refused(text: str) -> None:
    with pytest.raises(EventRefused):
        fragment_username(text)
    assert fragment_username("a=ice-ufrag:abcd\r\na=ice-pwd:x\r\na=mid:0") == "abcd"
