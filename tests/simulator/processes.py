"""The simulator and the demo as the processes that people start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from threading import Timer
from types import TracebackType
from typing import IO, Self

from tests.servers import CHECKOUT

END_SECONDS = 300


class Program:
    """`python -m <module> <line>`, with everything it prints on one pipe; killed at the end if need be."""

    def __init__(self, module: str, line: str = "", env: Mapping[str, str] | None = None) -> None:
        self.seen: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *line.split()],
            cwd=CHECKOUT,
            env=os.environ | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self._output.close()

    def read_until(self, text: str) -> str:
        """The first line from here on that contains `text`; AssertionError when the output ends before."""
        for line in self._output:
            self.seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came:\n{''.join(self.seen)}")

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Send it the signal, if any; its exit code and all that it printed."""
        if number is not None:
            self.process.send_signal(number)
        watchdog = Timer(END_SECONDS, self.process.kill)
        watchdog.start()
        self.seen += self._output
        watchdog.cancel()
        return self.process.wait(), "".join(self.seen)

    def stop_reading(self) -> None:
        """Close our end of the pipe, as `head` does."""
        self._output.close()

    @property
    def _output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout
