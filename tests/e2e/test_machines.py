"""Several machines: two hosts behind the nginx that deploy/ ships, on one Redis."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
import requests
import websocket

from tests.nginx import nginx
from tests.redis_server import RedisServer
from tests.servers import Server, until
from tests.streaming.sse import Stream

pytestmark = pytest.mark.no_cover
KEY = {"Idempotency-Key": "once"}


class Machines(NamedTuple):
    """Two hosts of one worker each behind nginx."""

    hosts: list[Server]
    url: str
    """That of nginx."""


@pytest.fixture(scope="module")
def system() -> Iterator[Machines]:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        env = {"TIDEMARK_LOG_URL": redis.url(), "TIDEMARK_KEEP_LAST": "10000000"}
        hosts = [stack.enter_context(Server(["-w", "1"], env)) for _ in range(2)]
        yield Machines(hosts, stack.enter_context(nginx([host.port for host in hosts])))


def test_a_host_sees_what_another_has_acknowledged(system: Machines) -> None:
    one, two = system.hosts
    for number in range(20):
        writer, reader = (one, two) if number % 2 else (two, one)
        written = writer.post("/event", {"series": "across", "timestamp": now(), "value": number})
        assert written.status_code == 201
        answer = reader.get("/statistics/across?include=last")
        assert (answer.json()["count"], answer.json()["last"]["value"]) == (number + 1, number)
        assert int(answer.headers["Log-Position"]) >= int(written.headers["Log-Position"])


def test_streams_and_websockets_through_nginx(system: Machines) -> None:
    one, two = system.hosts
    one.post("/event", {"series": "live", "timestamp": now(), "value": 0})
    socket = websocket.create_connection(system.url.replace("http", "ws") + "/ws/live", timeout=60)
    with requests.get(f"{system.url}/series/live/stream", stream=True, timeout=60) as stream:
        two.post("/event", {"series": "live", "timestamp": now(), "value": 7})
        told = json.loads(next(line for line in stream.iter_lines() if line.startswith(b"data:"))[5:])
    assert told["value"] == 7
    assert json.loads(socket.recv())["value"] == 7
    socket.close()


def test_a_stream_goes_on_at_another_host_where_its_own_has_died(system: Machines) -> None:
    one, two = system.hosts
    for value in range(6):
        assert two.post("/events", {"series": "moving", "values": [value]}).status_code == 201
    with Stream(f"{one.url}/series/moving/stream", 0) as stream:
        seen = stream.take(3)
        one.kill()
    assert two.post("/events", {"series": "moving", "values": [6]}).status_code == 201
    with Stream(f"{system.url}/series/moving/stream", int(seen[-1].id or 0)) as stream:
        seen += stream.take(4)
    one.start()
    assert [(message.event, message.json.get("value")) for message in seen] == [("event", v) for v in range(7)]


def test_with_wait_a_copy_is_acknowledged_and_a_write_without_one_counts_once() -> None:
    with RedisServer() as redis, RedisServer("--replicaof", "127.0.0.1", str(redis.port)) as replica:
        with redis.client() as client:
            until(lambda: "'online'" in str(client.info("replication")), "the replica to be a copy")
        with Server(["-w", "1"], {"TIDEMARK_LOG_URL": redis.url("wait=1")}) as host:
            assert host.post("/event", {"timestamp": now(), "value": 1}).status_code == 201
            replica.process.send_signal(signal.SIGSTOP)
            refused = [host.post("/events", {"values": [2]}, headers=header) for header in ({}, KEY)]
            for answer in refused:
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
                assert "may have been: " in answer.json()["detail"]
                assert "has 0 replicas up to date, not 1" in answer.json()["detail"]
            assert host.get("/statistics").json()["count"] == 3  # each once
            replica.process.send_signal(signal.SIGCONT)
            again = host.post("/events", {"values": [2]}, headers=KEY)
            assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
            assert host.get("/statistics").json()["count"] == 3


def test_a_host_waits_for_redis_and_says_so_in_a_line_without_its_secret() -> None:
    with RedisServer("--requirepass", "s3kr1t") as redis:
        redis.kill()
        host = Server(["-w", "1"], {"TIDEMARK_LOG_URL": redis.url().replace("//", "//:s3kr1t@")})
        said: list[requests.Response] = []

        def come() -> None:
            until(lambda: host.port, "the host to have a port")
            said.extend(until(lambda: answers_if_any(host, "/health/ready"), "an answer"))
            said.append(host.post("/event", {"timestamp": now(), "value": 1}))
            redis.start()

        thread = threading.Thread(target=come)
        thread.start()
        with host:  # until it is ready
            thread.join()
            assert [answer.status_code for answer in said] == [503, 503]
            assert "cannot be reached" in said[1].json()["detail"]
            assert int(said[1].headers["Retry-After"]) > 0
            assert host.post("/event", {"timestamp": now(), "value": 1}).status_code == 201
            output = host.output()
        assert output.count("cannot be reached") == 1
        assert "s3kr1t" not in output
        assert all("s3kr1t" not in answer.text for answer in said)


def answers_if_any(host: Server, path: str) -> list[requests.Response]:
    try:
        return [host.get(path)]
    except requests.ConnectionError:
        return []


def now() -> str:
    return datetime.now(UTC).isoformat()
