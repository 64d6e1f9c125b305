"""What can go wrong between the log and Redis: a clear line each, and recovery without a restart."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Thread, Timer

import numpy as np
import pytest

from event_log.base import START, Place, Terms
from event_log.batch import Batch
from event_log.errors import HistoryChanged, LogDamaged, LogError, LogFull, LogUnavailable, LogUncertain
from event_log.redis.url import parse_redis_url
from event_log.redis_log import RedisLog
from event_log.rules import Rules
from event_log.writes import Budget, Once
from tests.event_log.logs import START as NOW
from tests.event_log.logs import batch
from tests.event_log.reader import rows_behind
from tests.redis_server import RedisServer
from tests.servers import CHECKOUT, until

RULES = Rules(10**9, 1000)
Open = Callable[..., RedisLog]


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
def open_log() -> Iterator[Open]:
    logs: list[RedisLog] = []

    def open_log(url: str, max_bytes: int = 2**30) -> RedisLog:
        logs.append(RedisLog(parse_redis_url(url), max_bytes=max_bytes))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


@pytest.fixture
def log(server: RedisServer, open_log: Open) -> RedisLog:
    log = open_log(server.url())
    log.claim(RULES, "start")
    return log


def values(log: RedisLog) -> list[float]:
    return [value for _, (_, _, value) in rows_behind(log)]


def works(log: RedisLog, value: float = 7.0) -> bool:
    """Whether it takes an event."""
    try:
        log.append_one("a", NOW, value)
    except LogUnavailable:
        return False
    return True


@contextmanager
def configured(server: RedisServer, **options: str) -> Iterator[None]:
    """Redis with other settings for a while."""
    with server.client() as client:
        before = {name: client.config_get(name)[name] for name in options}
        for name, value in options.items():
            client.config_set(name, value)
        yield
        for name, value in before.items():
            client.config_set(name, value)


def test_redis_down_at_the_start_and_there_later(server: RedisServer, open_log: Open) -> None:
    server.kill()
    log = open_log(server.url())
    for call in (log.check, log.position, lambda: log.claim(RULES, "start"), lambda: log.read(START)):
        with pytest.raises(LogUnavailable, match=r"Redis at 127\.0\.0\.1:\d+ cannot be reached: .*refused"):
            call()
    server.start()
    log.claim(RULES, "start")
    assert works(log)


def test_redis_killed_and_back(log: RedisLog, server: RedisServer) -> None:
    log.append_one("a", NOW, 1.0)
    server.kill()
    for call in (log.check, lambda: log.append_one("a", NOW, 2.0), lambda: log.read(START), log.position):
        with pytest.raises(LogUnavailable):
            call()
    server.start()
    log.append_one("a", NOW, 3.0)
    log.check()
    assert set(values(log)) >= {1.0, 3.0}


def test_a_write_outlives_a_quick_restart_of_redis(log: RedisLog, server: RedisServer) -> None:
    log.append_one("a", NOW, 1.0)
    server.kill()
    revival = Timer(0.3, server.start)
    revival.start()
    server_dies_in_the_middle = log.append_one("a", NOW, 2.0) if works(log, 1.5) else None
    revival.join()
    assert server_dies_in_the_middle is not None or works(log, 2.0)
    found = values(log)
    assert len(found) == len(set(found))


def test_positions_jump_over_a_restart_and_readers_go_on(log: RedisLog, server: RedisServer) -> None:
    log.append_one("a", NOW, 1.0)
    place = log.read(START).place
    server.restart()
    position = log.append_one("a", NOW, 2.0)
    assert position > 2**32
    events = log.read(place)
    assert (events.positions.tolist(), events.place.position) == ([position], position)
    assert list(log.jumps) == [(1, position - 1)]
    assert log.notice() is None
    with pytest.raises(HistoryChanged):
        log.read(Place(2))  # nobody was ever given that position


def test_a_stalled_write_is_found_and_not_stored_twice(log: RedisLog, server: RedisServer) -> None:
    log.append_one("a", NOW, 1.0)
    server.process.send_signal(signal.SIGSTOP)
    Timer(1.3, server.process.send_signal, [signal.SIGCONT]).start()
    assert log.append_one("a", NOW, 2.0) == 2
    assert values(log) == [1.0, 2.0]


def test_an_answer_that_stays_unknown_is_uncertain(log: RedisLog, server: RedisServer) -> None:
    log.append_one("a", NOW, 1.0)
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(LogUncertain, match="may have been stored"):
            log.append_one("a", NOW, 2.0)
        with pytest.raises(LogUnavailable, match="does not answer"):
            log.read(START)
    finally:
        server.process.send_signal(signal.SIGCONT)
    until(lambda: works(log, 3.0), "Redis to answer")
    assert values(log) in ([1.0, 3.0], [1.0, 2.0, 3.0])


def test_a_connection_given_up_writes_nothing_any_more(log: RedisLog) -> None:
    log.append_one("a", NOW, 1.0)
    name = log._writes.ask(lambda session: [("ECHO", session.name)])[0].decode()
    log._writing._sender._find(name, "1", 0)
    with pytest.raises(LogUnavailable, match="given up"):
        log.append_one("a", NOW, 2.0)
    assert values(log) == [1.0]


def test_a_write_that_may_have_been_cleaned_away_is_uncertain(log: RedisLog) -> None:
    """It is not repeated: where its event is among the kept ones it would be there twice."""
    for i in range(9):
        log.append_one("a", NOW + i, float(i))
    while log.clean(NOW + 4, lambda series: (0, 0), log.position()):
        pass
    with pytest.raises(LogUncertain, match="cleaned meanwhile; what was sent may have been stored"):
        log._writing._sender._find("00000000", "1", 3)
    log.append_one("a", NOW, 9.0)
    assert log._writing._sender._find("00000000", "1", 5) is None
    name, nonce = log._reads.look(("XREVRANGE", b"{tidemark}:stream", "+", "-", "COUNT", 1))[0][0][0].split(b"-")
    assert log._writing._sender._find("00000000", nonce.decode(), 3) == int(name)


def test_a_wrong_password(server: RedisServer, open_log: Open) -> None:
    with server.client() as client:
        client.acl_setuser("writer", enabled=True, passwords=["+se:cret/1"], keys=["*"], commands=["+@all"])
        client.acl_setuser("reader", enabled=True, passwords=["+secret2"], keys=["*"], commands=["+@read", "+info"])
    at = f"127.0.0.1:{server.port}/0"
    right = open_log(f"redis://writer:se%3Acret%2F1@{at}")
    right.claim(RULES, "start")
    assert works(right)
    with pytest.raises(LogUnavailable, match="refuses this user or password; correct TIDEMARK_LOG_URL") as fault:
        open_log(f"redis://writer:s3kr1t@{at}").check()
    assert "s3kr1t" not in str(fault.value)
    with pytest.raises(LogUnavailable, match="does not permit what the log needs"):
        open_log(f"redis://reader:secret2@{at}").check()
    with configured(server, requirepass="other"), pytest.raises(LogUnavailable, match="wants a password"):
        open_log(server.url()).check()


def test_a_replica_takes_no_writes(log: RedisLog, server: RedisServer, open_log: Open) -> None:
    log.append_one("a", NOW, 1.0)
    place = log.read(START).place
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            for one in (log, open_log(server.url())):
                with pytest.raises(LogUnavailable, match="is a replica and takes no writes"):
                    one.check()
                with pytest.raises(LogUnavailable, match="is a replica and takes no writes"):
                    one.append_one("a", NOW, 2.0)
                with pytest.raises(LogUnavailable, match="is a replica and takes no writes"):
                    one.read(place)  # another may have taken over, and know more
                with pytest.raises(LogUnavailable, match="is a replica and takes no writes"):
                    one.position()
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert works(log, 3.0)
    assert values(log) == [1.0, 3.0]


def test_redis_out_of_memory_can_be_read_and_cleaned(log: RedisLog, server: RedisServer) -> None:
    for i in range(100):
        log.append_one("a", NOW + i, float(i))
    place = log.read(START).place
    with configured(server, maxmemory="1"):
        for call in (log.check, lambda: log.append_one("a", NOW, 1.0)):
            with pytest.raises(LogFull, match="is out of memory"):
                call()
        assert len(log.read(START)) == 100
        while log.clean(NOW + 49, lambda series: (2**63 - 1, 0), place.position):
            pass
    assert values(log) == [float(i) for i in range(50, 100)]
    assert works(log)


def test_a_redis_that_cannot_save(log: RedisLog, server: RedisServer) -> None:
    (server.directory / "dump").mkdir(exist_ok=True)
    with configured(server, dbfilename="dump", save="3600 1"), server.client() as client:
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "a failed save")
        with pytest.raises(LogUnavailable, match="cannot save to its disk"):
            log.append_one("a", NOW, 1.0)
        with pytest.raises(LogUnavailable, match="cannot save to its disk"):
            log.check()
        client.config_set("dbfilename", "dump.rdb")
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "a save")
    assert works(log)


def test_another_programs_keys(server: RedisServer, open_log: Open) -> None:
    with server.client() as client:
        client.set("{text}:head", "something else")
        client.hset("{hash}:head", "something", "else")
    for name in ("text", "hash"):
        log = open_log(server.url(f"name={name}"))
        writes = (lambda: log.claim(RULES, "start"), lambda: log.append_one("a", NOW, 1.0))  # noqa: B023
        for call in (*writes, lambda: log.read(START), log.check):  # noqa: B023
            with pytest.raises(LogDamaged, match=r"keys of another program .* choose another with \?name="):
                call()
    with server.client() as client:
        assert client.hgetall("{hash}:head") == {b"something": b"else"}


@pytest.mark.parametrize("found", ["tidemark log 1", "tidemark log 3"])
def test_another_format(found: str, log: RedisLog, server: RedisServer, open_log: Open) -> None:
    log.append_one("a", NOW, 1.0)
    with server.client() as client:
        client.hset("{tidemark}:head", "format", found)
    for call in (lambda: open_log(server.url()).claim(RULES, "other"), lambda: log.read(START), log.check):
        with pytest.raises(LogDamaged, match=f"holds '{found}', not 'tidemark log 2'"):
            call()


def test_a_cluster_that_does_not_hold_the_keys(open_log: Open) -> None:
    with RedisServer("--cluster-enabled", "yes", aof=None) as node, node.client() as client:
        log = open_log(node.url())
        with pytest.raises(LogUnavailable, match="is a Cluster that is down"):
            log.claim(RULES, "start")
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")), "a whole cluster")
        log.claim(RULES, "start")  # a cluster of one node will do
        assert works(log)
        slot = client.execute_command("CLUSTER", "KEYSLOT", "{tidemark}")
        own = client.execute_command("CLUSTER", "MYID").decode()
        with RedisServer("--cluster-enabled", "yes", aof=None) as other, other.client() as second:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
            theirs = second.execute_command("CLUSTER", "MYID").decode()
            until(lambda: theirs in str(client.execute_command("CLUSTER", "NODES")), "the nodes to meet")
            client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", theirs)
            until(lambda: own in str(second.execute_command("CLUSTER", "NODES")), "the nodes to meet")
            client.flushall()
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", theirs)
            with pytest.raises(LogUnavailable, match="is a node of a Cluster that does not hold these keys"):
                log.append_one("a", NOW, 1.0)


def test_scripts_that_redis_has_forgotten_are_loaded_again(log: RedisLog, server: RedisServer) -> None:
    log.append_one("a", NOW, 1.0)
    with server.client() as client:
        client.script_flush()
    assert log.append_one("a", NOW, 2.0) == 2
    log.check()


def test_a_redis_that_is_too_old(open_log: Open) -> None:
    said = r"is version 6\.2\.14; the log needs Redis 7\.0 or newer"
    with answering("redis_version:6.2.14\r\nrole:master\r\n") as port, pytest.raises(LogUnavailable, match=said):
        open_log(f"redis://127.0.0.1:{port}").check()


def test_one_that_is_still_loading(open_log: Open) -> None:
    said = "is still loading its data"
    with answering("redis_version:7.0.15\r\nloading:1\r\n") as port, pytest.raises(LogUnavailable, match=said):
        open_log(f"redis://127.0.0.1:{port}").check()


@contextmanager
def answering(info: str) -> Iterator[int]:
    """Something that says so to whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while asked := connection.recv(4096):
                if b"INFO" in asked:
                    connection.sendall(3 * f"${len(info)}\r\n{info}\r\n".encode())
                else:
                    connection.sendall(b"+OK\r\n" * asked.count(b"*"))

    thread = Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()
    listener.close()


