"""An open connection to the Redis that takes writes: found, looked at, and with our scripts loaded."""

from __future__ import annotations

import hashlib
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from event_log.errors import LogUnavailable
from event_log.redis.connection import PATIENCE, Command, Connection, Packed, Reply, connect, pack
from event_log.redis.faults import code_of, unavailable
from event_log.redis.keys import FORMAT
from event_log.redis.scripts import ALL
from event_log.redis.url import RedisUrl

OLDEST = 7
"""The first version of Redis whose scripts may clean a full one."""
ROLE = pack(("HELLO",))
"""Asked with each trip that reads: tells whether this still is the master, and is never refused. (PING is, by a Redis
that cannot save to its disk.)"""
_FACTS: tuple[Command, ...] = (("INFO", "server"), ("INFO", "replication"), ("INFO", "persistence"))


class Session(Connection):
    """Raises LogUnavailable where it cannot be opened, and OSError where it breaks."""

    def __init__(self, url: RedisUrl) -> None:
        self._where = str(url)
        self.stamp = ""
        """Stamp of this Redis as a master: another one after each start and each promotion."""
        self.run = ""
        """Id of the process of Redis, another one after each start."""
        address = None if url.path is not None else url.hosts[0] if url.master is None else _master(url)
        try:
            super().__init__(connect(url, address))
        except OSError as fault:
            raise unavailable(self._where, fault) from fault
        try:
            *_, self.number = self.ask(*_greeting(url))
            self.look()
            self._load()
        except OSError as fault:
            self.close()
            raise unavailable(self._where, fault) from fault
        except BaseException:
            self.close()
            raise

    def trip(self, packed: Packed) -> list[Reply]:
        """The same, with our scripts loaded where Redis knows them no more. A script comes first."""
        replies = super().trip(packed)
        if isinstance(replies[0], Exception) and code_of(replies[0]) == "NOSCRIPT":
            self._load()
            replies = super().trip(packed)
        return replies

    def ask(self, *commands: Command) -> list[Reply]:
        """Return the answers. Raises LogUnavailable for the first one that is an error."""
        return self._checked(self.trip(pack(*commands)))

    def read(self, packed: Packed) -> list[Reply]:
        """The same for commands that read. Raises LogUnavailable also for a Redis that has become a replica: it refuses
        writes, but would answer from behind."""
        role, *replies = self._checked(self.trip(ROLE + packed))
        self._check_role(role[role.index(b"role") + 1] == b"master")
        return replies

    def look(self) -> None:
        """Learn the stamp, which changes while a connection outlives a demotion and a promotion. Raises LogUnavailable
        for a Redis that cannot be used."""
        facts = facts_of(b"\n".join(self.ask(*_FACTS)))
        version = facts.get("redis_version", "0")
        if int(version.partition(".")[0]) < OLDEST:
            needs = f"the log needs Redis {OLDEST}.0 or newer, or Valkey"
            raise LogUnavailable(f"{self._where} is version {version}; {needs}")
        if facts.get("loading") == "1":
            raise LogUnavailable(f"{self._where} is still loading its data")
        self._check_role(facts.get("role") == "master")
        self.run = facts.get("run_id", "")
        both = self.run + facts.get("master_replid", "")
        self.stamp = hashlib.sha1(both.encode(), usedforsecurity=False).hexdigest()[:12]

    def mark(self, history: int | str = "") -> str:
        """Return what a write is compared with, so that it is one to this master and this history."""
        return f"{FORMAT} {self.stamp} {history}".rstrip()

    def _load(self) -> None:
        self.ask(*[("SCRIPT", "LOAD", script.source) for script in ALL])

    def _check_role(self, is_master: bool) -> None:
        if not is_master:
            raise unavailable(self._where, ReadOnlyError("READONLY"))

    def _checked(self, replies: list[Reply]) -> list[Reply]:
        for reply in replies:
            if isinstance(reply, Exception):
                raise unavailable(self._where, reply)
        return replies


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
