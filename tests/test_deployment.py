"""gunicorn.conf.py, the Makefile and the container files do what they say."""

from __future__ import annotations

import json
import os
import re
import resource
import runpy
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from flask import Flask

from api.context import context
from event_log.redis.session import OLDEST
from event_log.redis.url import parse_redis_url
from settings import VARIABLES
from tests.servers import CHECKOUT, STOP_SECONDS, Server, ServerFailed, reserve_port
from tests.tls import TlsServer, trusted_certificate

Config = dict[str, Any]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without a setting of ours."""
    for name in list(os.environ):
        if name.startswith("TIDEMARK_") or name in ("HOST", "PORT", "WEB_CONCURRENCY"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    """A server as it comes, with one worker."""
    with Server(["-w", "1"]) as server:
        yield server


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """gunicorn's arguments for TLS with a certificate that requests trusts."""
    return trusted_certificate(tmp_path, monkeypatch)


def load_config() -> Config:
    return runpy.run_path(str(CHECKOUT / "gunicorn.conf.py"))


def master(**settings: Any) -> SimpleNamespace:
    """Return as much of gunicorn's Arbiter as the hooks look at."""
    settings = {"address": [], "reuse_port": False, "is_ssl": False} | settings
    return SimpleNamespace(cfg=SimpleNamespace(**settings), master_pid=0, LISTENERS=[])


@pytest.mark.parametrize(
    ("host", "port", "bind"),
    [
        (None, None, "0.0.0.0:5000"),
        ("", "", "0.0.0.0:5000"),
        (None, "8080", "0.0.0.0:8080"),
        ("127.0.0.1", None, "127.0.0.1:5000"),
        ("::", "81", "[::]:81"),
    ],
)
def test_the_address_is_host_and_port(
    environment: pytest.MonkeyPatch, host: str | None, port: str | None, bind: str
) -> None:
    for name, value in (("HOST", host), ("PORT", port)):
        if value is not None:
            environment.setenv(name, value)
    assert load_config()["bind"] == bind


@pytest.mark.parametrize(
    ("settings", "workers"),
    [
        ({}, len(os.sched_getaffinity(0))),
        ({"WEB_CONCURRENCY": "7"}, 7),
        ({"TIDEMARK_LOG_URL": "memory:"}, 1),
        ({"TIDEMARK_LOG_URL": "memory:", "WEB_CONCURRENCY": "3"}, 3),
    ],
)
def test_one_worker_a_core_unless_told_otherwise(
    environment: pytest.MonkeyPatch, settings: dict[str, str], workers: int
) -> None:
    for name, value in settings.items():
        environment.setenv(name, value)
    assert load_config()["workers"] == workers


