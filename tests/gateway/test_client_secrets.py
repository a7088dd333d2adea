import pytest

from assistant.gateway.client_secrets import PREFIX, ClientSecrets
from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

PATCH = SessionPatch(instructions="Be short.")


def test_a_secret_stands_for_its_settings_until_it_expires() -> None:
    secrets = ClientSecrets(10)
    value, secret = secrets.issue(PATCH, 60, now=1000.5)
    assert value.startswith(PREFIX)
    assert secret.expires_at == 1060
    for now in (1000.5, 1059.9):  # as often as is wanted
        assert secrets.find(value, now) is secret
    assert secrets.find(value, 1060) is None


def test_what_was_not_issued_stands_for_nothing() -> None:
    secrets = ClientSecrets(10)
    value, _ = secrets.issue(PATCH, 60, now=0)
    for key in (None, "", PREFIX, value[:-1], value.upper(), value.removeprefix(PREFIX)):
        assert secrets.find(key, 0) is None


def test_no_two_are_alike() -> None:
    secrets = ClientSecrets(100)
    assert len({secrets.issue(PATCH, 60, now=0)[0] for _ in range(100)}) == 100


def test_there_are_only_so_many_and_expired_ones_do_not_count() -> None:
    secrets = ClientSecrets(2)
    first, _ = secrets.issue(PATCH, 60, now=0)
    secrets.issue(PATCH, 120, now=0)
    with pytest.raises(EventRefused, match="2 client secrets") as caught:
        secrets.issue(PATCH, 60, now=59)
    assert caught.value.code == "rate_limit_exceeded"
    third, _ = secrets.issue(PATCH, 60, now=60)
    assert secrets.find(third, 60) is not None
    assert secrets.find(first, 60) is None


def test_the_values_themselves_are_not_kept() -> None:
    secrets = ClientSecrets(2)
    value, _ = secrets.issue(PATCH, 60, now=0)
    assert value not in repr(vars(secrets))