def fill(log: RedisLog, events: int) -> None:
    for i in range(events):
        log.append_one("a", NOW + i, i / 7)


def test_our_own_limit(server: RedisServer, open_log: Open) -> None:
    log = open_log(server.url(), max_bytes=100_000)
    log.claim(RULES, "start")
    log.check()
    with pytest.raises(LogFull, match="raise TIDEMARK_LOG_MAX_BYTES"):
        fill(log, 10_000)
    with pytest.raises(LogFull):
        log.check()
    used = log.usage()
    assert 99_900 < used.bytes_used <= used.bytes_allowed == 100_000
    while log.clean(NOW + 10**6, lambda series: (2**63 - 1, 0), log.position()):
        pass
    assert log.usage().bytes_used < 1000
    log.check()
    assert works(log)


def test_the_room_of_memos_comes_back_with_their_time_and_not_with_the_horizon(log: RedisLog) -> None:
    log.append_one("a", NOW, 1.0)
    horizons = count(NOW - 10**9)

    def used() -> int:
        log.clean(next(horizons), lambda series: (0, 0), log.position())
        return log.usage().bytes_used

    before = used()
    nothing = Batch([], None, NOW, np.empty(0))
    short, long = (Once(bytes([period]), b"body", b"answer", NOW, NOW + period * 10**5) for period in (2, 200))
    log.append(nothing, Terms(once=long))
    with_one = used()
    log.append(nothing, Terms(once=short))
    assert used() == with_one + (with_one - before)
    until(lambda: used() == with_one, "the room of what is forgotten")
    assert log.recall(long.key, NOW) is not None
    assert log.recall(short.key, NOW) is None
    log.append(nothing, Terms(once=short))  # a new one, remembered as long again
    assert log.recall(short.key, NOW) is not None
    until(lambda: used() == with_one, "the room of what is forgotten")


