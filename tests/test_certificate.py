"""Self-signed certificates: made once, usable, never with a readable key."""

import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from assistant.certificate import reachable_hosts, self_signed
from assistant.errors import ConfigError

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")

HOSTS = ("localhost", "127.0.0.1", "::1")


def test_a_client_that_trusts_the_certificate_can_connect(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, HOSTS)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(certificate))
    shake_hands(client, server, "localhost")
    shake_hands(client, server, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, server, "elsewhere.example")


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """Run a TLS handshake in memory; raises what the client raises."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(down, up, server_hostname=host),
        server.wrap_bio(up, down, server_side=True),
    )
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ends[0].getpeercert()


def test_the_key_is_for_its_owner_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "tls", HOSTS)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted((tmp_path / "tls").iterdir()) == sorted([certificate, key])


def test_the_same_hosts_get_the_same_certificate_and_others_another(tmp_path: Path) -> None:
    first = self_signed(tmp_path, HOSTS)
    made = first[0].read_bytes()
    assert self_signed(tmp_path, HOSTS) == first
    assert first[0].read_bytes() == made
    assert self_signed(tmp_path, ("localhost",)) != first


def test_an_expired_certificate_is_replaced(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, HOSTS)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-key", str(key), "-days", "1"),
            *("-subj", "/CN=localhost", "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    ends_tomorrow = certificate.read_bytes()
    self_signed(tmp_path, HOSTS)
    assert certificate.read_bytes() != ends_tomorrow


def test_a_host_that_would_add_names_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot make a certificate"):
        self_signed(tmp_path, ("localhost,DNS:bank.example",))


def test_a_missing_program_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="apt-get install openssl"):
        self_signed(tmp_path, HOSTS)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot keep a certificate in"):
        self_signed(tmp_path / "file", HOSTS)


def test_reachable_hosts_start_with_this_machine_and_name_each_once() -> None:
    hosts = reachable_hosts("127.0.0.1")
    assert hosts[:3] == HOSTS
    assert len(set(hosts)) == len(hosts)
    assert "kiosk.example" in reachable_hosts("kiosk.example")
    assert "0.0.0.0" not in reachable_hosts("0.0.0.0")
