"""Faults of Redis: a host tells each in a clear line, goes on without a restart when it is over, and betrays no
secret of the URL. Each fault is taken back also where its test fails, so that the next one finds a sound Redis."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NamedTuple
from urllib.parse import quote

import pytest
import requests
from redis import Redis, ResponseError

from tests.redis_server import RedisServer
from tests.servers import Server, until

SECRET = "s3kr1t/0f+the?URL"
OTHER = "an0ther"
HEAD = "{tidemark}:log:head"
FORMER = "{tidemark}:head"


class Host(NamedTuple):
    """A host of one worker, and its Redis."""

    server: Server
    redis: RedisServer
    heard: list[requests.Response]
    """All that it has answered."""

    def admin(self, password: str = SECRET) -> Redis:
        return self.redis.client(password=password)

    def get(self, path: str) -> requests.Response:
        self.heard.append(self.server.get(path, timeout=60))
        return self.heard[-1]

    def post(self) -> requests.Response:
        self.heard.append(self.server.post("/events", {"series": "a", "values": [1]}, timeout=60))
        return self.heard[-1]

    def works(self) -> bool:
        """Return whether it takes an event again, and answers."""
        try:
            return self.post().status_code == 201 and self.get("/statistics").status_code == 200
        except requests.RequestException:
            return False


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """In the end, when it has said all that it can be made to say, that is looked through."""
    with RedisServer("--requirepass", SECRET) as redis_server:
        url = redis_server.url().replace("//", f"//:{quote(SECRET, safe='')}@")
        with Server(["-w", "1"], {"TIDEMARK_LOG_URL": url}) as server:
            host = Host(server, redis_server, [])
            yield host
            said = server.output() + "".join(f"{answer.headers} {answer.text}" for answer in host.heard)
    assert "created" in said
    assert "Traceback" not in said
    for secret in (SECRET, quote(SECRET, safe=""), SECRET[:6], OTHER):
        assert secret not in said


@contextmanager
def gone(host: Host) -> Iterator[None]:
    host.redis.kill()
    try:
        yield
    finally:
        host.redis.start()


@contextmanager
def halted(host: Host) -> Iterator[None]:
    host.redis.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        host.redis.process.send_signal(signal.SIGCONT)


@contextmanager
def another_password(host: Host) -> Iterator[None]:
    with host.admin() as client:
        client.config_set("requirepass", OTHER)
        client.client_kill_filter(_type="normal", skipme=True)
    try:
        yield
    finally:
        with host.admin(OTHER) as client:
            client.config_set("requirepass", SECRET)


@contextmanager
def no_password_asked(host: Host) -> Iterator[None]:
    """Redis takes none where it has none."""
    with host.admin() as client:
        client.config_set("requirepass", "")
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            client.config_set("requirepass", SECRET)


@contextmanager
def a_strange_auth(host: Host) -> Iterator[None]:
    """Run a Redis without AUTH: it repeats a command that it does not know, with the password behind it."""
    host.redis.restart("--rename-command", "AUTH", "LOGIN", "--appendonly", "no")
    try:
        yield
    finally:
        host.redis.restart()


@contextmanager
def fewer_rights(host: Host) -> Iterator[None]:
    with host.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "-evalsha")
        try:
            yield
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+evalsha")


@contextmanager
def a_replica(host: Host) -> Iterator[None]:
    with host.admin() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


def configured(name: str, value: str) -> Callable[[Host], AbstractContextManager[None]]:
    """Redis with another setting for a while."""

    @contextmanager
    def configure(host: Host) -> Iterator[None]:
        with host.admin() as client:
            before = client.config_get(name)[name]
            client.config_set(name, value)
            try:
                yield
            finally:
                client.config_set(name, before)

    return configure


@contextmanager
def a_full_disk(host: Host) -> Iterator[None]:
    """Have Redis see a full disk: what it would write to is a directory."""
    (host.redis.directory / "directory").mkdir()
    with configured("save", "3600 1")(host), configured("dbfilename", "directory")(host), host.admin() as client:
        saved(client, "err")
        try:
            yield
        finally:
            client.config_set("dbfilename", "dump.rdb")
            saved(client, "ok")


def saved(client: Redis, status: str) -> None:
    """Have Redis save a snapshot, which ends like this."""

    def ends() -> bool:
        with suppress(ResponseError):  # while one is under way
            client.bgsave()
        return bool(client.info("persistence")["rdb_last_bgsave_status"] == status)

    until(ends, f"a snapshot: {status}")


def keys_of(another: Callable[[Redis], object]) -> Callable[[Host], AbstractContextManager[None]]:
    """Something else where the log was, which comes back."""

    @contextmanager
    def exchange(host: Host) -> Iterator[None]:
        with host.admin() as client, client.pipeline() as at_once:  # else a host may find none, and begin another log
            at_once.rename(HEAD, "aside")
            another(at_once)
            at_once.execute()
            try:
                yield
            finally:
                client.rename("aside", HEAD)

    return exchange


@contextmanager
def an_older_format(host: Host) -> Iterator[None]:
    """A log of release 1.0 in place of this one, which a worker finds when it starts."""
    with host.admin() as client:
        client.rename(HEAD, "aside")
        client.hset(FORMER, "format", "tidemark log 2")
        try:
            replace_workers(host)
            yield
        finally:
            client.delete(FORMER)
            client.rename("aside", HEAD)


def replace_workers(host: Host) -> None:
    for pid in host.server.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: answers(host), "the next worker")


def answers(host: Host) -> bool:
    try:
        return host.get("/health/live").status_code == 200
    except requests.RequestException:
        return False


@contextmanager
def a_cluster(host: Host) -> Iterator[None]:
    host.redis.restart("--cluster-enabled", "yes", "--appendonly", "no")
    try:
        yield
    finally:
        host.redis.restart()


@contextmanager
def a_cluster_with_the_keys_elsewhere(host: Host) -> Iterator[None]:
    """Its other node was there once."""
    nodes = host.redis.directory / "nodes.conf"
    own, other = "1" * 40, "2" * 40
    nodes.write_text(
        f"{own} 127.0.0.1:{host.redis.port}@{host.redis.port - 1000} myself,master - 0 0 1 connected 0-100\n"
        f"{other} 127.0.0.1:1@10001 master - 0 0 2 connected 101-16383\n"
        "vars currentEpoch 2 lastVoteEpoch 0\n"
    )
    host.redis.restart(
        "--cluster-enabled", "yes", "--appendonly", "no", "--cluster-node-timeout", "60000",
        "--cluster-port", str(host.redis.port - 1000), "--cluster-config-file", nodes.name,
    )  # fmt: skip
    try:
        yield
    finally:
        host.redis.restart()


Fault = Callable[[Host], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "gone": (gone, "cannot be reached: "),
    "halted": (halted, "does not answer"),
    "another password": (another_password, "refuses this user or password; correct TIDEMARK_LOG_URL"),
    "a strange AUTH": (a_strange_auth, "refuses: unknown command 'AUTH'"),
    "fewer rights": (fewer_rights, "does not permit what the log needs: .*docs/several-machines.md"),
    "a replica": (a_replica, "is a replica and takes no writes"),
    "out of memory": (configured("maxmemory", "1"), "is out of memory; raise its maxmemory"),
    "too few replicas": (configured("min-replicas-to-write", "1"), "has fewer replicas"),
    "a full disk": (a_full_disk, "cannot save to its disk"),
    "a text": (keys_of(lambda client: client.set(HEAD, "x")), r"another program .* choose another with \?name="),
    "an older format": (an_older_format, "holds 'tidemark log 2', not 'tidemark log 4'"),
    "a cluster": (a_cluster, "is a Cluster that is down"),
    "another node": (a_cluster_with_the_keys_elsewhere, "is a node of a Cluster that does not hold these keys"),
}
READABLE = {"fewer rights", "out of memory", "too few replicas", "a full disk"}
"""Questions are answered meanwhile."""


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_told_and_passes(host: Host, name: str) -> None:
    fault, line = FAULTS[name]
    until(host.works, "the host to work")
    before = host.get("/statistics").json()["count"]
    with fault(host):
        until(lambda: re.search(line, host.get("/health").text), "the host to say what it is")
        assert [host.get(path).status_code for path in ("/health", "/health/ready", "/health/live")] == [503, 503, 200]
        refused = host.post()
        assert refused.status_code == 503
        assert re.search(line, refused.json()["detail"])
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["Content-Type"] == "application/problem+json"
        asked = host.get("/statistics")
        assert asked.status_code == (200 if name in READABLE else 503)
        scraped = host.get("/metrics")
        assert scraped.status_code == 200
        assert f"tidemark_log_up {float(name in READABLE)}" in scraped.text
        if name not in READABLE:
            assert int(asked.headers["Retry-After"]) > 0
            until(lambda: re.search(f'"level":"ERROR".*{line}', host.server.output()), "a line in the log")
    until(host.works, "the host to work again")
    assert until(lambda: host.get("/health").status_code == 200, "the host to be well")
    after = host.get("/statistics").json()["count"]
    assert before < after <= before + sum(answer.request.method == "POST" for answer in host.heard)


def test_a_password_where_redis_has_none_is_told_too(host: Host) -> None:
    with no_password_asked(host):
        assert host.post().status_code in (201, 503)
    until(host.works, "the host to work again")
