"""What the network of this machine means for WebRTC, for ``assistant doctor``."""

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from typing import Literal

from aioice.ice import get_host_addresses

from assistant.config import TURN_SECRET_VARIABLE, Config, turn_secret

Status = Literal["ok", "warn", "fail"]


def examine_webrtc(
    config: Config, addresses: Sequence[str] | None = None, secret: str | None = None
) -> tuple[Status, str]:
    """
    Say where media would come in, and what stands in its way.

    Args:
        addresses: Of this machine; looked up by default.
        secret: Shared with the TURN server; from the environment by default.
    """
    rtc = config.rtc
    if not rtc.enabled:
        return "ok", "off (rtc.enabled = false); everybody uses WebSockets"
    if addresses is None:
        addresses = rtc.addresses or get_host_addresses(use_ipv4=True, use_ipv6=True)
    if not addresses:
        return "warn", "this machine has no network address; only itself can call"
    if not any(map(_can_bind, addresses)):
        return "warn", f"no UDP port can be opened on {', '.join(addresses)}"
    secret = turn_secret() if secret is None else secret
    warnings = list(_warnings(config, addresses, secret))
    if warnings:
        return "warn", "; ".join(warnings)
    ports = f"UDP {rtc.min_port} to {rtc.max_port}" if rtc.min_port else "any UDP port"
    known = [rtc.announced_address] if rtc.announced_address else []
    return "ok", f"{ports} on {', '.join([*known, *addresses])}"


def _warnings(config: Config, addresses: Sequence[str], secret: str) -> Iterator[str]:
    rtc = config.rtc
    num_ports = rtc.max_port - rtc.min_port + 1
    if rtc.min_port and num_ports < rtc.max_calls:
        yield (
            f"rtc.min_port to rtc.max_port are {num_ports} ports, "
            f"rtc.max_calls = {rtc.max_calls} calls take one each"
        )
    if rtc.turn_urls and not secret:
        yield f"rtc.turn_urls without {TURN_SECRET_VARIABLE}: clients get no credentials"
    is_open = not _is_loopback(config.server.host)
    if is_open and not rtc.announced_address and all(map(_is_private, addresses)):
        yield (
            "only private addresses: callers from outside need rtc.announced_address, "
            "or a TURN server"
        )


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _is_private(address: str) -> bool:
    return ipaddress.ip_address(address).is_private


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")
