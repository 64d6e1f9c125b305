"""Where a server can listen, and how a browser finds it."""

from __future__ import annotations

import re
import socket

import pytest

from serving.addresses import CannotListen, check_free, local_url
from tests.servers import reserve_port


def test_a_port_where_another_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = f"port {port} is already in use; end what runs there, or choose another: PORT={port + 1}"
        with pytest.raises(CannotListen, match=f"^{re.escape(message)}$"):
            check_free("127.0.0.1", port)
        with pytest.raises(CannotListen, match=r"make demo$"):
            check_free("0.0.0.0", port, "make demo")


def test_a_port_that_is_only_bound_is_free() -> None:
    with reserve_port() as reservation:
        check_free("127.0.0.1", reservation.getsockname()[1])
    check_free("127.0.0.1", 0)


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on 192.0.2.1, port 65535 \(.*\); choose another: PORT=5000"):
        check_free("192.0.2.1", 65535)


def test_an_ipv6_port_is_free_where_there_is_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        with pytest.raises(CannotListen, match="cannot listen on ::1"):
            check_free("::1", 0)
    else:
        check_free("::1", 0)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("example.org", "http://example.org:80")],
)
def test_the_address_for_a_browser(host: str, url: str) -> None:
    assert local_url(host, 80) == url
    assert local_url(host, 80, "https") == url.replace("http", "https")
