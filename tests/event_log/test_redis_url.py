"""LOG_URL for Redis: each form, what is refused, and that no secret of it is shown."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.redis.store import RedisStore
from event_log.redis.url import RedisUrl, parse_redis_url
from event_log.urls import checked_url, is_on_this_machine, open_store, printable_url, serves_many_processes
from settings import BadSetting, read_settings
from tests.event_log.projection import Projection
from tests.redis_server import RedisServer
from tests.servers import CHECKOUT, reserve_port
from tests.tls import certificate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://host", RedisUrl((("host", 6379),))),
        ("redis://host:1/2?name=n&wait=1", RedisUrl((("host", 1),), db=2, name="n", wait=1)),
        ("redis://u:p%40ss@[::1]:7/0", RedisUrl((("::1", 7),), user="u", password="p@ss")),
        ("redis://:p:a/b@host", RedisUrl((("host", 6379),), password="p:a/b")),
        ("rediss://host", RedisUrl((("host", 6379),), tls={})),
        ("rediss://host?ca=/etc/ca.pem", RedisUrl((("host", 6379),), tls={"ssl_ca_certs": "/etc/ca.pem"})),
        ("unix:///run/redis.sock?db=3", RedisUrl((), path="/run/redis.sock", db=3)),
        ("redis+unix://u:p@/run/redis.sock", RedisUrl((), path="/run/redis.sock", user="u", password="p")),
        (
            "redis+sentinel://a,b:1,c/mymaster",
            RedisUrl((("a", 26379), ("b", 1), ("c", 26379)), master="mymaster"),
        ),
        (
            "redis+sentinel://u:p@a/m/4?sentinel_user=su&sentinel_password=sp&wait=2",
            RedisUrl(
                (("a", 26379),),
                master="m",
                db=4,
                wait=2,
                user="u",
                password="p",
                sentinel_user="su",
                sentinel_password="sp",
            ),
        ),
    ],
)
def test_each_form(text: str, expected: RedisUrl) -> None:
    assert parse_redis_url(text) == expected
    assert checked_url(text) == text
    assert serves_many_processes(text)
    assert not is_on_this_machine(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("redis://", "write a URL such as redis://"),
        ("redis:host", "write memory: or file:"),
        ("redis://:p@", "write a URL such as redis://"),
        ("redis://one,two", "only redis.sentinel:// takes several hosts"),
        ("redis://host:port", "written host:6379"),
        ("redis://host:99999", "written host:6379"),
        ("redis://host/main", "db is a whole number"),
        ("redis://host?name=a b", "a name has 1 to 64 letters"),
        ("redis://host?wait=-1", "wait is a whole number from 0 to 100"),
        ("redis://host?nmae=x", "'nmae' is no option of it; there are .*name"),
        ("redis://u:s3k?r1t@host", "special characters of a user or password"),
        ("redis://u:s3k?r1=t@host", "special characters of a user or password"),
        ("redis://host?name", "options are written name=tidemark&wait=1"),
        ("redis+sentinel://a,b", "name the master behind the hosts"),
        ("unix://redis.sock", "the absolute path of a socket"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as fault:
        checked_url(text)
    assert "s3k" not in str(fault.value)
    assert "r1" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://u:s3kr1t@host/0?name=n", "redis://***@host/0?name=n"),
        ("redis:/u:s3kr1t@host", "redis://***@host"),
        (
            "redis+sentinel://:s3kr1t@a,b/m?sentinel_password=s3kr1t&wait=1",
            "redis+sentinel://***@a,b/m?sentinel_password=***&wait=1",
        ),
        ("rediss://s3k@r1t@host", "rediss://***@host"),
        ("redis://u:s3k?r1t@host", "redis://***@host"),
        ("redis://u:s3k?r1=t#/@host/0?name=n", "redis://***@host/0?name=n"),
        ("redis+sentinel://a/m?sentinel_password=s3k@r1t", "redis+sentinel://a/m?sentinel_password=***"),
        ("redis://host?Password=s3kr1t", "redis://host?Password=***"),
        ("file:/var/lib/tide@mark", "file:/var/lib/tide@mark"),
        ("memory:", "memory:"),
    ],
)
def test_no_secret_is_shown(text: str, shown: str) -> None:
    assert printable_url(text) == shown


def test_a_bad_url_is_refused_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_LOG_URL", "redis://u:s3kr1t@one,two")
    with pytest.raises(BadSetting, match="takes several hosts") as fault:
        read_settings()
    assert "s3kr1t" not in str(fault.value)


def test_a_log_by_tcp_and_by_socket_is_the_same() -> None:
    with RedisServer() as server:
        tcp = open_store(server.url("name=x"), max_bytes=2**30, sync="everysec")
        socket = open_store(f"unix://{server.socket}?name=x", max_bytes=2**30, sync="everysec")
        assert Log(tcp).append_one("a", 1, 1.0).position == 1
        assert Log(socket).append_one("a", 1, 2.0).position == 2
        told = Projection(Log(socket))
        told.follow()
        assert told.live() == {"a": [(1, 1, 1.0), (1, 2, 2.0)]}
        tcp.close()
        socket.close()


def test_a_log_over_tls(tmp_path: Path) -> None:
    certificate(tmp_path)
    with reserve_port() as reservation:
        port = reservation.getsockname()[1]
        files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem"]
        options = [*files, "--tls-port", str(port), "--tls-auth-clients", "no"]
        with RedisServer(aof=None) as probe:
            for name in ("cert.pem", "key.pem"):
                shutil.copy(tmp_path / name, probe.directory)
            probe.restart(*options)
            store = RedisStore(parse_redis_url(f"rediss://localhost:{port}?ca={tmp_path}/cert.pem"), max_bytes=2**20)
            assert Log(store).append_one("a", 1, 1.0).position == 1
            store.close()
            for host, ca in (("localhost", ""), ("127.0.0.1", f"?ca={tmp_path}/cert.pem")):  # unknown; another's
                doubtful = RedisStore(parse_redis_url(f"rediss://{host}:{port}{ca}"), max_bytes=2**20)
                with pytest.raises(LogUnavailable, match=r"cannot be reached: .*certificate verify failed"):
                    doubtful.check()
                doubtful.close()


@pytest.mark.parametrize("url", ["memory:", "file:log"])
def test_other_logs_need_no_redis(url: str, tmp_path: Path) -> None:
    code = f"import sys, app; from settings import Settings; app.create_app(Settings(log_url={url!r}))"
    told = "print(sorted({'redis', 'hiredis'} & sys.modules.keys()))"
    command = [sys.executable, "-c", f"import os, sys; sys.path.insert(0, {str(CHECKOUT)!r}); {code}; {told}"]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout == "[]\n"
