"""The loop over the requests of one connection.

A plain request goes to the fast path and its answer leaves in one send. Every other one goes, over the same bytes, to
gunicorn's strict parser and through its `handle_request`. Bodies are read in large pieces, between which others have
their turn; they are bounded in rate, in time, and in the bytes of them that a worker holds.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from functools import lru_cache
from math import inf
from time import time
from typing import TYPE_CHECKING, Any

import gevent
from gunicorn import SERVER, util
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import NoMoreData
from gunicorn.http.message import Request
from gunicorn.http.unreader import SocketUnreader

from serving.heads import END, Peer
from serving.waits import Overdue, Waiting

if TYPE_CHECKING:
    from api.fast_path import Way
    from serving.worker import Worker

MOST_DRAINED = 64 * 1024**2
"""Bytes that are read from a client after its last answer: closing on them would take the answer from it."""
DRAIN_SECONDS = 5.0
"""Maximum seconds that they are read for."""
MOST_LEFT = 65_536
"""Bytes that may be left of a body nobody wanted, of known length, for the connection to go on behind them."""
_READ = 65_536
_DEFAULT_READ = 8192
"""Bytes that gunicorn's parser asks for where it does not know how many it needs."""
_SMALL_READ = 2048
"""Bytes it is given then: in chunks of one byte they take it two milliseconds."""
_SHORTLY = 1e-6
"""Seconds to sleep for the worker to look at all its sockets; after a sleep of 0 it looks only each fiftieth time."""


class OwnRequest(Request):
    """gunicorn's request; nothing follows it where what is left of its body, when it is answered, is not certain to be
    read to its end."""

    def should_close(self) -> bool:
        """Return whether its answer is the last on its connection. gunicorn asks before the answer leaves."""
        return super().should_close() or self.left() > MOST_LEFT

    def left(self) -> float:
        """Return the number of bytes of the body that nobody has read; infinity where nobody knows, as in chunks."""
        body: Any = self.body
        if body is None or body.failed:
            return inf
        if isinstance(body.reader, LengthReader):
            return body.reader.length
        return 0 if body.reader.parser is None else inf


