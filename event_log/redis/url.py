"""LOG_URL for Redis: `redis://`, `rediss://`, `redis+unix://`, `unix://` and `redis+sentinel://`, read once.

No secret of it leaves this module but in the arguments for a connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+unix", "redis+sentinel", "rediss+sentinel")
EXAMPLE = "redis://user:password@host:6379/0?name=tidemark&wait=1"
MOST_COPIES = 100
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
OPTIONS = {"name", "wait", "db", "ca", "cert", "key", "sentinel_user", "sentinel_password"}
_PORT = 6379
_SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Address of a log on Redis, and the options of the connection."""

    hosts: tuple[tuple[str, int], ...]
    """Redis itself, or the sentinels that know where it is."""
    master: str | None = None
    """Name of the master at the sentinels; None where there are no sentinels."""
    path: str | None = None
    """Path of the socket; None where it is reached by TCP."""
    db: int = 0
    name: str = "tidemark"
    """Prefix of all keys."""
    wait: int = 0
    """Minimum number of replicas that a write has reached when it is acknowledged."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: dict[str, Any] | None = field(default=None, repr=False)
    sentinel_user: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """For people; without secrets."""
        if self.path is not None:
            return f"Redis at {self.path}"
        hosts = ", ".join(f"{host}:{port}" for host, port in self.hosts)
        return f"Redis at {hosts}" if self.master is None else f"Redis {self.master!r} of the sentinels at {hosts}"


def parse_redis_url(text: str) -> RedisUrl:
    """Parse a URL. Raises ValueError, whose message holds no secret."""
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES or not rest:
        raise ValueError(f"write a URL such as {EXAMPLE}")
    location, _, query = rest.partition("?")
    if "@" in query and "@" not in location and query.partition("=")[0] not in OPTIONS:
        raise ValueError("special characters of a user or password, such as ?, are percent-encoded: %3F")
    options = _options(query)
    login, _, address = location.rpartition("@")
    user, _, password = login.partition(":")
    hosts, _, path = address.partition("/")
    common: dict[str, Any] = {
        "name": _name(options.get("name", "tidemark")),
        "wait": _number("wait", options.get("wait", "0"), MOST_COPIES),
        "user": unquote(user) or None,
        "password": unquote(password) or None,
        "tls": _tls(options) if scheme.startswith("rediss") else None,
    }
    if scheme.endswith("unix"):
        if hosts or not path:
            raise ValueError("write unix:// and the absolute path of a socket, such as unix:///run/redis/redis.sock")
        return RedisUrl((), path=unquote(f"/{path}"), db=_db(options), **common)
    if not hosts:
        raise ValueError(f"write a URL such as {EXAMPLE}")
    sentinel, path = scheme.endswith("+sentinel"), path.strip("/")
    addresses = tuple(_address(host, _SENTINEL_PORT if sentinel else _PORT) for host in hosts.split(","))
    if not sentinel:
        if len(addresses) > 1:
            raise ValueError("only redis+sentinel:// takes several hosts")
        return RedisUrl(addresses, db=_db(options, path), **common)
    master, _, number = path.partition("/")
    if not master:
        raise ValueError("name the master behind the hosts, as in redis+sentinel://host1,host2,host3/mymaster")
    common |= {name: options.get(name) for name in ("sentinel_user", "sentinel_password")}
    return RedisUrl(addresses, master=unquote(master), db=_db(options, number), **common)


def _db(options: dict[str, str], text: str = "") -> int:
    return _number("db", text or options.get("db", "0"), 10**6)


def _address(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, number = parts.hostname, parts.port or port
    except ValueError:
        host = None
    if not host:
        raise ValueError("a host and a port are written host:6379, or [::1]:6379")
    return host, number


def _options(query: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError("behind the ? options are written name=tidemark&wait=1") from None
    unknown = sorted(options.keys() - OPTIONS)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no option of it; there are {', '.join(sorted(OPTIONS))}")
    return options


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name has 1 to 64 letters, digits, dots, dashes and underscores")
    return text


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= most):
        raise ValueError(f"{name} is a whole number from 0 to {most}")
    return int(text)


def _tls(options: dict[str, str]) -> dict[str, Any]:
    """For redis-py; certificates are always verified."""
    files = {"ssl_ca_certs": "ca", "ssl_certfile": "cert", "ssl_keyfile": "key"}
    return {name: options[option] for name, option in files.items() if option in options}
