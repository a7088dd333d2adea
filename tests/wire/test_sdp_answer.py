import re

from assistant.wire.sdp import parse_offer
from assistant.wire.sdp_answer import Transport, Voice, write_answer
from tests.wire.offers import CHROMIUM

TRANSPORT = Transport(
    username="abcd",
    password="p" * 22,
    fingerprints=[("sha-256", ":".join(["CD"] * 32))],
    candidates=["1 1 udp 2130706431 192.0.2.7 40000 typ host"],
)
VOICE = Voice(ssrc=77, name="voice")


def answer(offer: str = CHROMIUM) -> str:
    return write_answer(parse_offer(offer), TRANSPORT, VOICE)


def section(kind: str, text: str) -> str:
    found = re.search(rf"m={kind} .*?(?=m=|\Z)", text, re.DOTALL)
    assert found is not None
    return found[0]


def test_the_answer_has_the_sections_of_the_offer_in_their_order() -> None:
    text = answer()
    assert re.findall(r"^m=(\w+) (\d+)", text, re.MULTILINE) == [
        ("audio", "9"),
        ("video", "9"),
        ("application", "9"),
    ]
    assert "a=group:BUNDLE 0 1 2\r\n" in text
    assert text.endswith("\r\n")
    assert all(line.endswith("\r") for line in text.split("\n")[:-1])


def test_every_section_says_where_to_come_and_who_is_there() -> None:
    for kind in ("audio", "video", "application"):
        body = section(kind, answer())
        assert "a=ice-ufrag:abcd\r\n" in body
        assert "a=candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host\r\n" in body
        assert "a=end-of-candidates\r\n" in body
        assert "a=setup:active\r\n" in body


def test_speech_is_asked_for_with_redundancy_and_a_voice_is_announced() -> None:
    audio = section("audio", answer())
    assert audio.startswith("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n")
    assert "a=fmtp:111 minptime=10;useinbandfec=1\r\n" in audio
    assert "a=sendrecv\r\n" in audio
    assert "a=ssrc:77 cname:voice\r\n" in audio
    assert "nack" not in audio, "it was not offered"


def test_lost_speech_is_asked_for_again_where_that_was_offered() -> None:
    offered = CHROMIUM.replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 nack")
    assert "a=rtcp-fb:111 nack\r\n" in section("audio", answer(offered))


def test_a_client_that_only_speaks_is_sent_nothing() -> None:
    audio = section("audio", answer(CHROMIUM.replace("a=sendrecv", "a=sendonly")))
    assert "a=recvonly\r\n" in audio
    assert "ssrc" not in audio


def test_the_camera_is_received_as_vp8_or_h264() -> None:
    video = section("video", answer())
    assert video.startswith("m=video 9 UDP/TLS/RTP/SAVPF 96 103\r\n")
    assert "a=recvonly\r\n" in video
    assert "a=rtpmap:96 VP8/90000\r\n" in video
    assert "a=rtcp-fb:96 nack pli\r\n" in video
    assert "packetization-mode=1" in video
    assert "transport-cc" not in video, "we do not give that feedback"


def test_what_is_not_taken_is_declined_and_out_of_the_bundle() -> None:
    offered = CHROMIUM.replace("VP8", "AV1").replace("H264", "H265")
    text = answer(offered)
    assert "m=video 0 " in text
    assert "a=group:BUNDLE 0 2\r\n" in text


def test_the_channel_says_how_much_it_takes() -> None:
    channel = section("application", answer())
    assert "a=sctp-port:5000\r\n" in channel
    assert "a=max-message-size:262144\r\n" in channel
