from assistant.cli.doctor_network import examine_webrtc
from assistant.config import Config, RtcConfig, ServerConfig

HERE = ("127.0.0.1",)


def test_it_says_where_media_comes_in() -> None:
    assert examine_webrtc(Config(), HERE) == ("ok", "any UDP port on 127.0.0.1")
    rtc = RtcConfig(min_port=4000, max_port=4100, announced_address="198.51.100.7")
    status, detail = examine_webrtc(Config(rtc=rtc), HERE)
    assert (status, detail) == ("ok", "UDP 4000 to 4100 on 198.51.100.7, 127.0.0.1")


def test_switched_off_is_no_fault() -> None:
    status, detail = examine_webrtc(Config(rtc=RtcConfig(enabled=False)), HERE)
    assert status == "ok"
    assert "WebSockets" in detail


def test_a_machine_without_a_network_is_told() -> None:
    assert examine_webrtc(Config(), [])[0] == "warn"
    status, detail = examine_webrtc(Config(), ["192.0.2.1"])
    assert (status, "no UDP port" in detail) == ("warn", True)


def test_too_few_ports_a_missing_secret_and_a_missing_address_are_told() -> None:
    rtc = RtcConfig(min_port=4000, max_port=4003, turn_urls=("turn:t.example",))
    config = Config(rtc=rtc, server=ServerConfig(host="0.0.0.0"))
    status, detail = examine_webrtc(config, HERE, secret="")
    assert status == "warn"
    assert "4 ports" in detail
    assert "ASSISTANT_TURN_SECRET" in detail
    assert "rtc.announced_address" in detail
