"""The composition root: what is wired, and how a bad start ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

import app as composition
from api.context import context
from event_log.memory_store import MemoryStore
from settings import BadSetting, Settings
from settings import main as check_settings
from tests.servers import CHECKOUT, START_SECONDS, reserve_port, until

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a person who has set nothing but where the log stands."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    return inherited | {"TIDEMARK_LOG_URL": f"file:{tmp_path / 'log'}", "HOST": "127.0.0.1"}


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Runs a command that ends by itself."""

    def run(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=CHECKOUT,
            env=environment | settings,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_settings_reach_the_service() -> None:
    settings = Settings(log_url="memory:", max_series=3)
    app = composition.create_app(settings)
    assert context(app).settings is settings
    assert context(app).service.settings is settings
    assert isinstance(context(app).service.store, MemoryStore)


def test_a_store_and_a_clock_can_be_given() -> None:
    store = MemoryStore()
    service = context(composition.create_app(Settings(), clock=lambda: 7, store=store)).service
    assert service.store is store
    assert service.clock() == 7


def test_importing_runs_nothing(run: Run) -> None:
    script = "import sys, app; print([name for name in sys.modules if name.startswith('event_log.files')])"
    assert run("-c", script, TIDEMARK_WINDOW="not a window").stdout == "[]\n"


def test_app_is_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_LOG_URL", "memory:")
    composition._app.cache_clear()
    made = composition.app
    assert isinstance(made, Flask)
    assert composition.app is made
    composition._app.cache_clear()
    with pytest.raises(AttributeError, match="application"):
        composition.application


def test_a_bad_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_MAX_BATCH", "many")
    with pytest.raises(BadSetting, match="TIDEMARK_MAX_BATCH='many'"):
        composition.create_app()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"TIDEMARK_WINDOW": "2h", "TIDEMARK_RETENTION": "1h"}, "longer than TIDEMARK_RETENTION"),
        ({"TIDEMARK_LOG_URL": "mongodb://x"}, "TIDEMARK_LOG_URL='mongodb://x'"),
        ({"PORT": "65536"}, "PORT='65536'"),
    ],
)
def test_a_bad_setting_stops_the_development_server_with_one_line(
    settings: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        composition.main()
    assert stop.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("tidemark: ")
    assert says in line


def test_a_bad_setting_stops_gunicorn_for_good(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"  # without gunicorn.conf.py, which refuses bad settings before any worker starts
    empty.touch()
    ended = run("-m", "gunicorn", "-c", str(empty), "-b", "127.0.0.1:0", "app:app", TIDEMARK_WINDOW="yesterday")
    assert ended.returncode == 4
    assert "tidemark: TIDEMARK_WINDOW='yesterday'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_busy_port_stops_the_start_with_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run("-m", "gunicorn", "app:app", PORT=port)
        monkeypatch.setenv("HOST", "127.0.0.1")
        monkeypatch.setenv("PORT", port)
        with pytest.raises(SystemExit) as stop:
            composition.main()
    assert ended.returncode == stop.value.code == 1
    [line] = [line for line in ended.stderr.splitlines() if '"Starting gunicorn' not in line]
    for told in (line, *capsys.readouterr().err.splitlines()):
        assert told.startswith(f"tidemark: port {port} is already in use; ")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"WEB_CONCURRENCY": "x"}, "WEB_CONCURRENCY='x': write a number of workers from 1 to 1000"),
        ({"WEB_CONCURRENCY": ""}, "WEB_CONCURRENCY='': write a number"),
        ({"PORT": "http"}, "PORT='http'"),
        ({"TIDEMARK_SYNC": "maybe"}, "TIDEMARK_SYNC='maybe'"),
    ],
)
def test_a_bad_setting_is_told_before_gunicorn_is_started(
    settings: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_settings()
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        check_settings()
    assert stop.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tidemark: {says}")


@pytest.fixture
def development_server(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`python app.py` and its URL."""
    with reserve_port() as reservation:
        port = reservation.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=CHECKOUT,
            env=environment | {"PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may have it ignored
        )
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def test_python_app_py_serves_and_keeps(development_server: tuple[subprocess.Popen[bytes], str]) -> None:
    process, url = development_server

    def ready() -> bool:
        try:
            return requests.get(f"{url}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    until(ready, "the development server", START_SECONDS)
    assert requests.post(f"{url}/events", json={"values": [1, 2, 3]}, timeout=60).status_code == 201
    assert requests.get(f"{url}/statistics", timeout=60).json() == {"count": 3, "min": 1.0, "max": 3.0, "mean": 2.0}
    process.send_signal(signal.SIGINT)
    process.wait(300)


def test_a_log_that_cannot_be_opened_stops_the_development_server_with_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run("app.py", TIDEMARK_LOG_URL=f"file:{tmp_path / 'file' / 'log'}", PORT="0")
    assert ended.returncode == 2
    created, line = ended.stderr.splitlines()
    assert '"created"' in created
    assert line.startswith("tidemark: the log at ")
