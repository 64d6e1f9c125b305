"""A real nginx before real servers, with the configuration that deploy/ ships."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from tests import debian
from tests.servers import CHECKOUT, reserve_port, until

PACKAGE = "nginx"
CONFIGURATION = CHECKOUT / "deploy" / "nginx.conf"


@contextmanager
def nginx(ports: Sequence[int]) -> Iterator[str]:
    """nginx before two servers on these ports; its URL."""
    program = debian.required("nginx", PACKAGE)
    with reserve_port() as reservation, tempfile.TemporaryDirectory(prefix="tidemark-nginx-") as folder:
        port = reservation.getsockname()[1]
        path = Path(folder, "nginx.conf")
        path.write_text(_adapted(CONFIGURATION.read_text(), ports, port, folder))
        process = subprocess.Popen([program, "-e", f"{folder}/error", "-c", str(path), "-p", folder])
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), "nginx to answer")
            yield url
        finally:
            process.terminate()
            process.wait()


def _adapted(text: str, ports: Sequence[int], port: int, folder: str) -> str:
    """The configuration with other addresses, in a folder of its own; nothing else is different."""
    for name, own in zip(("one", "two"), ports, strict=True):
        text, replaced = re.subn(rf"server {name}:5000", f"server 127.0.0.1:{own}", text)
        assert replaced == 1
    text, replaced = re.subn(r"listen 80;", f"listen 127.0.0.1:{port};", text)
    assert replaced == 1
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text, replaced = re.subn(r"http \{\n", f"http {{\n{places}", text)
    assert replaced == 1
    return f"daemon off;\npid {folder}/pid;\n{text}"


def _answers(url: str) -> bool:
    try:
        requests.get(f"{url}/health/live", timeout=60)
    except requests.ConnectionError:
        return False
    return True


if __name__ == "__main__":
    print(debian.ensure(PACKAGE, "nginx"))
