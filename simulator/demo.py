"""`python -m simulator.demo`: the server and the simulator together, ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from serving.addresses import CannotListen, check_free, local_url
from settings import BadSetting, read_workers
from simulator.interrupts import Interrupts
from simulator.options import read_options
from simulator.report import Console
from simulator.simulation import Simulation
from tidemark import Unanswered
from tidemark.transport import Transport

ROOT = Path(__file__).resolve().parent.parent
LIVELY = ("--distribution", "lognormal", "--jitter", "0.5", "--burst", "20s:4s:5", "--idle", "60s:3s")
"""Default options of the simulator in the demo: something to look at, percentiles too."""
GUNICORN = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:app")
START_SECONDS = 120.0
"""Time that a server may take to start: a machine that is busy with other things is slow, and Ctrl+C ends it sooner."""
STOP_SECONDS = 10.0
LOOK = 0.1


class CannotStart(Exception):
    """The server cannot run; the message is one line that says why."""


def address() -> tuple[str, int]:
    """Return the host and port for the server, as gunicorn.conf.py reads them. Raises CannotStart."""
    host, port = os.environ.get("HOST") or "0.0.0.0", os.environ.get("PORT") or "5000"
    if not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise CannotStart(f"PORT={port!r} is not a port; write a number from 1 to 65535")
    return host, int(port)


class Server:
    """gunicorn from this checkout, running inside the `with` and gone after it.

    `impatient` is asked while it ends: once true, it is killed.
    """

    def __init__(self, impatient: Callable[[], bool], command: Sequence[str] = GUNICORN) -> None:
        self._impatient = impatient
        self._command = command

    def __enter__(self) -> Server:
        # In a session of its own, so that a Ctrl+C in the terminal reaches the demo alone, which ends both in order.
        # The report should not drown in log lines; whoever wants those says so.
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={"TIDEMARK_LOG_LEVEL": "WARNING"} | os.environ,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while not self._ended(LOOK):
            if self._impatient() or time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def running(self) -> bool:
        """The server has not ended."""
        return self._process.poll() is None

    def wait_until_ready(self, url: str, wanted: Callable[[], bool], seconds: float = START_SECONDS) -> bool:
        """True once it is ready, false when no longer wanted. Raises CannotStart when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        with contextlib.closing(Transport(url, None, 2.0)) as transport:
            while wanted():
                if self._ended(LOOK):
                    raise CannotStart(f"the server ended with status {self._process.returncode}; it said why above")
                if _is_ready(transport):
                    return True
                if time.monotonic() > deadline:
                    raise CannotStart(f"the server was not ready within {seconds:g} s")
        return False

    def _ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _is_ready(transport: Transport) -> bool:
    try:
        return transport.get_once("/health/ready").status == 200
    except Unanswered:
        return False


def demonstrate(arguments: Sequence[str], interrupts: Interrupts) -> None:
    """Run both until the simulator's end or an interrupt. Raises CannotStart."""
    host, port = address()
    url = local_url(host, port)
    options = read_options([*(arguments or LIVELY), "--url", url], "python -m simulator.demo")
    try:
        read_workers(1)  # gunicorn reads it before anything of ours, and ends with a traceback
        check_free(host, port, "make demo")
    except (BadSetting, CannotListen) as fault:
        raise CannotStart(str(fault)) from fault
    with Server(lambda: interrupts.count > 1) as server, Console(sys.stdout, sys.stderr) as console:
        if server.wait_until_ready(url, lambda: not interrupts.count):
            console.line(f"\nDashboard: {url}/    (Ctrl+C ends the demo)\n")
            Simulation(options, console).run(lambda: not interrupts.count and server.running())
            if not server.running():
                raise CannotStart("the server ended by itself; it said why above")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0 after a run, 1 when the server cannot run, 2 for wrong options."""
    with Interrupts(patient=True) as interrupts:
        try:
            demonstrate(sys.argv[1:] if arguments is None else arguments, interrupts)
        except CannotStart as reason:
            print(f"demo: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
