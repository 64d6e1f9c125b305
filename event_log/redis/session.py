"""One connection to the Redis that takes writes: found, opened, looked at, and with our scripts loaded."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from event_log.errors import LogUnavailable
from event_log.redis.faults import OLDEST, code_of, too_old, unavailable
from event_log.redis.scripts import ALL, Script
from event_log.redis.url import RedisUrl

PATIENCE = 1.0
"""Seconds after which an answer counts as lost, and the connection with it."""
FAR = 0.0003
"""Seconds of a trip. Near by, fewer and fuller trips spare Redis work, and the worker too."""
PINGS = 5
"""So many tell how far away it is."""
Command = tuple[bytes | str | int, ...]
ROLE: Command = ("HELLO",)
"""Asked with each trip for reads: tells whether this still is the master, and is never refused."""
Reply = Any
"""As Redis sent it, or the error it sent."""


class Packed(NamedTuple):
    """Commands as they are sent; may be sent again."""

    data: bytes
    answers: int


def pack(commands: Iterable[Command]) -> Packed:
    """What to send for these commands."""
    packed = [pack_command(command) for command in commands]  # type: ignore[arg-type]
    return Packed(b"".join(packed), len(packed))


def call(script: Script, keys: Sequence[bytes], *arguments: bytes | str | int) -> Command:
    """The command that runs a script."""
    return (b"EVALSHA", script.sha, len(keys), *keys, *arguments)


class Session:
    """An open connection. Not to be shared by threads."""

    def __init__(self, url: RedisUrl, scripts: Sequence[Script] = ALL) -> None:
        self.name = secrets.token_hex(4)
        """Of this connection, by which it can be fenced off."""
        self.stamp = ""
        """Of the history that this Redis gives positions in: another one after each start and each promotion."""
        self.far = False
        """Whether a trip takes so long that the time is better spent with others under way."""
        self._scripts = scripts
        self._connection = _connection(url)
        try:
            self._connection.connect()
            self._look(str(url))
            self._load()
            self.far = min(self._ping() for _ in range(PINGS)) >= FAR
        except (RedisError, OSError) as fault:
            self.close()
            raise unavailable(str(url), fault) from fault
        except BaseException:
            self.close()
            raise

    def trip(self, commands: Iterable[Command]) -> Iterable[Reply]:
        """Send these commands at once; then each answer, as it comes. Raises RedisError when the connection broke."""
        return self.send(pack(commands))

    def send(self, packed: Packed) -> Iterable[Reply]:
        """The same for commands that have been packed."""
        self._connection.send_packed_command([packed.data], check_health=False)
        for _ in range(packed.answers):
            try:
                yield self._connection.read_response(disable_decoding=True)
            except RedisError as fault:
                if not code_of(fault):
                    raise
                yield fault

    def close(self) -> None:
        """Let go of it, whatever state it is in."""
        self._connection.disconnect()

    def _look(self, where: str) -> None:
        """What kind of Redis this is. Raises LogUnavailable for one that cannot be used."""
        facts: dict[str, str] = {}
        for reply in self.trip([("INFO", "server"), ("INFO", "replication"), ("INFO", "persistence")]):
            if isinstance(reply, Exception):
                raise reply
            facts |= facts_of(reply)
        version = facts.get("redis_version", "0")
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise too_old(where, version)
        if facts.get("loading") == "1":
            raise LogUnavailable(f"{where} is still loading its data")
        if facts.get("role") != "master":
            raise LogUnavailable(f"{where} is a replica and takes no writes; point TIDEMARK_LOG_URL at the master")
        both = facts.get("run_id", "") + facts.get("master_replid", "")
        self.stamp = hashlib.sha1(both.encode(), usedforsecurity=False).hexdigest()[:12]  # as in arrive.lua

    def _load(self) -> None:
        for reply in self.trip([("SCRIPT", "LOAD", script.source) for script in self._scripts]):
            if isinstance(reply, Exception):
                raise reply

    def _ping(self) -> float:
        start = time.perf_counter()
        for _ in self.trip([("PING",)]):
            pass
        return time.perf_counter() - start


def not_master(where: str, role: Reply) -> LogUnavailable | None:
    """What is wrong with a Redis that has become a replica: it refuses writes, but would answer from behind."""
    if isinstance(role, Exception):
        return unavailable(where, role)
    master = role[role.index(b"role") + 1] == b"master"
    return None if master else unavailable(where, ReadOnlyError("READONLY"))


def facts_of(info: bytes) -> dict[str, str]:
    """The answer to INFO."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _connection(url: RedisUrl) -> AbstractConnection:
    common: dict[str, Any] = {
        "db": url.db,
        "username": url.user,
        "password": url.password,
        "protocol": 2,
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "socket_read_size": 1 << 18,
        "client_name": "tidemark",
        "driver_info": None,
    }
    if url.path is not None:
        return UnixDomainSocketConnection(path=url.path, **common)  # type: ignore[abstract]
    host, port = url.hosts[0] if url.master is None else _master(url)
    if url.tls is not None:
        return SSLConnection(host=host, port=port, **url.tls, **common)
    return Connection(host=host, port=port, **common)


def _master(url: RedisUrl) -> tuple[str, int]:
    """Where the sentinels say that the master is."""
    options: dict[str, Any] = {
        "socket_timeout": PATIENCE / 4,
        "retry": Retry(NoBackoff(), 0),  # else redis-py rests for seconds before the next sentinel is asked
        "username": url.sentinel_user,
        "password": url.sentinel_password,
        "ssl": url.tls is not None,
        **(url.tls or {}),
    }
    sentinels = Sentinel(url.hosts, sentinel_kwargs=options)
    try:
        host, port = sentinels.discover_master(url.master)
        return host, int(port)
    except MasterNotFoundError:
        raise LogUnavailable(f"{url}: none of the sentinels knows where it is") from None
    except (RedisConnectionError, OSError) as fault:
        raise unavailable(str(url), fault) from fault
    except RedisError as fault:
        raise LogUnavailable(f"{url}: the sentinels refuse: {fault}") from fault
    finally:
        for sentinel in sentinels.sentinels:
            sentinel.close()
