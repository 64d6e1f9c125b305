"""An open connection to the Redis that takes writes: found, looked at, and with our scripts loaded."""

from __future__ import annotations

import hashlib
import time
from typing import Any, NamedTuple

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from event_log.errors import LogUnavailable
from event_log.redis.connection import PATIENCE, Command, Connection, Reply, connect, pack
from event_log.redis.faults import unavailable
from event_log.redis.scripts import ALL
from event_log.redis.url import RedisUrl

OLDEST = 7
"""The first version of Redis whose scripts may clean a full one."""
FAR = 0.0003
"""Seconds of a trip, from which on several are made at a time. Near by, fewer and fuller trips spare Redis work."""
PINGS = 5
"""Trips by which the distance is measured."""
ROLE = pack(("HELLO",))
"""Asked with each trip that reads: tells whether this still is the master, and is never refused. (PING is, by a Redis
that cannot save to its disk.)"""
_FACTS: tuple[Command, ...] = (("INFO", "server"), ("INFO", "replication"), ("INFO", "persistence"))


class Client(NamedTuple):
    """A connection as Redis knows it."""

    run: str
    """Id of the process of Redis, another one after each start."""
    id: int


class Session(Connection):
    """Raises LogUnavailable where it cannot be opened."""

    def __init__(self, url: RedisUrl) -> None:
        self._where = str(url)
        self.stamp = ""
        """Stamp of this Redis as a master: another one after each start and each promotion."""
        address = None if url.path is not None else url.hosts[0] if url.master is None else _master(url)
        try:
            super().__init__(connect(url, address))
        except OSError as fault:
            raise unavailable(self._where, fault) from fault
        try:
            *_, number = self.ask(*_greeting(url))
            self.client = Client(self.look(), number)
            self.load()
            self.is_far = min(self._ping() for _ in range(PINGS)) >= FAR
        except (RedisError, OSError) as fault:
            self.close()
            raise unavailable(self._where, fault) from fault
        except BaseException:
            self.close()
            raise

    def ask(self, *commands: Command) -> list[Reply]:
        """Return the answers. Raises the first one that is an error."""
        replies = self.trip(pack(*commands))
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def look(self) -> str:
        """Learn the stamp, which changes while a connection outlives a demotion and a promotion; return what names the
        process. Raises LogUnavailable for a Redis that cannot be used."""
        facts = facts_of(b"\n".join(self.ask(*_FACTS)))
        version = facts.get("redis_version", "0")
        if int(version.partition(".")[0]) < OLDEST:
            needs = f"the log needs Redis {OLDEST}.0 or newer, or Valkey"
            raise LogUnavailable(f"{self._where} is version {version}; {needs}")
        if facts.get("loading") == "1":
            raise LogUnavailable(f"{self._where} is still loading its data")
        if facts.get("role") != "master":
            raise unavailable(self._where, ReadOnlyError("READONLY"))
        both = facts.get("run_id", "") + facts.get("master_replid", "")
        self.stamp = hashlib.sha1(both.encode(), usedforsecurity=False).hexdigest()[:12]
        return facts.get("run_id", "")

    def load(self) -> None:
        """Have Redis know our scripts."""
        self.ask(*[("SCRIPT", "LOAD", script.source) for script in ALL])

    def _ping(self) -> float:
        start = time.perf_counter()
        self.trip(ROLE)
        return time.perf_counter() - start


def not_master(where: str, role: Reply) -> LogUnavailable | None:
    """Return the error for a Redis that has become a replica: it refuses writes, but would answer from behind."""
    if isinstance(role, Exception):
        return unavailable(where, role)
    master = role[role.index(b"role") + 1] == b"master"
    return None if master else unavailable(where, ReadOnlyError("READONLY"))


def facts_of(info: bytes) -> dict[str, str]:
    """Return the fields of an answer to INFO."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _greeting(url: RedisUrl) -> list[Command]:
    """The commands that make a new connection ours; the last one tells its number."""
    commands: list[Command] = [("CLIENT", "SETNAME", "tidemark"), ("CLIENT", "ID")]
    if url.db:
        commands.insert(0, ("SELECT", url.db))
    if url.password is not None:
        login = (url.user, url.password) if url.user is not None else (url.password,)
        commands.insert(0, ("AUTH", *login))
    return commands


def _master(url: RedisUrl) -> tuple[str, int]:
    """Return the address of the master by the sentinels."""
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
