"""What the start says where anybody may come in."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

Address = tuple[str, int] | str | int
"""As gunicorn has it: host and port, the path of a Unix socket, or an inherited descriptor."""


def exposed(addresses: Iterable[Address]) -> str | None:
    """One line, for a service without keys that others than this machine can reach; None where they cannot."""
    open_ones = [f"{address[0]}:{address[1]}" for address in addresses if _beyond_this_machine(address)]
    if not open_ones:
        return None
    return (
        f"everyone who reaches {' or '.join(open_ones)} may read and write. To close the door: python -m access new "
        "--name me --can read write, put the entry it prints into keys.toml, and set TIDEMARK_KEYS=keys.toml"
    )


def _beyond_this_machine(address: Address) -> bool:
    if not isinstance(address, tuple) or address[0] == "localhost":
        return False
    try:
        return not ip_address(address[0].strip("[]")).is_loopback
    except ValueError:  # a name: it may lead anywhere
        return True
