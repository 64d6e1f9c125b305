"""Warnings of the start about a service that anybody may use."""

from __future__ import annotations

import pytest

from access.exposure import Address, exposed


@pytest.mark.parametrize(
    ("addresses", "named"),
    [
        ([("127.0.0.1", 5000)], None),
        ([("127.3.2.1", 5000)], None),
        ([("localhost", 5000)], None),
        ([("::1", 5000), ("[::1]", 5001)], None),
        (["/run/tidemark.sock", 7], None),
        ([("0.0.0.0", 5000)], "0.0.0.0:5000"),
        ([("::", 5000)], ":::5000"),
        ([("127.0.0.1", 1), ("192.168.1.7", 2), ("tidemark.example", 3)], "192.168.1.7:2 or tidemark.example:3"),
    ],
)
def test_only_what_others_can_reach_is_named(addresses: list[Address], named: str | None) -> None:
    line = exposed(addresses)
    if named is None:
        assert line is None
    else:
        assert line is not None
        assert line.startswith(f"everyone who reaches {named} may read and write. To close the door: python -m access")
        assert "TIDEMARK_KEYS" in line
        assert "\n" not in line