class Connection:
    """One client's connection. To gunicorn's parser it is the socket."""

    def __init__(self, worker: Worker, listener: Any, client: Any, address: Any) -> None:
        self._worker = worker
        self._listener = listener
        self._client = client
        self._address = address
        self._peer: Peer = (_host(address), _host(client.getsockname()))
        self._is_tls = is_tls(client)
        self._greenlet = gevent.getcurrent()
        self._hub = gevent.get_hub()
        self._readable = self._hub.loop.io(client.fileno(), 1)
        self._begun = 0.0  # when the wait for a request, or that for its body, began
        self._data: bytes | bytearray = b""  # received, from the beginning of a request on
        self._at = 0  # where gunicorn's parser goes on in them
        self._head_end = 0  # where the head ends in them; below the length of END: not known
        self._in_head = True
        self._received = 0  # bytes of the body that came after the first read
        self._held = 0  # how many of them count as held by the worker
        self._keeps_body = True  # or it is read only to be over
        self._fault: OSError | None = None  # why no more of the body is read

    def close(self) -> None:
        """Let go of what watches the connection."""
        self._readable.close()

    def serve(self) -> None:
        """Answer requests until one of the two sides has enough. Raises OSError, Overdue where nothing came."""
        follows = True
        while follows:
            self._begun = self._worker.clock()
            if self._data:
                gevent.sleep(_SHORTLY)  # or one busy client would starve the others
            else:
                self._data = self._receive_head(_READ)
            try:
                follows = bool(self._data) and self._serve_one()
            finally:
                self._worker.held -= self._held
                self._held = self._received = 0

    def _serve_one(self) -> bool:
        """Answer a request; return whether another may follow."""
        self._head_end = end = self._data.find(END) + len(END)
        way = self._worker.heads.way(bytes(self._data[:end]), self._peer) if end >= len(END) else None
        follows = None if way is None else self._by_fast_path(way, end)
        return self._by_gunicorn() if follows is None else follows

    def _by_fast_path(self, way: Way, end: int) -> bool | None:
        """Answer a request whose head ends there; return as `_serve_one`, None where nothing was done."""
        worker, whole = self._worker, end + way.length
        refusal = worker.refusal(way, self._client)
        if refusal is None and len(self._data) < whole and not self._receive_body(whole):
            return None
        is_whole = len(self._data) >= whole
        closes = way.closes or not is_whole or worker.is_at_last()
        lines = _lines(int(time()), closes)
        answer = worker.answer(way, bytes(self._data[end:whole]), lines) if refusal is None else refusal.after(lines)
        if answer is None:
            return None
        sent = self._client.send(answer)
        if sent < len(answer):
            self._client.sendall(answer[sent:])
        if not is_whole:
            self._hear_out()
        self._data = bytes(self._data[whole:])
        return not closes

    def _receive_body(self, whole: int) -> bool:
        """Receive until there are `whole` bytes; return whether that was possible."""
        self._begun = self._worker.clock()
        self._data = data = bytearray(self._data)
        try:
            while len(data) < whole and (piece := self._more(min(whole - len(data), _READ))):
                data += piece
        except OSError:
            if self._fault is None:
                raise
        return len(data) >= whole

    def _by_gunicorn(self) -> bool:
        """Have gunicorn read and answer the request; return as `_serve_one`."""
        worker, client = self._worker, self._client
        self._at, self._in_head, self._keeps_body = 0, True, True
        unreader, request = SocketUnreader(self), None  # type: ignore[arg-type]  # all it does is to call `recv`
        try:
            request = OwnRequest(worker.cfg, unreader, self._address)
            self._in_head, self._begun = False, worker.clock()
            worker.handle_request(self._listener.getsockname(), request, client, self._address)
        except (StopIteration, NoMoreData):
            if request is not None and request.left():
                self._hear_out()
            return False
        except OSError:
            raise
        except Exception as fault:  # noqa: BLE001  # gunicorn logs and answers it: nothing has been sent yet
            worker.handle_error(request, client, self._address, fault)
            self._hear_out()
            return False
        self._keeps_body = False
        while request.left():
            request.body.read(_READ)  # type: ignore[union-attr]  # set with the head
        self._data, self._fault = unreader.take_buffered() + bytes(self._data[self._at :]), None
        return True

    def recv(self, size: int) -> bytes:
        """Return the next bytes, for gunicorn's parser."""
        size, first = _SMALL_READ if size <= _DEFAULT_READ else min(size, _READ), self._at
        if first >= len(self._data):
            return self._receive_head(size) if self._in_head else self._more(size)
        self._at = self._head_end if first < self._head_end else first + size
        if not self._in_head:
            gevent.sleep(_SHORTLY)
        return bytes(self._data[first : self._at])

    def _more(self, size: int) -> bytes:
        """Return more of a body; raise TimeoutError if it comes too slowly, ENOBUFS if the worker holds too much."""
        worker, piece = self._worker, b""
        if self._fault is None:
            until = self._begun + worker.body_seconds + self._received / worker.least_rate
            try:
                piece = self._receive(worker.waits.busy, until, size)
            except Overdue as fault:
                self._fault = fault
        if self._keeps_body and worker.held + len(piece) > worker.max_bodies:
            self._fault = OSError(errno.ENOBUFS, "too many bytes of bodies are held")
        elif self._keeps_body:
            worker.held += len(piece)
            self._held += len(piece)
        self._received += len(piece)
        while worker.clock() >= worker.waits.turn_ends:
            gevent.sleep(_SHORTLY)  # or many that send at a time would hold up those who ask
        if self._fault is not None:
            raise self._fault
        return piece

    def _receive_head(self, size: int) -> bytes:
        waits = self._worker.waits
        return self._receive(waits.idle, self._begun + min(self._worker.head_seconds, waits.most_idle), size)

    def _receive(self, waiting: Waiting, until: float, size: int) -> bytes:
        """Return the bytes that come next, and let others have their turn before; empty at the end. Raise Overdue if
        nothing has come by then."""
        waiting[self._greenlet] = until
        try:
            if self._is_tls and self._client.pending():
                gevent.sleep(_SHORTLY)  # of what is decrypted already, no watcher tells
            else:
                self._hub.wait(self._readable)  # spares a read which finds nothing, and its exception
            received: bytes = self._client.recv(size)
        finally:
            del waiting[self._greenlet]
        return received

    def _hear_out(self) -> None:
        """Read what a client goes on sending after its last answer: closing on it would reset the connection, and a
        client that sends all before it reads would never see the answer."""
        until = self._worker.clock() + min(DRAIN_SECONDS, self._worker.waits.most_idle)
        left = MOST_DRAINED
        with suppress(OSError):
            if not self._is_tls:  # of TLS, it would drop the layer
                self._client.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self._receive(self._worker.waits.idle, until, _READ)):
                left -= len(piece)


def is_tls(client: Any) -> bool:
    """Return whether a connection speaks TLS."""
    return hasattr(client, "do_handshake")


@lru_cache(2)
def _lines(second: int, closes: bool) -> bytes:
    """Return the lines that gunicorn begins each answer with, after the status."""
    connection = "close" if closes else "keep-alive"
    return f"Server: {SERVER}\r\nDate: {util.http_date(second)}\r\nConnection: {connection}\r\n".encode()


def _host(address: Any) -> str | None:
    return address[0] if isinstance(address, tuple) else None
