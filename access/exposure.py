"""Warnings of the start about a service that anybody may use."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

Address = tuple[str, int] | str | int
"""An address as gunicorn has it: host and port, the path of a Unix socket, or an inherited descriptor."""


def exposed(addresses: Iterable[Address]) -> str | None:
    """One line, for a service without keys that others than this machine can reach; None where they cannot."""
    reachable = [address for address in addresses if isinstance(address, tuple)]
    open_ones = [f"{host}:{port}" for host, port, *_ in reachable if _beyond_this_machine(host)]
    if not open_ones:
        return None
    return (
        f"everyone who reaches {' or '.join(open_ones)} may read and write. To close the door: python -m access new "
        "--name me --can write read delete metrics, put the entry it prints into keys.toml, set TIDEMARK_KEYS=keys.toml"
    )


def _beyond_this_machine(host: str) -> bool:
    if host == "localhost":
        return False
    try:
        return not ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name: it may lead anywhere
        return True
