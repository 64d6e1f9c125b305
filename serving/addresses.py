"""Addresses of servers: check that one is free, and find the URL for a browser on this machine."""

from __future__ import annotations

import errno
import socket


class CannotListen(Exception):
    """A server cannot listen there; the message says why, and what to do."""


def check_free(host: str, port: int, command: str = "") -> None:
    """Raise CannotListen unless a server can listen there; the way out it names ends with this command."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))  # fails beside a socket that listens there, if not beside one that is only bound
    except OSError as error:
        another = f"choose another: PORT={port + 1 if port < 65535 else 5000} {command}".rstrip()
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"port {port} is already in use; end what runs there, or {another}") from error
        reason = (error.strerror or str(error)).lower()
        raise CannotListen(f"cannot listen on {host}, port {port} ({reason}); {another}") from error


def local_url(host: str, port: int, scheme: str = "http") -> str:
    """Return the address for a browser on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
