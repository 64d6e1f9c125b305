from __future__ import annotations

import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from simulator.demo import CannotStart, Server, address, main
from tests.servers import reserve_port, until
from tests.simulator.fakes import CLOSED_PORT
from tests.simulator.processes import Program

STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


@pytest.fixture
def port() -> Iterator[int]:
    with reserve_port() as reservation:
        yield reservation.getsockname()[1]


@pytest.fixture
def env(port: int, tmp_path: Path) -> dict[str, str]:
    return {"HOST": "127.0.0.1", "PORT": str(port), "TIDEMARK_LOG_URL": f"file:{tmp_path / 'log'}"}


def children(program: Program) -> list[psutil.Process]:
    return psutil.Process(program.process.pid).children(recursive=True)


def test_a_demo_shows_a_dashboard_and_ends_cleanly(env: dict[str, str], port: int) -> None:
    with Program("simulator.demo", env=env) as demo:
        assert f"Dashboard: http://127.0.0.1:{port}/" in demo.read_until("Dashboard")
        demo.read_until("ITEM_")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            assert answer.status == 200
        servers = children(demo)
        code, said = demo.end(signal.SIGINT)
    assert code == 0
    assert "errors    none" in said
    assert "Traceback" not in said
    assert servers
    assert not any(server.is_running() for server in servers)


def test_options_go_to_the_simulator(env: dict[str, str]) -> None:
    with Program("simulator.demo", "--rate 0 --count 20 -q", env) as demo:
        code, said = demo.end()
    assert code == 0, said
    assert "events    20 accepted" in said


def test_an_interrupt_at_the_start_leaves_nothing_behind(env: dict[str, str]) -> None:
    with Program("simulator.demo", env=env) as demo:
        servers = until(lambda: children(demo), "the server's process")
        code, said = demo.end(signal.SIGTERM)
    assert (code, "Summary" in said) == (0, False)
    assert not any(server.is_running() for server in servers)


def test_a_server_that_dies_ends_the_demo(env: dict[str, str]) -> None:
    with Program("simulator.demo", "-v", env) as demo:
        demo.read_until("201")
        [master] = psutil.Process(demo.process.pid).children()
        os.killpg(master.pid, signal.SIGKILL)
        code, said = demo.end()
    assert code == 1
    assert "demo: the server ended by itself; it said why above" in said


def test_a_server_that_cannot_start_ends_the_demo(env: dict[str, str]) -> None:
    with Program("simulator.demo", env=env | {"TIDEMARK_WINDOW": "soon"}) as demo:
        code, said = demo.end()
    assert code == 1
    assert "TIDEMARK_WINDOW='soon'" in said
    assert "demo: the server ended with status" in said


@pytest.mark.parametrize("workers", ["x", ""])
def test_a_wrong_number_of_workers_is_named(
    workers: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    assert main([]) == 1
    assert capsys.readouterr().err == f"demo: WEB_CONCURRENCY={workers!r}: write a number of workers from 1 to 1000\n"


def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("HOST", "127.0.0.1")
        monkeypatch.setenv("PORT", str(port))
        assert main([]) == 1
    message = (
        f"demo: port {port} is already in use; end what runs there, or choose another: PORT={port + 1} make demo\n"
    )
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1"])
def test_a_port_that_is_none(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(CannotStart, match=f"PORT='{port}' is not a port; write a number from 1 to 65535"):
        address()


def test_a_server_that_is_never_ready() -> None:
    url = f"http://127.0.0.1:{CLOSED_PORT}"
    command = (sys.executable, "-c", "import signal; signal.pause()")
    with (
        pytest.raises(CannotStart, match="the server was not ready within 0 s"),
        Server(lambda: False, command) as server,
    ):
        server.wait_until_ready(url, lambda: True, seconds=0)
    assert not server.running()


def test_a_server_that_ignores_the_end_is_killed_once_asked_again(capfd: pytest.CaptureFixture[str]) -> None:
    with Server(lambda: True, (sys.executable, "-c", STUBBORN)) as server:
        until(lambda: "deaf" in capfd.readouterr().out, "the process to ignore SIGTERM")
        assert server.running()
    assert not server.running()
