import base64
import hashlib
import hmac

from assistant.config import RtcConfig
from assistant.gateway.ice_servers import ice_servers

RTC = RtcConfig(
    stun_urls=("stun:s.example",), turn_urls=("turn:t.example",), turn_credential_s=60
)


def test_credentials_are_those_that_the_turn_server_will_compute() -> None:
    document = ice_servers(RTC, "secret", now=1000.0)
    stun, turn = document["ice_servers"]
    assert stun == {"urls": ["stun:s.example"]}
    assert turn["urls"] == ["turn:t.example"]
    assert turn["username"].startswith("1060:")
    mac = hmac.new(b"secret", turn["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(turn["credential"]) == mac
    assert document["expires_at"] == 1060


def test_no_two_clients_share_a_user_name() -> None:
    names = {ice_servers(RTC, "s", 0.0)["ice_servers"][1]["username"] for _ in range(9)}
    assert len(names) == 9


def test_a_turn_server_without_a_secret_is_named_without_credentials() -> None:
    assert ice_servers(RTC, "")["ice_servers"][1] == {"urls": ["turn:t.example"]}


def test_without_servers_there_are_none() -> None:
    assert ice_servers(RtcConfig(), "secret")["ice_servers"] == []
