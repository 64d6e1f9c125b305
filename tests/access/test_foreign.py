"""The boundary against foreign pages, as a function of the head and the connection's own address."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from access.foreign import Boundary, is_loopback, is_same_origin

OURS, NAMED, EVIL = "http://localhost:5000", "https://page.example", "https://evil.example"


def refused(boundary: Boundary, method: str = "GET", **head: Any) -> int | None:
    """The status of the refusal of a request on the loopback for localhost:5000, unless `head` says otherwise."""
    read: dict[str, Any] = {"host": "localhost:5000", "origin": None, "fetch_site": None, "fetch_mode": None} | head
    refusal = boundary.refusal(method, **({"own_address": "127.0.0.1"} | read))
    return None if refusal is None else refusal.status


@pytest.fixture(params=[False, True], ids=["without keys", "with keys"])
def keyed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def boundary(keyed: bool) -> Boundary:
    return Boundary((), (NAMED,), keyed=keyed)


CHANGES = [{"method": method} for method in ("POST", "DELETE", "PUT", "PATCH", "BREW")] + [{"websocket": True}]


@pytest.mark.parametrize("asked", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("head", "status"),
    [
        ({}, None),  # no browser
        ({"origin": OURS}, None),
        ({"origin": "http://LOCALHOST:5000"}, None),
        ({"origin": EVIL}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "http://localhost:5001"}, 403),
        ({"origin": "http://localhost:5000.evil.example"}, 403),
        ({"origin": "localhost:5000"}, 403),
        ({"origin": f"{OURS},{OURS}"}, 403),
        ({"origin": NAMED}, None),
        ({"origin": EVIL, "fetch_site": "same-origin"}, None),  # a proxy has written another Host
        ({"origin": EVIL, "fetch_site": "none"}, None),
        ({"origin": OURS, "fetch_site": "cross-site"}, 403),
        ({"origin": OURS, "fetch_site": "same-site"}, 403),
        ({"origin": OURS, "fetch_site": "same-origin,cross-site"}, 403),
        ({"origin": NAMED, "fetch_site": "cross-site"}, None),
        ({"fetch_site": "cross-site"}, 403),
        ({"fetch_site": "cross-site", "fetch_mode": "navigate"}, 403),
        ({"fetch_site": "", "origin": EVIL}, 403),
    ],
    ids=str,
)
def test_only_our_pages_and_named_ones_change_anything(
    asked: dict[str, Any], head: dict[str, str], status: int | None, boundary: Boundary
) -> None:
    assert refused(boundary, **asked, **head) == status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        ({"origin": EVIL}, None),  # the browser keeps the answer from that page
        ({"fetch_site": "cross-site", "fetch_mode": "no-cors"}, 403),
        ({"fetch_site": "cross-site", "fetch_mode": "cors", "origin": EVIL}, 403),
        ({"fetch_site": "cross-site", "fetch_mode": "cors", "origin": NAMED}, None),
        ({"fetch_site": "cross-site"}, 403),
        ({"fetch_site": "cross-site", "fetch_mode": "navigate"}, None),
        ({"fetch_site": "cross-site", "fetch_mode": "no-cors", "is_health": True}, None),
        ({"fetch_site": "same-site", "fetch_mode": "no-cors"}, None),
        ({"fetch_site": "same-origin", "fetch_mode": "cors"}, None),
        ({"fetch_site": "none", "fetch_mode": "navigate"}, None),
    ],
    ids=str,
)
def test_a_cross_site_read_is_refused_unless_it_navigates(
    method: str, head: dict[str, Any], status: int | None, boundary: Boundary
) -> None:
    assert refused(boundary, method, **head) == status


def test_a_preflight_is_left_to_cors(boundary: Boundary) -> None:
    assert refused(boundary, "OPTIONS", origin=EVIL, fetch_site="cross-site", fetch_mode="cors") is None


@pytest.mark.parametrize("asked", CHANGES, ids=str)
def test_a_star_names_all_pages_but_for_a_password_that_a_browser_sends_by_itself(asked: dict[str, Any]) -> None:
    for keyed, password, origin in product((False, True), (False, True), (EVIL, "null")):
        status = refused(Boundary((), ("*",), keyed=keyed), **asked, origin=origin, password=password)
        assert status == (403 if keyed and password else None)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LocalHost:5000", True),
        ("localhost.:5000", True),
        ("tide.localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("192.168.1.7", True),
        ("[::1]:5000", True),
        ("[::1]", True),
        ("tide.example:80", True),
        ("TIDE.example.", True),
        ("tide_mark", True),
        ("evil.example:5000", False),
        ("sub.tide.example", False),
        ("notlocalhost", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example,localhost", False),
        ("evil.example/.localhost", False),
        ("localhost:5000:5000", False),
        ("", False),
        ("x" * 8000 + ".localhost", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_name_is_misdirected_on_the_loopback(method: str, host: str, own: bool) -> None:
    boundary = Boundary(("tide.example", "tide_mark"), keyed=False)
    assert refused(boundary, method, host=host) == (None if own else 421)
    assert refused(boundary, method, host=host, own_address="192.168.1.7") is None
    assert refused(boundary, method, host=host, own_address="") is None  # a Unix socket
    assert refused(Boundary(keyed=True), method, host=host) is None  # a browser knows no password for that name


def test_a_refused_name_is_told_the_setting_and_no_more_than_its_beginning() -> None:
    refusal = Boundary(keyed=False).refusal("GET", "evil" * 1000, None, None, None, "::1")
    assert refusal is not None
    assert "TIDEMARK_ALLOWED_HOSTS" in refusal.detail
    assert len(refusal.detail) < 400


def test_without_a_host_there_is_no_name_to_check() -> None:
    assert refused(Boundary(keyed=False), "POST", host=None) is None
    assert refused(Boundary(keyed=False), "POST", host=None, origin="http://") == 403


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://tide_mark", "tide_mark", True),
        ("http://tide_mark", "tide_mark:80", True),
        ("http://tide_mark:80", "tide_mark", True),
        ("https://tide.example", "tide.example", True),
        ("https://tide.example", "tide.example:443", True),
        ("https://tide.example", "tide.example:80", False),
        ("https://tide.example:8443", "tide.example:8443", True),
        ("https://tide.example:8443", "tide.example", False),
        ("http://[::1]:5000", "[::1]:5000", True),
        ("http://[::1]", "[::1]:80", True),
        ("http://", "", False),
        ("null", "null", False),
        ("null", "", False),
        ("", "", False),
        (None, None, False),
        ("http://a b", "a b", False),
    ],
)
def test_an_origin_is_compared_with_the_raw_host(origin: str | None, host: str | None, same: bool) -> None:
    assert is_same_origin(origin, host) == same


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::", False),
        ("", False),
        ("1270.0.0.1", False),
    ],
)
def test_loopback_addresses(address: str, loopback: bool) -> None:
    assert is_loopback(address) == loopback
