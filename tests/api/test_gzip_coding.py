from __future__ import annotations

import gzip
import tracemalloc

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from api.gzip_coding import MOST_MEMBERS, TooLarge, is_wanted, pack, unpack

KIB = 1024
TEXT = b"timestamp,value\n2025-06-26T14:30:00Z,12.34\n"


@given(st.lists(st.binary(max_size=200) | st.just(b"x" * 100_000), max_size=5))
def test_members_are_joined(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    body = b"".join(map(gzip.compress, parts))
    assert unpack(body, len(whole)) == whole
    if whole:
        with pytest.raises(TooLarge):
            unpack(body, len(whole) - 1)


@given(st.binary(max_size=5000))
def test_what_is_packed_unpacks(body: bytes) -> None:
    assert unpack(pack(body), len(body)) == body
    assert pack(body) == pack(body)


def test_a_large_body_is_packed_in_portions() -> None:
    body = bytes(range(256)) * 4096
    assert gzip.decompress(pack(body)) == body


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * KIB * KIB))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            unpack(bomb, 100 * KIB)
        assert tracemalloc.get_traced_memory()[1] < 1000 * KIB
    finally:
        tracemalloc.stop()


@given(st.integers(1, 200))
def test_one_that_broke_off_is_refused(length: int) -> None:
    body = gzip.compress(TEXT)
    with pytest.raises(ValueError, match="it broke off"):
        unpack(body[: min(length, len(body) - 1)], KIB)


@pytest.mark.parametrize("garbage", [b"more", b"\0\0", TEXT])
def test_nothing_else_may_follow(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="incorrect header check"):
        unpack(gzip.compress(TEXT) + garbage, KIB)


def test_a_wrong_checksum_is_noticed() -> None:
    body = bytearray(gzip.compress(TEXT))
    body[-5] ^= 1
    with pytest.raises(ValueError, match="incorrect data check"):
        unpack(bytes(body), KIB)


def test_members_are_bounded() -> None:
    assert unpack(gzip.compress(b"") * MOST_MEMBERS, KIB) == b""
    with pytest.raises(ValueError, match="more than 1000 members"):
        unpack(gzip.compress(b"") * (MOST_MEMBERS + 1), KIB)


@pytest.mark.parametrize(
    ("accepts", "wanted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip, deflate", True),
        ("gzip;q=0", False),
        ("gzip; q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("br", False),
    ],
)
def test_who_wants_gzip(app: Flask, accepts: str | None, wanted: bool) -> None:
    headers = {} if accepts is None else {"Accept-Encoding": accepts}
    with app.test_request_context(headers=headers):
        assert is_wanted() == wanted
