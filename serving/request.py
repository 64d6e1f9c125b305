"""gunicorn's request, which knows whether another one can follow it."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request

MOST_LEFT = 65_536
"""Bytes that may be left of a body nobody wanted, of known length, for the connection to go on behind them."""
_READ = 65_536


class OwnRequest(Request):
    """gunicorn's request; nothing follows it where what is left of its body, when it is answered, is not certain to be
    read to its end."""

    def should_close(self) -> bool:
        """Return whether its answer is the last on its connection. gunicorn asks before the answer leaves."""
        if super().should_close():
            return True
        if self.left() == inf and not self._is_broken():
            self._read_what_has_come()
        return self.left() > MOST_LEFT

    def left(self) -> float:
        """Return how many bytes of the body nobody has read, infinity where nobody knows."""
        if self.body is None or self._is_broken():
            return inf
        reader: Any = self.body.reader
        if isinstance(reader, LengthReader):
            return reader.length
        return 0 if reader.parser is None else inf

    def _is_broken(self) -> bool:
        """Return whether reading the body has failed, so that nobody knows where it ends."""
        broken: bool = self.body is not None and self.body.failed  # type: ignore[attr-defined]  # its stub is older
        return broken

    def _read_what_has_come(self) -> None:
        """Read a body in chunks to its end, if that is here."""
        connection: Any = self.unreader.sock  # type: ignore[attr-defined]  # that of a SocketUnreader
        connection.is_dry = True
        with suppress(Exception):  # not there, or broken: either way nothing can follow it
            while self.body.read(_READ):  # type: ignore[union-attr]  # set with the head
                pass
        connection.is_dry = False
