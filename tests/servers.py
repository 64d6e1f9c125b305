"""Real gunicorn servers for tests: started from this checkout, on a free port, with a log of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil
import requests

from tests.one_worker import session_to

CHECKOUT = Path(__file__).resolve().parent.parent
START_SECONDS = 300.0
STOP_SECONDS = 300.0
POLL_SECONDS = 0.02
OURS = ("TIDEMARK_", "GUNICORN_")
"""Settings of the person running the tests stay out of the servers under test; so do these three."""
THEIRS = ("HOST", "PORT", "WEB_CONCURRENCY")

Answer = TypeVar("Answer")


class ServerFailed(AssertionError):
    """The server did not do what was asked; the message ends with what it printed."""


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The first true value of `condition`, asked again and again; AssertionError names `what` never came."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


def is_ok(url: str) -> bool:
    """Return whether somebody answers there, and with a status below 400."""
    try:
        return requests.get(url, timeout=60).ok
    except requests.ConnectionError:
        return False


def reserve_port() -> socket.socket:
    """A bound socket that does not listen: nobody else is given its port, yet a server may bind it.

    Linux lets a second SO_REUSEADDR socket bind and listen there; elsewhere the port is only free a moment ago.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation


class Server:
    """`gunicorn app:app` with these arguments and settings, ready inside the `with` and gone after it.

    Unless `env` names another, the log is a folder of files that lives as long as this object's `with`,
    so it outlasts `stop`, `kill` and `restart`.
    """

    def __init__(
        self, args: Sequence[str] = (), env: Mapping[str, str] | None = None, application: str = "app:app"
    ) -> None:
        self.args = list(args)
        self.application = application
        self.env = dict(env or {})
        self.port = 0
        self.prefix: Sequence[str] = ()
        """Words before its command, as to run it in a namespace."""
        self._cleanup = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._session: requests.Session | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-")))
            reservation = stack.enter_context(reserve_port())
            self.port = reservation.getsockname()[1]
            if sys.platform != "linux":
                reservation.close()
            stack.callback(self.kill)
            self.start()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._cleanup:
            self.stop(signal.SIGQUIT)  # at once: no test looks any more, so nothing needs to end in peace

    @property
    def url(self) -> str:
        """The URL at which it answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The master process as last started."""
        if self._process is None:
            raise ServerFailed("the server was never started")
        return self._process

    def start(self) -> None:
        """Start it and wait until `/health/ready` says yes."""
        command = [*self.prefix, sys.executable, "-m", "gunicorn", *self.args, self.application]
        with self._printed.open("ab") as printed:
            self._process = subprocess.Popen(
                command, cwd=CHECKOUT, env=self._environment(), stdout=printed, stderr=printed, start_new_session=True
            )
        try:
            until(self._is_ready, "/health/ready to answer 200", START_SECONDS)
        except AssertionError as fault:
            raise ServerFailed(f"{' '.join(command)}: {fault}\n{self.output()}") from None

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, as an operator would, and wait for its exit status; no process of it remains."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"still running {STOP_SECONDS:g} s after {sig.name}\n{self.output()}") from None
        self._end_group()
        return status

    def kill(self) -> None:
        """Kill master and workers with SIGKILL, all at once; nothing when it is not running."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._end_group()

    def restart(self, args: Sequence[str] | None = None) -> None:
        """Stop and start again on the same port and log, with other arguments if given; also after `kill`."""
        self.stop()
        if args is not None:
            self.args = list(args)
        self.start()

    def workers(self) -> list[int]:
        """The pids of its workers that run now."""
        return sorted(process.pid for process in self._group() if process.pid != self.process.pid)

    def wait_for_workers(self, count: int) -> list[int]:
        """The pids of its workers once there are exactly `count`."""

        def complete() -> list[int]:
            pids = self.workers()
            return pids if len(pids) == count else []

        workers: list[int] = until(complete, f"{count} workers", START_SECONDS)
        return workers

    def ask_each_worker(self, ask: Callable[[], Answer]) -> list[Answer]:
        """Return what `ask` returns for each worker in turn, while `get` and `post` of this object reach it alone."""
        return [self._ask(pid, ask) for pid in self.workers()]

    def _ask(self, pid: int, ask: Callable[[], Answer]) -> Answer:
        with session_to(pid, self.workers, until) as session:
            self._session = session
            try:
                return ask()
            finally:
                self._session = None

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET over a connection of its own, so any worker may answer, save within `ask_each_worker`."""
        return (self._session or requests).get(self.url + path, **{"timeout": 60, **options})

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        """POST over a connection of its own, so any worker may answer, save within `ask_each_worker`."""
        return (self._session or requests).post(self.url + path, json=json, **{"timeout": 60, **options})

    def output(self) -> str:
        """Return what it has printed so far, over all starts."""
        return self._printed.read_text(errors="replace")

    @property
    def _printed(self) -> Path:
        return self.directory / "printed"

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(OURS) and name not in THEIRS
        }
        own = {
            # Tests share a machine that may be slow; being refused for want of time is what none but its own are about.
            "TIDEMARK_MAX_WAIT": "0",
            "HOST": "127.0.0.1",
            "TIDEMARK_ALLOWED_HOSTS": "x",  # the Host of requests that tests write by hand
            "PORT": str(self.port),
            "TIDEMARK_LOG_URL": f"file:{self.directory / 'log'}",
        }
        return inherited | own | self.env

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with status {self.process.returncode}")
        try:
            return requests.get(self.url + "/health/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def _group(self) -> list[psutil.Process]:
        """The live processes of its process group: workers are found even when their master is dead."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return os.getpgid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    def _end_group(self) -> None:
        for process in self._group():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        until(lambda: not self._group(), "the end of its last process", STOP_SECONDS)
