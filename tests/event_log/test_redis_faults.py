"""Faults between the log and Redis: a clear line each, and recovery without a restart."""

from __future__ import annotations

import re
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from event_log import codec
from event_log.errors import LogDamaged, LogError, LogFull, LogUnavailable, LogUncertain
from event_log.log import Log
from event_log.port import Guard, Manifest, Record
from event_log.redis import appending, connection, pool
from event_log.redis.session import Session
from event_log.redis.store import RedisStore
from event_log.redis.url import RedisUrl, parse_redis_url
from event_log.rules import Rules
from event_log.writes import Budget, Conditions, Once
from tests.event_log.conftest import PATIENT_SECONDS
from tests.event_log.projection import Projection
from tests.event_log.stores import WALL
from tests.event_log.test_redis_store import some
from tests.redis_server import RedisServer
from tests.servers import CHECKOUT, reserve_port, until
from times import HOUR, MINUTE

RULES = Rules(10 * 365 * 24 * HOUR, 1000, HOUR, MINUTE, 100, 3)
Open = Callable[..., RedisStore]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with RedisServer(aof="always") as server:  # what is synced every second a slow disk may lose when it is killed
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """Empty, and without what another test has set."""
    if shared_server.process.poll() is not None:
        shared_server.start()
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture
def open_store() -> Iterator[Open]:
    stores: list[RedisStore] = []

    def open_store(url: str, max_bytes: int = 2**30) -> RedisStore:
        stores.append(RedisStore(parse_redis_url(url), max_bytes=max_bytes))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def log(server: RedisServer, open_store: Open) -> Log:
    log = Log(open_store(server.url()))
    log.claim(RULES, "start")
    log.append_one("a", WALL, 0.0)
    return log


def values(log: Log) -> list[float]:
    """Return the values of the series `a` as a fresh host reads them."""
    store = RedisStore(log.store.url, max_bytes=2**30) if isinstance(log.store, RedisStore) else log.store
    projection = Projection(Log(store))
    projection.follow()
    store.close()
    return sorted(value for _, _, value in projection.live()["a"])


def works(log: Log, value: float = 7.0) -> bool:
    """Return whether it takes an event."""
    try:
        log.append_one("a", WALL, value)
    except LogUnavailable:
        return False
    return True


def fill(log: Log, events: int) -> None:
    for number in range(events):
        log.append_one("a", WALL + number, number / 7)


@contextmanager
def configured(server: RedisServer, **options: str) -> Iterator[None]:
    """Redis with other settings for a while."""
    with server.client() as client:
        before = {name: client.config_get(name)[name] for name in options}
        for name, value in options.items():
            client.config_set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                client.config_set(name, value)


def test_redis_down_at_the_start_and_there_later(server: RedisServer, open_store: Open) -> None:
    server.kill()
    store = open_store(server.url())
    for call in (store.check, store.end, store.manifest, store.notice, store.time, lambda: Log(store)):
        with pytest.raises(LogUnavailable, match=r"Redis at 127\.0\.0\.1:\d+ cannot be reached: .*refused"):
            call()
    server.start()
    log = Log(store)
    log.claim(RULES, "start")
    assert works(log)


def test_redis_that_ends_and_comes_back(log: Log, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "UNCERTAIN", 0.1)
    server.kill()
    with pytest.raises(LogUnavailable):
        log.append_one("a", WALL, 1.0)
    with pytest.raises(LogUnavailable):
        log.catch_up()
    server.start()
    log.catch_up()
    assert works(log, 2.0)
    assert values(log) == [0.0, 2.0]


