"""Ctrl+C and SIGTERM as something to ask about, instead of an exception in the middle of anything."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While entered, Ctrl+C, SIGTERM and the end of the terminal (unless `nohup` ignores it) are only counted.

    A second one ends the program at once, unless `patient`. For the main thread. The handlers from before
    come back at the end.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.count = 0
        self._patient = patient
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        ending = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            ending.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._note) for number in ending}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if not self._patient:
            for ending in self._before:
                signal.signal(ending, signal.SIG_DFL)
