"""
A self-signed certificate, for trying the microphone and camera from another device.

Browsers give both only to pages from https or from localhost. The certificate is made by
the ``openssl`` program instead of a Python package: Debian's and Ubuntu's
``ca-certificates``, without which nothing there speaks https, depends on it.
"""

import hashlib
import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from assistant.errors import ConfigError

VALID_DAYS = 365
_RENEW_BEFORE_S = 7 * 86_400
_TIMEOUT_S = 30.0


def self_signed(directory: Path, hosts: Sequence[str]) -> tuple[Path, Path]:
    """
    Return (certificate, key) files for ``hosts``, made at the first call.

    Later calls for the same hosts return the same files until a week before they expire,
    so that a browser which was told to trust the certificate keeps doing so.

    Args:
        directory: Where the files are kept; made if missing.
        hosts: Names and addresses that the certificate is for; the first is its subject.

    Raises:
        ConfigError: There is no ``openssl`` program, it failed, or nothing can be written.
    """
    assert hosts
    program = shutil.which("openssl")
    if program is None:
        raise ConfigError(
            "server.tls = 'self-signed' needs the openssl program: apt-get install openssl"
        )
    stem = hashlib.sha256("\n".join(hosts).encode()).hexdigest()[:16]
    certificate, key = directory / f"{stem}.crt", directory / f"{stem}.key"
    if key.is_file() and certificate.is_file() and _is_fresh(program, certificate):
        return certificate, key
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            new_certificate, new_key = Path(scratch, "crt"), Path(scratch, "key")
            _make(program, new_certificate, new_key, hosts)
            new_key.chmod(0o600)
            os.replace(new_key, key)
            os.replace(new_certificate, certificate)
    except OSError as error:
        raise ConfigError(f"cannot keep a certificate in {directory}: {error}") from error
    return certificate, key


def reachable_hosts(bound: str) -> tuple[str, ...]:
    """
    Return the names and addresses under which this machine may be opened.

    Args:
        bound: The address the service listens on; a wildcard adds this machine's own.
    """
    hosts = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    if bound in ("0.0.0.0", "::", ""):
        hosts.extend(_outward_addresses())
    else:
        hosts.append(bound)
    return tuple(dict.fromkeys(host for host in hosts if _subject_name(host)))


def _outward_addresses() -> Iterable[str]:
    """Yield the address that packets to the outside would carry, if there is a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a UDP socket only looks the route up; no packet leaves. The
            # address is from RFC 5737, so it is nobody's.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return
        yield str(probe.getsockname()[0])


def _is_fresh(program: str, certificate: Path) -> bool:
    check = [program, "x509", "-noout", "-checkend", str(_RENEW_BEFORE_S), "-in"]
    return _run([*check, str(certificate)]).returncode == 0


def _make(program: str, certificate: Path, key: Path, hosts: Sequence[str]) -> None:
    names = [_subject_name(host) for host in hosts]
    if not all(names):
        raise ConfigError(f"cannot make a certificate for {', '.join(hosts)}")
    result = _run(
        [
            *(program, "req", "-x509", "-nodes", "-days", str(VALID_DAYS)),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", str(key), "-out", str(certificate)),
            *("-subj", f"/CN={hosts[0]}", "-addext", f"subjectAltName={','.join(names)}"),
        ]
    )
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"openssl could not make a certificate: {reason}")


def _subject_name(host: str) -> str:
    """Return ``host`` as openssl writes alternative names; empty if it cannot be one."""
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        # Commas and line feeds would start another name or section.
        is_name = host.isascii() and host.replace("-", "").replace(".", "").isalnum()
        return f"DNS:{host}" if is_name else ""


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"openssl did not answer within {_TIMEOUT_S:.0f} s") from error
