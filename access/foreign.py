"""The boundary against foreign pages: requests that a browser makes on behalf of a page which is not ours.

A browser lets any page of the web send requests to any address, with the passwords it knows, and lets a page read the
answers of every address that the page's own name leads to (DNS rebinding). Everything here is made of plain strings,
so that whatever answers requests calls this one function, and may remember what it said of a head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

JSON_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin"))
"""Headers of every JSON answer: a page of another origin can load it neither as a script nor as an image. They do not
hinder a page that CORS_ORIGINS names, as its requests are of the mode `cors`, which this policy leaves alone."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_NOT_FOREIGN = ("same-origin", "none")
"""Values of Sec-Fetch-Site: our own page; what the user typed or opened."""
_AUTHORITY = re.compile(r"(\[[\w:.%]+\]|[\w.-]+)(?::([0-9]*))?", re.ASCII)
"""A host and perhaps a port; `tide_mark` is one too, whatever RFC 952 says."""
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_MAX_HOST_CHARACTERS = 300
_SHOWN_CHARACTERS = 100
_HOSTS_REMEMBERED = 256


class Refusal(NamedTuple):
    """Status and reason of a request that is refused."""

    status: int
    detail: str


_FOREIGN = Refusal(403, "A page of another origin may do this only if CORS_ORIGINS names it.")


class Boundary:
    """Decides which requests are refused because of the page, or the name, that they come by; made once."""

    def __init__(self, allowed_hosts: Iterable[str] = (), cors_origins: Iterable[str] = (), *, keyed: bool) -> None:
        """`keyed` says that access keys are in use: then no name needs to be checked, as a browser knows a password
        for the right name alone, and `*` names no page that the browser sends this password for."""
        self._allowed_hosts = frozenset(allowed_hosts)
        self._origins = frozenset(cors_origins) - {"*"}
        self._any_origin = "*" in cors_origins
        self._keyed = keyed
        self._answers_to = lru_cache(_HOSTS_REMEMBERED)(self._is_our_name)

    def refusal(
        self,
        method: str,
        host: str | None,
        origin: str | None,
        fetch_site: str | None,
        fetch_mode: str | None,
        own_address: str,
        *,
        websocket: bool = False,
        is_health: bool = False,
        password: bool = False,
    ) -> Refusal | None:
        """Return why a request is refused, or None.

        `host`, `origin`, `fetch_site` and `fetch_mode` are the headers as sent, `own_address` is the address of this
        side of the connection ('' where it has none), `password` says that `Authorization: Basic` was sent.
        """
        if host is not None and self.depends_on_address(host) and is_loopback(own_address):
            return _misdirected(host)
        if (origin is None and not fetch_site) or fetch_site in _NOT_FOREIGN:
            return None
        if websocket or method not in _SAFE:
            foreign = bool(fetch_site) or not is_same_origin(origin, host)
        else:  # a preflight (OPTIONS) is answered by the rules of CORS
            foreign = fetch_site == "cross-site" and fetch_mode != "navigate" and method != "OPTIONS" and not is_health
        return _FOREIGN if foreign and not self._is_named(origin, password) else None

    def depends_on_address(self, host: str | None) -> bool:
        """Return whether a request for this host is judged by the connection's own address, which costs a call to the
        kernel; where it is not, '' will do."""
        return not self._keyed and host is not None and not self._is_ours(host)

    def _is_named(self, origin: str | None, password: bool) -> bool:
        return origin in self._origins or (self._any_origin and not (self._keyed and password))

    def _is_ours(self, host: str) -> bool:
        return len(host) <= _MAX_HOST_CHARACTERS and self._answers_to(host)

    def _is_our_name(self, host: str) -> bool:
        found = _AUTHORITY.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().removesuffix(".")
        return name in self._allowed_hosts or f".{name}".endswith(".localhost") or _is_address(name.strip("[]"))


def is_loopback(address: str) -> bool:
    """Return whether an address, as a socket names it, is of this machine alone."""
    return address.startswith(("127.", "::ffff:127.")) or address == "::1"


def is_same_origin(origin: str | None, host: str | None) -> bool:
    """Return whether a page of this origin came from the host that it asks. A proxy may have ended TLS before us, so
    the scheme counts only for the port that goes without saying."""
    scheme, _, authority = (origin or "").partition("://")
    ours = _host_and_port(host or "", scheme)
    return ours is not None and ours == _host_and_port(authority, scheme)


def _host_and_port(authority: str, scheme: str) -> tuple[str, str | None] | None:
    found = _AUTHORITY.fullmatch(authority)
    return found and (found[1].lower(), found[2] or _DEFAULT_PORTS.get(scheme))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _misdirected(host: str) -> Refusal:
    return Refusal(
        421,
        f"This service is not known as {host[:_SHOWN_CHARACTERS]!r}: without access keys it answers on the loopback "
        "only to localhost, to addresses and to the names in TIDEMARK_ALLOWED_HOSTS.",
    )
