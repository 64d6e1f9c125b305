"""Servers over TLS for tests, with a certificate signed by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.servers import Server


def certificate(folder: Path) -> None:
    """Write `cert.pem` and `key.pem` for localhost."""
    options = "-newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command = ["openssl", "req", "-x509", *options.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


class TlsServer(Server):
    """A server over TLS; for `requests` its certificate has to stand in REQUESTS_CA_BUNDLE."""

    def __init__(self, folder: Path, args: Sequence[str] = (), env: dict[str, str] | None = None) -> None:
        files = ["--certfile", str(folder / "cert.pem"), "--keyfile", str(folder / "key.pem")]
        super().__init__([*args, *files], env)

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"https://localhost:{self.port}"