def stall(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halt Redis until somebody opens another connection to look for what it has not answered."""

    def go_on(url: RedisUrl) -> Session:
        server.process.send_signal(signal.SIGCONT)
        monkeypatch.setattr(connection, "PATIENCE", PATIENT_SECONDS)
        return Session(url)

    monkeypatch.setattr(pool, "Session", go_on)
    server.process.send_signal(signal.SIGSTOP)


def test_a_stalled_write_is_found_and_not_stored_twice(
    impatient: None, log: Log, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(server, monkeypatch)
    assert log.append_one("a", WALL, 2.0).position == 2
    assert values(log) == [0.0, 2.0]


def test_an_answer_that_stays_unknown_is_uncertain(
    impatient: None, log: Log, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "UNCERTAIN", 1.5)
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(LogUncertain, match="may have been stored"):
            log.append_one("a", WALL, 2.0)
        with pytest.raises(LogUnavailable, match="does not answer"):
            log.catch_up()
    finally:
        server.process.send_signal(signal.SIGCONT)
    until(lambda: works(log, 3.0), "Redis to answer")
    assert values(log) in ([0.0, 3.0], [0.0, 2.0, 3.0])


def test_a_wrong_password(server: RedisServer, open_store: Open) -> None:
    with server.client() as client:
        client.acl_setuser("writer", enabled=True, passwords=["+se:cret/1"], keys=["*"], commands=["+@all"])
        client.acl_setuser("reader", enabled=True, passwords=["+secret2"], keys=["*"], commands=["+@read", "+info"])
    at = f"127.0.0.1:{server.port}/0"
    right = Log(open_store(f"redis://writer:se%3Acret%2F1@{at}"))
    right.claim(RULES, "start")
    assert right.append(some(1)).stored == 1
    with pytest.raises(LogUnavailable, match="refuses this user or password; correct TIDEMARK_LOG_URL") as fault:
        open_store(f"redis://writer:s3kr1t@{at}").check()
    assert "s3kr1t" not in str(fault.value)
    with pytest.raises(LogUnavailable, match="does not permit what the log needs"):
        open_store(f"redis://reader:secret2@{at}").check()
    with configured(server, requirepass="other"), pytest.raises(LogUnavailable, match="wants a password"):
        open_store(server.url()).check()


def test_a_replica_takes_no_writes_and_answers_nothing(log: Log, server: RedisServer, open_store: Open) -> None:
    """Another one may have taken over, and know more."""
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            calls = log.store.check, log.store.end, log.catch_up, lambda: log.append_one("a", WALL, 2.0)
            for call in (*calls, open_store(server.url()).check):
                with pytest.raises(LogUnavailable, match="is a replica and takes no writes"):
                    call()
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert works(log, 3.0)
    assert values(log) == [0.0, 3.0]


def test_redis_out_of_memory_can_be_read_and_takes_what_makes_room(log: Log, server: RedisServer) -> None:
    for number in range(1, 100):
        log.append_one("a", WALL + number, float(number))
    store = log.store
    with configured(server, maxmemory="1"):
        for call in (store.check, lambda: log.append_one("a", WALL, 1.0)):
            with pytest.raises(LogFull, match="is out of memory"):
                call()
        assert len(values(log)) == 100
        log.catch_up()
        assert log.raise_horizon(store.time())
        assert log.end_series(1) is not None
        assert store.swap(Manifest(1, log.machine.cursor))
        store.sync()
    assert log.append_one("b", store.time(), 1.0).stored == 1


def test_a_redis_that_cannot_save(log: Log, server: RedisServer) -> None:
    (server.directory / "dump").mkdir(exist_ok=True)
    with configured(server, dbfilename="dump", save="3600 1"), server.client() as client:
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "a failed save")
        for call in (lambda: log.append_one("a", WALL, 1.0), log.store.check):
            with pytest.raises(LogUnavailable, match="cannot save to its disk"):
                call()
        assert values(log) == [0.0]  # over new connections too
        client.config_set("dbfilename", "dump.rdb")
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "a save")
    assert works(log)


def test_another_programs_keys(server: RedisServer, open_store: Open) -> None:
    with server.client() as client:
        client.set("{text}:log:head", "something else")
        client.hset("{hash}:log:head", "something", "else")
    for name in ("text", "hash"):
        store = open_store(server.url(f"name={name}"))
        calls = lambda: Log(store), store.end, store.check  # noqa: B023  called at once
        for call in (*calls, lambda: store.append(Record(codec.WRITE, b"", 1), Guard(1))):  # noqa: B023
            with pytest.raises(LogDamaged, match=r"keys of another program .* choose another with \?name="):
                call()
    with server.client() as client:
        assert client.hgetall("{hash}:log:head") == {b"something": b"else"}


@pytest.mark.parametrize("former", ["tidemark log 1", "tidemark log 2"])
def test_a_log_of_a_former_format_is_left_alone(former: str, server: RedisServer, open_store: Open) -> None:
    with server.client() as client:
        client.hset("{tidemark}:head", "format", former)
        for call in (open_store(server.url()).check, lambda: Log(open_store(server.url()))):
            with pytest.raises(LogDamaged, match=f"holds '{former}', .* another log with .name="):
                call()
        assert client.keys() == [b"{tidemark}:head"]


def test_a_log_of_a_later_format_is_left_alone(log: Log, server: RedisServer, open_store: Open) -> None:
    with server.client() as client:
        client.hset("{tidemark}:log:head", "mark", "5 and more")
        calls = log.store.check, log.catch_up, lambda: log.append_one("a", WALL, 1.0)
        for call in (*calls, lambda: Log(open_store(server.url()))):
            with pytest.raises(LogDamaged, match="holds 'tidemark log 5', not 'tidemark log 4'"):
                call()
        assert client.hget("{tidemark}:log:head", "mark") == b"5 and more"


@contextmanager
def cluster_node() -> Iterator[RedisServer]:
    """A node of a Cluster, which speaks to the others on a port that nobody else has."""
    with reserve_port() as bus:
        port = str(bus.getsockname()[1])
        with RedisServer("--cluster-enabled", "yes", "--cluster-port", port, aof=None) as node:
            yield node


def test_a_cluster_that_does_not_hold_the_keys(open_store: Open) -> None:
    with cluster_node() as node, node.client() as client:
        store = open_store(node.url())
        with pytest.raises(LogUnavailable, match="is a Cluster that is down"):
            Log(store)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")), "a whole cluster")
        log = Log(store)
        log.claim(RULES, "start")  # a cluster of one node will do
        log.append_one("a", WALL, 1.0)
        slot = client.execute_command("CLUSTER", "KEYSLOT", "{tidemark}")
        own = client.execute_command("CLUSTER", "MYID").decode()
        with cluster_node() as other, other.client() as second:
            [bus] = other.options[-1:]
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
            theirs = second.execute_command("CLUSTER", "MYID").decode()
            until(lambda: theirs in str(client.execute_command("CLUSTER", "NODES")), "the nodes to meet")
            client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", theirs)
            until(lambda: own in str(second.execute_command("CLUSTER", "NODES")), "the nodes to meet")
            client.flushall()
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", theirs)
            with pytest.raises(LogUnavailable, match="is a node of a Cluster that does not hold these keys"):
                log.append_one("a", WALL, 1.0)


def test_scripts_that_redis_has_forgotten_are_loaded_again(log: Log, server: RedisServer) -> None:
    with server.client() as client:
        client.script_flush()
        assert log.append_one("a", WALL, 2.0).position == 2
        client.script_flush()
    log.store.check()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("redis_version:6.2.14\r\nrole:master\r\n", r"is version 6\.2\.14; the log needs Redis 7\.0 or newer"),
        ("redis_version:7.0.15\r\nloading:1\r\n", "is still loading its data"),
    ],
)
def test_a_redis_that_is_too_old_or_still_loading(info: str, said: str, open_store: Open) -> None:
    with answering(info) as port, pytest.raises(LogUnavailable, match=said):
        open_store(f"redis://127.0.0.1:{port}").check()


@contextmanager
def answering(info: str) -> Iterator[int]:
    """Something that says so to whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while asked := connection.recv(4096):
                for word in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)", asked):
                    connection.sendall(f"${len(info)}\r\n{info}\r\n".encode() if word == b"INFO" else b":1\r\n")

    thread = Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()
    listener.close()


