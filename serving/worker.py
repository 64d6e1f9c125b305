"""The worker class of `gunicorn.conf.py`: gunicorn's gevent worker with a loop of our own over the requests of a
connection.

`handle` is gunicorn's own point of extension, and nothing of gunicorn is replaced. Whatever is set that the loop does
not know (`declined`) leaves connections to gunicorn's loop. `-k gevent`, or any other worker class, gives the same
answers.

gunicorn's master imports this module before gevent patches the standard library: it must import nothing that makes
threads, locks or sockets.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import gevent
from gevent.server import StreamServer
from gunicorn import SERVER, util
from gunicorn.config import Config
from gunicorn.workers.ggevent import GeventWorker

from overload import Refusal, Shedding
from serving.connection import Connection, is_tls
from serving.handover import shared
from serving.heads import LONGEST, Heads, Peer
from serving.waits import Overdue, Waits

if TYPE_CHECKING:
    from api.fast_path import FastPath, Way

BODY_SECONDS = 30.0
"""How long a body may take to come."""
LEAST_RATE = 8192.0
"""For each so many bytes of it that have come, it may take a second more."""
SEND_SECONDS = 30
"""How long the kernel tries to send without progress, before it ends a connection."""
HANDOVER_SECONDS = 20.0
"""How long a worker that a reload replaces goes on for new ones that are not ready."""
_HANDOVER_LOOK_SECONDS = 0.05
_AT_DEFAULT = (
    *("statsd_host", "proxy_protocol", "protocol", "http_protocols", "http2_cleartext", "http2_max_concurrent_streams"),
    *("http2_initial_window_size", "http2_max_frame_size", "http2_max_header_list_size", "limit_request_fields"),
    *("limit_request_field_size", "permit_obsolete_folding", "permit_unconventional_http_method"),
    *("permit_unconventional_http_version", "strip_header_spaces", "casefold_http_method", "header_map"),
    *("secure_scheme_headers", "pre_request"),
)
"""Settings of gunicorn that the loop knows only as they are by default."""
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF, errno.ETIMEDOUT)
"""Faults of a connection whose client has left."""


class Worker(GeventWorker):
    """Serves connections, once `begin` was called."""

    body_seconds = BODY_SECONDS
    least_rate = LEAST_RATE
    send_seconds = SEND_SECONDS
    handover_seconds = HANDOVER_SECONDS
    clock = staticmethod(monotonic)
    waits: Waits
    max_bodies: int
    held = 0
    """Bytes of bodies that requests hold in memory, but for what came with their heads."""
    _is_prepared = False
    _hands_over = False
    declined: Sequence[str] = ()
    """Settings of gunicorn for which its own loop serves all connections."""
    _fast: FastPath | None = None
    _shedding: Shedding | None = None
    _heads: Heads | None = None
    _second = 0
    _lines = (b"", b"")

    def begin(
        self,
        max_bodies: int,
        fast: FastPath | None,
        shedding: Shedding | None,
        post_request: Callable[..., Any],
    ) -> bool:
        """Prepare to serve connections, plain requests by the fast path if there is one; then what the shedding
        refuses is refused. The loop does without this hook. To be called in the worker's process, before its first
        connection. Return whether it is our loop that serves."""
        self.max_bodies = max_bodies
        self.head_seconds = float(self.cfg.keepalive)
        self.waits = Waits(lambda: not self.alive, self.clock)
        self.waits.start()
        if fast is not None:
            self._fast, self._shedding = fast, shedding
            self._heads = Heads(lambda head, peer: fast.of(*head, own_address=peer[1]))
        self.declined = list(self._declined(post_request))
        self._is_prepared = True
        return not self.declined

    def _declined(self, post_request: Callable[..., Any]) -> Iterator[str]:
        plain = Config()
        yield from (name for name in _AT_DEFAULT if getattr(self.cfg, name) != getattr(plain, name))
        if not self.cfg.keepalive:
            yield "keepalive"
        if 0 < self.cfg.limit_request_line < LONGEST:
            yield "limit_request_line"
        if self.cfg.forwarder_headers not in ([], plain.forwarder_headers):
            yield "forwarder_headers"
        if self.log.access_log_enabled:
            yield "accesslog"
        if self.cfg.post_request is not post_request:
            yield "post_request"
        if os.environ.get("SCRIPT_NAME"):
            yield "SCRIPT_NAME"

    @property
    def server_class(self) -> Callable[..., StreamServer] | None:  # type: ignore[override]  # gunicorn calls it, no more
        """What gunicorn makes its servers by: None, so gunicorn's own, but under TLS."""
        return self._tls_server if self.cfg.is_ssl else None

    def _tls_server(self, listener: Any, *, spawn: Any, ssl_context: Any, **_: Any) -> StreamServer:
        """Make a server that leaves the handshake to `handle`, which bounds it."""
        tls = {"ssl_context": ssl_context, "do_handshake_on_connect": False}
        server = StreamServer(listener, handle=partial(self.handle, listener), spawn=spawn, **tls)
        if self.cfg.workers > 1:
            server.max_accept = 1  # as gunicorn has it
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End; if a reload replaces this worker, then once all new ones are ready. A second signal ends it anyway."""
        if self._hands_over or not shared().is_replaced(self.age):
            super().handle_exit(sig, frame)
        else:
            self._hands_over = True
            gevent.spawn(self._hand_over)

    def _hand_over(self) -> None:
        until = self.clock() + self.handover_seconds
        while not shared().is_complete() and self.clock() < until:
            gevent.sleep(_HANDOVER_LOOK_SECONDS)
        self.alive = False

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection to its end."""
        if not self._is_prepared:  # another configuration than ours
            super().handle(listener, client, addr)
            return
        connection = None
        try:
            connection = Connection(self, listener, client, addr)
            self._bound_sending(client)
            if is_tls(client):
                connection.handshake()  # what fails here ends the greenlet, which `report_hub_errors` tells
            self._serve(connection, listener, client, addr)
        except Overdue:
            self.log.debug("Closing a connection on which nothing came.")
        finally:
            if connection is not None:
                connection.close()
            util.close(client)

    def _serve(self, connection: Connection, listener: Any, client: Any, addr: Any) -> None:
        try:
            if self.declined:
                super().handle(listener, client, addr)
            else:
                connection.serve()
        except OSError as fault:
            if fault.errno in _GONE or isinstance(fault, (TimeoutError, ssl.SSLError)):
                self.log.debug("Closing connection. %s", fault)
            else:
                self.log.exception("Socket error processing request.")
        except Overdue:
            raise
        except Exception:
            self.log.exception("Error on a connection")

    def way(self, head: bytes, peer: Peer) -> Way | None:
        """Return the fast path's way for requests with this head, None if there is none."""
        return None if self._heads is None else self._heads.way(head, peer)

    def answer(self, way: Way, body: bytes, closes: bool) -> bytes | None:
        """Return the answer to a plain request, which counts among the worker's; None: it is not plain."""
        assert self._fast is not None
        answer = self._fast.answer(way, body, self.lines(closes))
        if answer is not None:
            self.nr += 1
            if self.nr >= self.max_requests and self.alive:
                self.log.info("Autorestarting worker after current request.")
                self.alive = False
        return answer

    def refusal(self, method: str, path: str, client: Any) -> Refusal | None:
        """Return the answer to a request that has waited for too long; None: it has not."""
        return None if self._shedding is None else self._shedding.refusal(method, path, client)

    def is_at_last(self) -> bool:
        """Return whether this worker answers no further request on a connection."""
        return not self.alive or self.nr + 1 >= self.max_requests

    def lines(self, closes: bool) -> bytes:
        """Return the lines that gunicorn begins each answer with, after the status."""
        second = int(time())
        if second != self._second:
            common = f"Server: {SERVER}\r\nDate: {util.http_date(second)}\r\nConnection: "
            self._lines = (f"{common}keep-alive\r\n".encode(), f"{common}close\r\n".encode())
            self._second = second
        return self._lines[closes]

    def _bound_sending(self, client: Any) -> None:
        if hasattr(socket, "TCP_USER_TIMEOUT") and client.family in (socket.AF_INET, socket.AF_INET6):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * self.send_seconds)