def test_what_is_counted_is_about_what_redis_takes(log: RedisLog, server: RedisServer) -> None:
    with server.client() as client:
        before = client.info("memory")["used_memory_dataset"]
        with configured(server, appendfsync="no"):
            fill(log, 20_000)
        taken = client.info("memory")["used_memory_dataset"] - before
    assert 0.8 < log.usage().bytes_used / taken < 1.2
    assert taken / 20_000 <= 45


def test_flushall_is_noticed_and_positions_do_not_come_again(log: RedisLog, server: RedisServer) -> None:
    for i in range(5):
        log.append_one("a", NOW, float(i))
    place = log.read(START).place
    with server.client() as client:
        client.flushall()
    with pytest.raises(HistoryChanged):
        log.read(place)
    stands = log.read(START).place.position
    assert stands == log.position() > 2**32  # before anybody has written again
    assert "has lost what stood behind position 0" in (log.notice() or "")
    assert log.append_one("a", NOW, 9.0) > stands
    with pytest.raises(HistoryChanged):
        log.read(place)
    assert values(log) == [9.0]
    assert log.read(START).rules == RULES


def test_no_error_tells_a_secret(open_log: Open) -> None:
    url = "redis+sentinel://user:s3kr1t@127.0.0.1:1,127.0.0.1:2/main?sentinel_password=s3kr2t"
    log = open_log(url)
    with pytest.raises(LogError) as fault:
        log.check()
    assert "s3kr" not in f"{fault.value} {fault.value!r} {log.url} {log.url!r} {fault.value.__cause__!r}"
    assert "127.0.0.1:1" in str(fault.value)


def test_a_user_with_the_rights_that_the_documents_name(server: RedisServer, open_log: Open) -> None:
    rules = re.search(r"ACL SETUSER (\S+) (.*)", (CHECKOUT / "docs" / "several-machines.md").read_text())
    assert rules is not None
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", rules[1], "reset", *rules[2].split())
    log = open_log(f"redis://{rules[1]}:password@127.0.0.1:{server.port}/0?wait=0")
    log.claim(RULES, "start")
    memo = Once(b"key", b"body", b"answer", NOW, NOW + 10**6)
    log.append(batch([("a", NOW, 1.0), ("b", NOW, 2.0)]), Terms(keep=3, once=memo, budget=Budget("x", 1.0, 9, NOW)))
    log.append_one("a", NOW, 3.0)
    assert log.recall(b"key", NOW) is not None
    assert values(log) == [1.0, 2.0, 3.0]
    log._writing._sender._find("00000000", "1", 0)
    assert log.end_series(1) == 4
    while log.clean(NOW + 1, lambda series: (0, 0), log.position()):
        pass
    log.check()
    log.usage()
    server.restart()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", rules[1], "reset", *rules[2].split())
    assert works(log)
