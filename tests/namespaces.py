"""Two network namespaces with a link between them that can be cut: hosts that do not reach each other, while a test
reaches both. Wants Linux, iproute2 and the right to make namespaces, as root has it.

The test itself is in a third one meanwhile. The namespace of all other processes sees no change: a browser there would
give up its requests at each (net::ERR_NETWORK_CHANGED).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.redis_server import RedisServer
from tests.servers import Server

CLONE_NEWNET = 0x40000000
"""Flag of the kernel's sched.h."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the namespaces."""

    name: str
    address: str
    """At which the other side reaches it, while the link is not cut."""
    test_address: str
    """At which the test reaches it, always."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """Return what stands before a command to run it there."""
        return "ip", "netns", "exec", self.name


@dataclass(frozen=True, slots=True)
class Link:
    """Both sides, and what is between them."""

    sides: tuple[Side, Side]

    def cut(self) -> None:
        """Lose every packet between the sides; nobody is told."""
        self._route("add")

    def mend(self) -> None:
        """Lose none any more."""
        self._route("del")

    def _route(self, change: str) -> None:
        for side, other in (self.sides, self.sides[::-1]):
            _ip("-n", side.name, "route", change, "blackhole", f"{other.address}/32")


@contextmanager
def two_sides() -> Iterator[Link]:
    """Make the namespaces, and remove them at the end. Only the calling thread, and what it starts, reaches them."""
    number = os.getpid()
    net = f"10.{100 + number % 100}.{number // 100 % 256}"
    sides = tuple(Side(f"tide{n}-{number}", f"{net}.{n}", f"{net}.{16 * n + 2}") for n in (1, 2))
    with ExitStack() as stack:
        stack.enter_context(_namespace_of_its_own())
        for side in sides:
            _ip("netns", "add", side.name)
            stack.callback(_ip, "netns", "del", side.name)
            _ip("-n", side.name, "link", "set", "lo", "up")
        _join(f"td{number}", (sides[0].name, f"{sides[0].address}/30"), (sides[1].name, f"{sides[1].address}/30"))
        for n, side in enumerate(sides, 1):
            _join(f"tt{n}{number}", (None, f"{net}.{16 * n + 1}/30"), (side.name, f"{side.test_address}/30"))
        yield Link((sides[0], sides[1]))


@contextmanager
def _namespace_of_its_own() -> Iterator[None]:
    """Put the calling thread, and the processes that it starts, into a new network namespace, which ends with them."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            _call("setns", before, CLONE_NEWNET)
    finally:
        os.close(before)


def _call(name: str, *numbers: int) -> None:
    """Call a function of the C library; `os` has these two since Python 3.12 only."""
    library = ctypes.CDLL(None, use_errno=True)
    done = getattr(library, name)(*numbers)
    assert done == 0, f"{name}: {os.strerror(ctypes.get_errno())}; this test makes network namespaces"


def _join(device: str, *ends: tuple[str | None, str]) -> None:
    """Put a cable between two namespaces, None being that of the test; it goes where either of them goes."""
    names = [f"{device}{letter}" for letter in "ab"]
    _ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
    for name, (namespace, address) in zip(names, ends, strict=True):
        inside: tuple[str, ...] = ()
        if namespace is not None:
            _ip("link", "set", name, "netns", namespace)
            inside = ("-n", namespace)
        _ip(*inside, "address", "add", address, "dev", name)
        _ip(*inside, "link", "set", name, "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}; this test makes network namespaces"


class ServerAt(Server):
    """A server on one side."""

    def __init__(self, side: Side, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.env["HOST"] = "0.0.0.0"
        self.prefix = side.prefix
        self._side = side

    @property
    def url(self) -> str:
        """The URL by which the test reaches it."""
        return f"http://{self._side.test_address}:{self.port}"


class RedisAt(RedisServer):
    """A Redis, or a sentinel, on one side. It tells others the address at which the other side reaches it."""

    def __init__(self, side: Side, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prefix, self.side, self.host = side.prefix, side, side.test_address
        self.bind = "0.0.0.0"
