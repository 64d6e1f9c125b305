"""A real redis-server for tests: on a free loopback port, with a directory of its own, ended by its process id."""

from __future__ import annotations

import atexit
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests import redis_binary
from tests.servers import reserve_port, until

START_SECONDS = 120.0


class RedisServer:
    """Runs inside the `with`; what it has stored outlasts `kill` and `start`."""

    def __init__(self, *options: str, aof: str | None = "everysec", sentinel: str | None = None) -> None:
        self.options = list(options)
        self.prefix: Sequence[str] = ()
        """Words before its command, as to run it in a namespace."""
        self.bind = self.host = "127.0.0.1"
        self._aof = aof
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="tidemark-redis-")
        self.directory = Path(self._folder.name)
        self._reservation = reserve_port()
        self.port: int = self._reservation.getsockname()[1]
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._reservation.close()
        self._folder.cleanup()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process as last started."""
        assert self._process is not None
        return self._process

    @property
    def socket(self) -> Path:
        """The socket on which it listens besides its port."""
        return self.directory / "redis.sock"

    def url(self, query: str = "") -> str:
        """LOG_URL for it."""
        return f"redis://127.0.0.1:{self.port}/0" + (f"?{query}" if query else "")

    def start(self, *options: str) -> None:
        """Start it and wait until it answers; what it has stored is loaded by then."""
        command = [*self.prefix, executable(), *self._arguments(), *self.options, *options]
        with (self.directory / "printed").open("ab") as printed:
            self._process = subprocess.Popen(command, cwd=self.directory, stdout=printed, stderr=printed)
        until(self._answers, f"{' '.join(command)} to answer", START_SECONDS)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self, *options: str) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start(*options)

    def client(self, **options: Any) -> redis.Redis:
        """For the test itself; it tries again at once, not after the seconds that redis-py would rest."""
        return redis.Redis(self.host, self.port, protocol=2, retry=Retry(NoBackoff(), 2), **options)

    def printed(self) -> str:
        """Return what it has printed so far."""
        return (self.directory / "printed").read_text(errors="replace")

    def _arguments(self) -> Sequence[str]:
        if self._sentinel is not None:
            configuration = self.directory / "sentinel.conf"
            if not configuration.exists():
                configuration.write_text(f"port {self.port}\nbind {self.bind}\n{self._sentinel}\n")
            return [str(configuration), "--sentinel"]
        persistence = ["--appendonly", "yes", "--appendfsync", self._aof] if self._aof else ["--appendonly", "no"]
        listening = ["--port", str(self.port), "--bind", self.bind, "--unixsocket", str(self.socket)]
        return [
            "--dir",
            str(self.directory),
            *listening,
            "--save",
            "",
            "--enable-protected-configs",
            "yes",
            *persistence,
        ]

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"redis-server ended with {self.process.returncode}\n{self.printed()}")
        try:
            with self.client(socket_timeout=5) as client:
                client.ping()
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False
        return True


@cache
def shared() -> RedisServer:
    """One for all tests of this process that do not harm it."""
    server = RedisServer()
    server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return server


def executable() -> str:
    """The redis-server of this machine."""
    found = redis_binary.executable()
    assert found is not None, "there is no redis-server of version 7 or newer; `make test` gets one"
    return found