def test_streams_leave_room_for_requests(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TIDEMARK_MAX_STREAMS", "5000")
    assert load_config()["worker_connections"] > 6000


@pytest.mark.parametrize(("ours", "gunicorns"), [("DEBUG", "info"), ("INFO", "info"), ("warning", "warning")])
def test_the_log_level_is_gunicorns_too(environment: pytest.MonkeyPatch, ours: str, gunicorns: str) -> None:
    environment.setenv("TIDEMARK_LOG_LEVEL", ours)
    assert load_config()["loglevel"] == gunicorns


def test_a_bad_setting_stops_the_start_with_one_line(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("TIDEMARK_MAX_BATCH", "many")
    with pytest.raises(SystemExit) as stop:
        load_config()
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("tidemark: TIDEMARK_MAX_BATCH='many': ")


@pytest.mark.parametrize("workers", ["x", "0", "-1", "1.5", "9999999"])
def test_a_bad_number_of_workers_stops_the_start_with_one_line(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    environment.setenv("WEB_CONCURRENCY", workers)
    with pytest.raises(SystemExit) as stop:
        load_config()
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"tidemark: WEB_CONCURRENCY={workers!r}: ")
    assert err.count("\n") == 1


def test_memory_is_refused_for_more_than_one_worker(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("TIDEMARK_LOG_URL", "memory:")
    with pytest.raises(SystemExit) as stop:
        load_config()["on_starting"](master(workers=2, worker_connections=100))
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 100_000, 4200),
        (1024, 3000, 3000),
        (8000, 8000, 8000),
        (1024, resource.RLIM_INFINITY, 4200),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_needed_and_allowed(
    environment: pytest.MonkeyPatch, soft: int, hard: int, raised: int, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = [(soft, hard)]
    environment.setattr(resource, "getrlimit", lambda kind: limits[-1])
    environment.setattr(resource, "setrlimit", lambda kind, pair: limits.append(pair))
    load_config()["on_starting"](master(workers=2, worker_connections=4000))
    assert limits[-1] == (raised, hard)
    told = capsys.readouterr().err
    assert ("may open 3000 files and needs 4200" in told) == (raised == 3000)
    assert told.count("MAX_STREAMS") == (raised == 3000)


def test_a_worker_tells_its_streams_when_it_stops(environment: pytest.MonkeyPatch, app: Flask) -> None:
    worker = SimpleNamespace(wsgi=app, alive=True, age=2)
    load_config()["post_worker_init"](worker)
    assert not context(app).worker_is_stopping()
    worker.alive = False
    assert context(app).worker_is_stopping()


def test_a_worker_that_died_before_it_had_an_application_ends_quietly(environment: pytest.MonkeyPatch) -> None:
    load_config()["worker_exit"](master(), SimpleNamespace())


def instruction(name: str) -> str:
    """The last Dockerfile instruction of that name, with its continued lines joined."""
    text = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith(name + " ")][-1].removeprefix(name).strip()


def test_the_container_runs_gunicorn_alone_and_unprivileged() -> None:
    assert json.loads(instruction("CMD")) == ["sh", "-c", "python -m settings && exec gunicorn app:app"]
    assert instruction("USER") == "10001"
    assert f"--uid {instruction('USER')} " in instruction("RUN useradd")
    assert instruction("VOLUME") == "/data"
    assert instruction("EXPOSE") == "5000"


def test_the_base_image_has_a_full_version() -> None:
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", instruction("FROM"))


def health_check(port: int, **environment: str) -> int:
    """The exit status of the command that Docker runs, with this Python."""
    command: list[str] = json.loads(instruction("HEALTHCHECK").partition("CMD")[2])
    assert command[0] == "python"
    environment = os.environ | {"PORT": str(port), "http_proxy": "http://127.0.0.1:9"} | environment
    return subprocess.run([sys.executable, *command[1:]], cwd=CHECKOUT, env=environment, check=False).returncode


def test_the_health_check_passes_for_a_server_and_fails_without_one(one: Server) -> None:
    assert health_check(one.port) == 0
    with reserve_port() as nobody:
        assert health_check(nobody.getsockname()[1]) == 1


def test_the_health_check_passes_under_tls_whatever_the_name(tls: list[str]) -> None:
    with TlsServer(["-w", "1", *tls]) as server:
        assert health_check(server.port) == 0
        before = server.output()
        assert health_check(server.port, GUNICORN_CMD_ARGS="--certfile=cert.pem") == 0
        assert server.output() == before


def test_the_health_check_fails_where_something_else_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = threading.Thread(target=answer_nonsense, args=(listener,))
        answer.start()
        assert health_check(listener.getsockname()[1]) == 1
        answer.join()


def answer_nonsense(listener: socket.socket) -> None:
    """Answer two connections with what is no HTTP."""
    for _ in range(2):
        client, _ = listener.accept()
        with client:
            client.recv(1000)
            client.sendall(b"220 smtp.example.com\r\n")


def test_compose_keeps_the_events_in_a_volume() -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    service = compose["services"]["tidemark"]
    volume, _, place = service["volumes"][0].partition(":")
    assert volume in compose["volumes"]
    assert place == instruction("VOLUME")
    assert "TIDEMARK_LOG_URL=file:/data/events" in shlex.split(instruction("ENV"))


@pytest.mark.parametrize(("name", "keys"), [("docker-compose.yml", "./keys"), ("deploy/compose.yml", "../keys")])
def test_compose_bounds_logs_mounts_keys_and_says_who_may_do_what(name: str, keys: str) -> None:
    text = (CHECKOUT / name).read_text()
    services = yaml.safe_load(text)["services"]
    for service in services.values():
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    tidemarks = [service for service in services.values() if service["image"] == "tidemark"]
    assert tidemarks
    assert all(f"{keys}:/keys:ro" in service["volumes"] for service in tidemarks)
    warning = text.partition("    ports:")[0].rpartition("\n    image:")[2]
    assert "without keys everyone who reaches the port may do everything" in warning
    assert "TIDEMARK_KEYS=/keys/keys.toml" in warning


def test_compose_passes_every_setting_on() -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    passed = compose["services"]["tidemark"]["environment"]
    # Where the log stands, the image says.
    assert passed == ["WEB_CONCURRENCY", *(name for name in VARIABLES if name != "TIDEMARK_LOG_URL")]


def test_compose_of_several_hosts_passes_every_setting_on() -> None:
    compose = yaml.safe_load((CHECKOUT / "deploy" / "compose.yml").read_text())
    for host in ("one", "two"):
        passed = compose["services"][host]["environment"]
        assert set(passed) == {"WEB_CONCURRENCY", *VARIABLES}
        assert {name for name, value in passed.items() if value} == {
            "WEB_CONCURRENCY",
            "TIDEMARK_LOG_URL",
            "TIDEMARK_LOG_MAX_BYTES",
        }


def test_compose_of_several_hosts_is_as_the_page_about_them_says() -> None:
    compose = yaml.safe_load((CHECKOUT / "deploy" / "compose.yml").read_text())
    services = compose["services"]
    page = (CHECKOUT / "docs" / "several-machines.md").read_text()
    wanted = dict(line.split(" ", 1) for line in page.split("```\nappendonly")[1].split("```")[0].splitlines()[1:])
    wanted |= {"appendonly": "yes"}
    for name in ("redis", "replica"):
        words = shlex.split(services[name]["command"])
        given = dict(zip((word.removeprefix("--") for word in words), words[1:], strict=False))
        assert {option: given[option] for option in wanted} == wanted
        assert services[name]["volumes"] == [f"{name}:/data"]
        assert name in compose["volumes"]
        assert tuple(map(int, services[name]["image"].removeprefix("redis:").split("."))) >= (OLDEST,)
    assert "--replicaof redis 6379" in services["replica"]["command"]
    log = services["one"]["environment"]
    url = parse_redis_url(log["TIDEMARK_LOG_URL"])
    assert (url.hosts, url.wait) == ((("redis", 6379),), 1)  # as many as there are replicas
    most = int(log["TIDEMARK_LOG_MAX_BYTES"].partition(":-")[2].rstrip("}"))
    assert most <= int(wanted["maxmemory"].removesuffix("gb")) * 2**30 * 2 / 3  # a third is left free above it
    configuration = (CHECKOUT / "deploy" / "nginx.conf").read_text()
    port = instruction("EXPOSE")
    assert re.findall(r"server (\w+):(\d+)", configuration) == [("one", port), ("two", port)]
    assert set(services) == {"nginx", "one", "two", "redis", "replica"}


def test_compose_waits_longer_than_gunicorn_does(environment: pytest.MonkeyPatch) -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    seconds = int(compose["services"]["tidemark"]["stop_grace_period"].removesuffix("s"))
    assert seconds > load_config()["graceful_timeout"]


def test_every_target_is_explained() -> None:
    shown = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "run", "demo", "test", "check", "format", "bench", "wheels", "screenshots", "clean"):
        assert f"make {target} " in shown


def test_make_run_has_the_settings_checked_before_gunicorn_reads_them() -> None:
    shown = subprocess.run(["make", "--dry-run", "run"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert ".venv/bin/python -m settings\nexec .venv/bin/gunicorn app:app\n" in shown.stdout


def test_without_a_fitting_python_make_says_what_to_do(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "rm", "make"):
        (tools / tool).symlink_to(f"/bin/{tool}")
    done = subprocess.run(
        ["make", "install"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Tidemark needs Python 3.11 or newer" in done.stderr


def test_a_log_of_an_older_format_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "settled").write_bytes(b"of release 1.0")
    server = Server(["-w", "2"], {"TIDEMARK_LOG_URL": f"file:{tmp_path}", "TIDEMARK_LOG_LEVEL": "ERROR"})
    with pytest.raises(ServerFailed) as failure, server:
        pass
    assert server.process.returncode == 4
    assert str(failure.value).count(f"tidemark: {tmp_path} holds a log of an older format") == 1
    assert "name another path in TIDEMARK_LOG_URL" in str(failure.value)
    assert "Traceback" not in str(failure.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["settled"]


def test_a_stop_while_workers_are_starting_is_heard_by_all() -> None:
    for_ever = str(10 * round(STOP_SECONDS))  # for whoever has not heard it the master would wait so long
    with Server(["-w", "4", "--preload", "--graceful-timeout", for_ever]) as server:
        assert server.stop() == 0


def test_another_address_on_the_command_line_is_the_one_used(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("TIDEMARK_LOG_URL", f"file:{tmp_path / 'log'}")
    command = [sys.executable, "-m", "gunicorn", "--print-config", "--bind", "127.0.0.1:1234", "app:app"]
    shown = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert "['127.0.0.1:1234']" in shown


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET /statistics/température HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
        (b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_what_the_parser_refuses_is_a_problem_too(request_head: bytes, status: int, one: Server) -> None:
    with socket.create_connection(("127.0.0.1", one.port), 60) as client:
        client.sendall(request_head)
        head, _, body = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == status


def test_no_client_says_where_the_service_is_mounted(one: Server) -> None:
    with Server(["-w", "1", "-k", "gevent"]) as gevent:
        for server in (one, gevent):
            for name in ("SCRIPT_NAME", "Script_Name", "Script-Name", "PATH_INFO"):
                for path, status in (("/statistics", 200), ("/x/statistics", 404)):
                    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
                        client.sendall(
                            f"GET {path} HTTP/1.1\r\nHost: x\r\n{name}: /x\r\nConnection: close\r\n\r\n".encode()
                        )
                        answer = b"".join(iter(lambda: client.recv(4096), b""))
                    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (name, path)


def test_workers_that_serve_nobody_are_refused(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        load_config()["on_starting"](master(workers=0, worker_connections=100))
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("tidemark: 0 workers cannot serve anybody")


def test_where_another_listens_the_start_ends_at_once(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = [("127.0.0.1", other.getsockname()[1])]
        with pytest.raises(SystemExit) as stop:
            load_config()["on_starting"](master(workers=1, worker_connections=100, address=["/a.sock", *address]))
        assert stop.value.code == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"tidemark: port {address[0][1]} is already in use; ")
        # Several may share a port on purpose, and a new master inherits the sockets of the one before.
        load_config()["on_starting"](master(workers=1, worker_connections=100, address=address, reuse_port=True))
        heir = master(workers=1, worker_connections=100, address=address)
        heir.master_pid = 1
        load_config()["on_starting"](heir)


@pytest.mark.parametrize(
    ("names", "tls", "line"),
    [
        ([("0.0.0.0", 5000)], False, "tidemark: dashboard: http://127.0.0.1:5000/\n"),
        (["/a.sock", ("::1", 81, 0, 0)], True, "tidemark: dashboard: https://[::1]:81/\n"),
        (["/a.sock"], False, ""),
    ],
)
def test_a_person_at_a_terminal_is_told_where_the_dashboard_is(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: list[Any], tls: bool, line: str
) -> None:
    environment.setattr(os, "register_at_fork", lambda **hooks: None)
    server = master(is_ssl=tls)
    server.LISTENERS = [SimpleNamespace(getsockname=lambda name=name: name) for name in names]
    load_config()["when_ready"](server)
    assert capsys.readouterr().err == ""
    environment.setattr(sys.stderr, "isatty", lambda: True)
    load_config()["when_ready"](server)
    assert capsys.readouterr().err == line
    environment.setenv("TIDEMARK_LOG_LEVEL", "WARNING")
    load_config()["when_ready"](server)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_bad_port_is_one_line(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str) -> None:
    environment.setenv("PORT", port)
    with pytest.raises(SystemExit) as stop:
        load_config()
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"tidemark: PORT={port!r}: write a port number from 0 to 65535\n"


def test_a_misspelt_setting_is_named(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("TIDEMARK_WINDWO", "1m")
    load_config()["on_starting"](master(workers=1, worker_connections=100))
    assert capsys.readouterr().err.startswith("tidemark: TIDEMARK_WINDWO is no setting")
