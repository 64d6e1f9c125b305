"""The loop over the requests of one connection.

A plain request goes to the fast path and its answer leaves in one send. Every other one goes, over the same bytes, to
gunicorn's strict parser and through its `handle_request`. Bodies are read in large pieces, between which others have
their turn; they are bounded in rate, in time, and in the bytes of them that a worker holds.
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

import gevent
from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.http.wsgi import Response

from overload import STATUS
from serving.heads import END, Peer
from serving.request import OwnRequest
from serving.waits import Overdue, Waiting

if TYPE_CHECKING:
    from api.fast_path import Way
    from serving.worker import Worker

MOST_DRAINED = 64 * 1024**2
"""Bytes that are read from a client after its last answer: closing on them would take the answer from it."""
DRAIN_SECONDS = 5.0
"""How long they are read."""
_READ = 65_536
_DEFAULT_READ = 8192
"""Bytes that gunicorn's parser asks for where it does not know how many it needs."""
_SMALL_READ = 512
"""Bytes it is given then of a chunked body: with one byte in each chunk they take it a millisecond."""


class Connection:
    """One client's connection. To gunicorn's parser it is the socket."""

    def __init__(self, worker: Worker, listener: Any, client: Any, address: Any) -> None:
        self._worker = worker
        self._listener = listener
        self._client = client
        self._address = address
        self._peer: Peer = (_host(address), _host(client.getsockname()))
        self._greenlet = gevent.getcurrent()
        self._hub = gevent.get_hub()
        # What TLS has decrypted already, no watcher tells of.
        self._readable = None if is_tls(client) else self._hub.loop.io(client.fileno(), 1)
        self._begun = 0.0  # when the wait for a request, or that for its body, began
        self._data: bytes | bytearray = b""  # received, from the beginning of a request on
        self._at = 0  # where gunicorn's parser goes on in them
        self._head_end = 0  # where the head ends in them; 0: not known
        self._in_head = True
        self._is_chunked = False
        self._received = 0  # bytes of the body that came after the first read
        self._held = 0  # how many of them count as held by the worker
        self._keeps_body = True  # or it is read only to be over
        self._fault: OSError | None = None  # why no more of the body is read
        self.is_dry = False  # whether what has not come is not waited for

    def handshake(self) -> None:
        """Do that of TLS, in the time that a head has."""
        self._wait(self._worker.waits.idle, self._worker.clock() + self._worker.head_seconds, self._client.do_handshake)

    def close(self) -> None:
        """Let go of what watches the connection."""
        if self._readable is not None:
            self._readable.close()

    def serve(self) -> None:
        """Answer requests until one of the two sides has enough."""
        while self._serve_one():
            if self._data:
                gevent.sleep(0)  # or one busy client would starve the others
            else:
                self._await_request()

    def _await_request(self) -> None:
        """Wait until something comes; others have their turn meanwhile. That spares a read which finds nothing, and
        its exception."""
        if self._readable is None:
            gevent.sleep(0)
            return
        until = self._worker.clock() + self._worker.head_seconds
        try:
            self._wait(self._worker.waits.idle, until, self._hub.wait, self._readable)
        except Overdue:
            self._data = self._receive_at_once()

    def _receive_at_once(self) -> bytes:
        """Return what has come though the wait for it is over; raise Overdue if nothing has. A worker that had to wait
        for a processor hears of the end of the wait before it hears of the request, which would be lost."""
        self._client.settimeout(0.0)
        try:
            received: bytes = self._client.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError):
            raise Overdue from None
        finally:
            self._client.settimeout(None)
        return received

    def _serve_one(self) -> bool:
        """Answer a request; return whether another may follow."""
        worker = self._worker
        self._begun = worker.clock()
        if not self._data:
            waiting = worker.waits.idle
            waiting[self._greenlet] = self._begun + worker.head_seconds
            try:
                self._data = self._client.recv(_READ)
            except Overdue:
                self._data = self._receive_at_once()
            finally:
                del waiting[self._greenlet]
        self._head_end = end = self._data.find(END) + len(END)
        way = worker.way(bytes(self._data[:end]), self._peer) if end >= len(END) else None
        try:
            follows = None if way is None else self._by_fast_path(way, end)
            if follows is None:
                follows = bool(self._data) and self._by_gunicorn(is_weighed=way is not None)
            return follows
        finally:
            worker.held -= self._held
            self._held = self._received = 0

    def _by_fast_path(self, way: Way, end: int) -> bool | None:
        """Answer a request whose head ends there; return as `_serve_one`, None where nothing was done."""
        worker, whole = self._worker, end + way.length
        refusal = worker.refusal(way.method, way.path, self._client)
        if refusal is None and len(self._data) < whole and not self._receive_body(whole):
            return None
        is_whole = len(self._data) >= whole
        closes = way.closes or not is_whole or worker.is_at_last()
        if refusal is None:
            answer = worker.answer(way, bytes(self._data[end:whole]), closes)
            if answer is None:
                return None
        else:
            answer = b"HTTP/1.1 %b\r\n%b%b" % (STATUS.encode(), worker.lines(closes), refusal.encoded)
        sent = self._client.send(answer)
        if sent < len(answer):
            self._client.sendall(answer[sent:])
        if not is_whole:
            self._hear_out()
        self._data = bytes(self._data[whole:])
        return not closes

    def _receive_body(self, whole: int) -> bool:
        """Receive until there are so many bytes; return whether that was possible."""
        self._begin_body()
        self._data = data = bytearray(self._data)
        try:
            while len(data) < whole and (piece := self._more(min(whole - len(data), _READ))):
                data += piece
        except OSError:
            if self._fault is None:
                raise
        return len(data) >= whole

    def _by_gunicorn(self, *, is_weighed: bool) -> bool:
        """Have gunicorn read and answer the request, unless it is refused, which may be decided already; return as
        `_serve_one`."""
        worker, client = self._worker, self._client
        self._at, self._in_head, self._is_chunked, self._keeps_body = 0, True, False, True
        unreader, request = SocketUnreader(self), None  # type: ignore[arg-type]  # all it does is to call `recv`
        try:
            request = OwnRequest(worker.cfg, unreader, self._address)
            self._begin_body()
            self._is_chunked = request.left() == inf
            if is_weighed or not self._refuse(request):
                worker.handle_request(self._listener.getsockname(), request, client, self._address)
        except (StopIteration, NoMoreData):
            if request is not None and request.left():
                self._hear_out()
            return False
        except (OSError, Overdue):
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

    def _refuse(self, request: OwnRequest) -> bool:
        """Answer a request that has waited for too long; return whether it has."""
        worker = self._worker
        refusal = worker.refusal(request.method or "", request.path or "", self._client)
        if refusal is None:
            return False
        if request.left() > len(self._data) - self._at or not worker.alive:
            request.force_close()
        response = Response(request, self._client, worker.cfg)
        response.start_response(STATUS, refusal.headers)
        response.write(refusal.body)
        if response.should_close():
            raise StopIteration
        return True

    def recv(self, size: int) -> bytes:
        """Return the next bytes, for gunicorn's parser."""
        first = self._at
        if first < self._head_end:
            self._at = self._head_end
        elif first < len(self._data):
            self._at += self._piece(size)
            if not self._in_head and len(self._data) - first > _SMALL_READ:
                gevent.sleep(0)
        elif self.is_dry:
            raise BlockingIOError
        elif self._in_head:
            return self._receive(self._worker.waits.idle, self._begun + self._worker.head_seconds, size)
        else:
            return self._more(self._piece(size))
        return bytes(self._data[first : self._at])

    def _piece(self, size: int) -> int:
        return _SMALL_READ if self._is_chunked and size <= _DEFAULT_READ else min(size, _READ)

    def _begin_body(self) -> None:
        self._in_head, self._begun = False, self._worker.clock()

    def _more(self, size: int) -> bytes:
        """Return more of a body; raise TimeoutError if it comes too slowly, ENOBUFS if the worker holds too much."""
        worker = self._worker
        if self._fault is not None:
            raise self._fault
        try:
            until = self._begun + worker.body_seconds + self._received / worker.least_rate
            piece = self._receive(worker.waits.busy, until, size)
        except Overdue:
            self._fault = TimeoutError("no more of the body came")
            raise self._fault from None
        if self._keeps_body:
            if worker.held + len(piece) > worker.max_bodies:
                self._fault = OSError(errno.ENOBUFS, "too many bytes of bodies are held")
                raise self._fault
            worker.held += len(piece)
            self._held += len(piece)
        self._received += len(piece)
        gevent.sleep(0)
        return piece

    def _receive(self, waiting: Waiting, until: float, size: int) -> bytes:
        """Return what comes next; empty at the end. Raise Overdue if nothing has come by then."""
        if self._worker.clock() >= until:
            raise Overdue
        received: bytes = self._wait(waiting, until, self._client.recv, size)
        return received

    def _wait(self, waiting: Waiting, until: float, act: Any, *args: Any) -> Any:
        waiting[self._greenlet] = until
        try:
            return act(*args)
        finally:
            del waiting[self._greenlet]

    def _hear_out(self) -> None:
        """Read what a client goes on sending after its last answer: closing on it would reset the connection, and a
        client that sends all before it reads would never see the answer."""
        until, left = self._worker.clock() + DRAIN_SECONDS, MOST_DRAINED
        with suppress(Overdue, OSError):
            if not is_tls(self._client):  # of TLS, it would drop the layer
                self._client.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self._receive(self._worker.waits.idle, until, _READ)):
                left -= len(piece)
                gevent.sleep(0)


def is_tls(client: Any) -> bool:
    """Return whether a connection speaks TLS."""
    return hasattr(client, "do_handshake")


def _host(address: Any) -> str | None:
    return address[0] if isinstance(address, tuple) else None
