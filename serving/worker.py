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
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import gevent
from gevent.server import StreamServer
from gunicorn import util
from gunicorn.config import Config
from gunicorn.workers.ggevent import GeventWorker

from serving.connection import Connection, is_tls
from serving.handover import shared
from serving.heads import LONGEST, Heads
from serving.overload import Refusal, Shedding
from serving.waits import Waits

if TYPE_CHECKING:
    from api.fast_path import FastPath, Way

_HANDOVER_LOOK_SECONDS = 0.05
_WEIGHED = (
    *("statsd_host", "proxy_protocol", "protocol", "http_protocols", "http2_", "limit_request_", "permit_", "strip_"),
    *("casefold_", "header_map", "forwarder_headers", "secure_scheme_headers", "pre_request", "post_request"),
    *("keepalive", "accesslog", "SCRIPT_NAME"),
)
"""Prefixes of settings of gunicorn; the loop knows these only with their usual values."""


class ListenerName(NamedTuple):
    """Stands for a listener: gunicorn closes that one while connections which came through it are yet to be served."""

    name: Any

    def getsockname(self) -> Any:
        """Return the address of the listener."""
        return self.name


class Worker(GeventWorker):
    """Serves connections by our loop once `begin` was called."""

    handshake_seconds = 5.0
    """Maximum seconds that a handshake of TLS may take."""
    body_seconds = 30.0
    """Maximum seconds that a body may take to come."""
    least_rate = 8192.0
    """Bytes of a body for which it may take one second more."""
    send_seconds = 30
    """Seconds that the kernel tries to send without progress, before it ends a connection."""
    handover_seconds = 20.0
    """Maximum seconds that a worker which a reload replaces goes on for new ones that are not ready."""
    clock = staticmethod(monotonic)
    held = 0
    """Bytes of bodies that requests hold in memory, but for what came with their heads."""
    declined: Sequence[str] = ("begin",)
    """Reasons for which gunicorn's own loop serves all connections: settings of it, or that `begin` was not called."""
    _listeners: Mapping[Any, ListenerName] = MappingProxyType({})
    _hands_over = False

    def begin(
        self, max_bodies: int, fast: FastPath | None, shedding: Shedding | None, post_request: Callable[..., Any]
    ) -> None:
        """Prepare to serve connections, plain requests by the fast path if there is one; then what the shedding
        refuses is refused. The loop does without this hook. To be called in the worker's process, before its first
        connection."""
        self.max_bodies = max_bodies
        self.head_seconds = float(self.cfg.keepalive)
        """Maximum seconds that a request may take to come."""
        self.waits = Waits(lambda: not self.alive, self.clock)
        self.waits.start()
        self._fast, self._shedding = fast, shedding
        self.heads = Heads(lambda head, peer: None if fast is None else fast.of(*head, own_address=peer[1]))
        self._listeners = {each: ListenerName(each.getsockname()) for each in self.sockets}
        self.declined = self._odd_settings(post_request)

    def _odd_settings(self, post_request: Callable[..., Any]) -> list[str]:
        plain, cfg = Config(), self.cfg
        is_odd = {name: getattr(cfg, name) != getattr(plain, name) for name in plain.settings} | {
            "keepalive": not cfg.keepalive,
            "limit_request_line": 0 < cfg.limit_request_line < LONGEST,
            "forwarder_headers": cfg.forwarder_headers not in ([], plain.forwarder_headers),
            "accesslog": self.log.access_log_enabled,
            "post_request": cfg.post_request is not post_request,
            "SCRIPT_NAME": bool(os.environ.get("SCRIPT_NAME")),
        }
        return [name for name in is_odd if name.startswith(_WEIGHED) and is_odd[name]]

    @property
    def server_class(self) -> Callable[..., StreamServer] | None:  # type: ignore[override]  # gunicorn calls it, no more
        """Return the class of gunicorn's servers: None, so gunicorn's own, but under TLS."""
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
        listener = self._listeners.get(listener, listener)
        try:
            if is_tls(client):
                with gevent.Timeout(self.handshake_seconds):
                    client.do_handshake()  # what fails here ends the greenlet, which `report_hub_errors` tells
            if self.declined:
                super().handle(listener, client, addr)
            else:
                self._serve(listener, client, addr)
        except gevent.Timeout:
            self.log.debug("Closing a connection without a handshake.")
        finally:
            util.close(client)

    def _serve(self, listener: Any, client: Any, addr: Any) -> None:
        try:
            if hasattr(socket, "TCP_USER_TIMEOUT") and client.family in (socket.AF_INET, socket.AF_INET6):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * self.send_seconds)
            with closing(Connection(self, listener, client, addr)) as connection:
                connection.serve()
        except OSError as fault:
            if isinstance(fault, (ConnectionError, TimeoutError, ssl.SSLError)) or fault.errno == errno.ENOTCONN:
                self.log.debug("Closing connection. %s", fault)
            else:
                self.log.exception("Socket error processing request.")
        except Exception:
            self.log.exception("Error on a connection")

    def answer(self, way: Way, body: bytes, lines: bytes) -> bytes | None:
        """Return the answer to a plain request, these lines after its first; it counts among the worker's. None: it
        is not plain."""
        answer = self._fast.answer(way, body, lines)  # type: ignore[union-attr]  # which has found the way
        if answer is not None:
            self.nr += 1
            if self.nr >= self.max_requests and self.alive:
                self.log.info("Autorestarting worker after current request.")
                self.alive = False
        return answer

    def refusal(self, way: Way, client: Any) -> Refusal | None:
        """Return the answer to a plain request that has waited for too long; None: it has not."""
        return None if self._shedding is None else self._shedding.refusal(way.method, way.path, client)

    def is_at_last(self) -> bool:
        """Return whether this worker answers no further request on a connection."""
        return not self.alive or self.nr + 1 >= self.max_requests