def test_our_own_limit(server: RedisServer, open_store: Open) -> None:
    store = open_store(server.url(), max_bytes=200_000)
    log = Log(store)
    log.claim(RULES, "start")
    store.check()
    with configured(server, appendfsync="no"), pytest.raises(LogFull, match="raise TIDEMARK_LOG_MAX_BYTES"):
        fill(log, 10_000)
    with pytest.raises(LogFull):
        store.check()
    used = store.usage()
    assert 190_000 < used.bytes_used <= used.bytes_allowed == 200_000


def test_what_is_counted_is_about_what_redis_takes(log: Log, server: RedisServer) -> None:
    with server.client() as client, configured(server, appendfsync="no"):
        fill(log, 3_000)
        taken = client.memory_usage("{tidemark}:log:stream", samples=0)
    assert 0.8 < log.store.usage().bytes_used / taken < 1.2
    assert taken / 3_000 <= 50


def test_no_error_tells_a_secret(open_store: Open) -> None:
    url = "redis+sentinel://user:s3kr1t@127.0.0.1:1,127.0.0.1:2/main?sentinel_password=s3kr2t"
    store = open_store(url)
    with pytest.raises(LogError) as fault:
        store.check()
    assert "s3kr" not in f"{fault.value} {fault.value!r} {store.url} {store.url!r} {fault.value.__cause__!r}"
    assert "127.0.0.1:1" in str(fault.value)


def test_a_user_with_the_rights_that_the_documents_name(
    impatient: None, server: RedisServer, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = re.search(r"ACL SETUSER (\S+) (.*)", (CHECKOUT / "docs" / "several-machines.md").read_text())
    assert rules is not None
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", rules[1], "reset", *rules[2].split())
    store = open_store(f"redis://{rules[1]}:password@127.0.0.1:{server.port}/0?wait=0")
    log = Log(store)
    log.claim(RULES, "start")
    once = Once(secrets.token_bytes(16), b"b" * 16)
    log.append(some(2), Conditions(keep=3, once=once, budget=Budget("x", 1.0, 9)))
    log.append_one("a", WALL, 3.0)
    assert store.may_compact(10)
    assert store.may_compact(10)
    assert store.swap(Manifest(1, log.machine.cursor, blobs=(store.put_blob(b"blob"),)))
    for call in (store.check, store.notice, store.usage, store.sync, store.end):
        call()
    stall(server, monkeypatch)
    log.append_one("a", WALL, 4.0)  # looked for over another connection
    server.restart()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", rules[1], "reset", *rules[2].split())
    assert works(log)


def test_no_command_makes_a_transaction(log: Log, server: RedisServer) -> None:
    with server.client() as client:
        client.config_resetstat()
        log.append(some(2), Conditions(once=Once(secrets.token_bytes(16), b"b" * 16)))
        log.append_one("a", WALL, 3.0)
        log.catch_up()
        calls = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in client.info("commandstats").items()}
    assert not {"multi", "exec", "watch", "eval"} & calls.keys()
    assert calls["evalsha"] == 2
