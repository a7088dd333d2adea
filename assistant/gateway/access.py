"""
Who may connect: keys and browser origins.

Without configured keys anybody may connect (stock clients always send some key, which is
then ignored). A browser page of another origin may not, key or no key, unless its origin
is on the list: a page somebody happens to visit must not reach a service on localhost.
"""

import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers

SUBPROTOCOL = "realtime"
_KEY_PREFIX = "openai-insecure-api-key."


def offered_subprotocols(headers: Headers) -> list[str]:
    """Return what a WebSocket client offers, in its order."""
    offered = ",".join(headers.getlist("sec-websocket-protocol"))
    return [name.strip() for name in offered.split(",") if name.strip()]


def presented_key(headers: Headers) -> str | None:
    """Return the key from the Authorization header or, as browsers must, a subprotocol."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    for name in offered_subprotocols(headers):
        if name.startswith(_KEY_PREFIX):
            return name.removeprefix(_KEY_PREFIX)
    return None


def is_authorised(key: str | None, accepted: Sequence[str]) -> bool:
    """Return whether ``key`` is one of ``accepted``; everyone is when there is none."""
    if not accepted:
        return True
    given = (key or "").encode()
    # Every key is compared, so that the time says nothing about which one came close.
    matches = [hmac.compare_digest(given, known.encode()) for known in accepted]
    return any(matches)


def is_allowed_origin(headers: Headers, allowed: Sequence[str], host: str) -> bool:
    """
    Return whether a browser page of the request's origin may connect.

    Args:
        headers: Of the request; without ``Origin`` it does not come from a page.
        allowed: Further origins, each compared exactly.
        host: The address we listen on. A service on a loopback address is only meant for
            loopback names: another name in ``Host`` is one that an attacker's DNS points
            at us.
    """
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # a bracket without its partner, say
        return False
    if parts.scheme not in ("http", "https") or parts.netloc != headers.get("host"):
        return False
    return not _is_loopback(host) or _is_loopback(parts.hostname or "")


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name, which whoever owns it may point anywhere
        return False
