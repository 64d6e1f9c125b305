"""Servers over TLS for tests, with a certificate signed by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers import Server


def certificate(folder: Path) -> None:
    """Write `cert.pem` and `key.pem` for localhost."""
    options = "-newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command = ["openssl", "req", "-x509", *options.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def trusted_certificate(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """Make a certificate that requests trusts for as long as the patch lasts; return gunicorn's arguments for it."""
    certificate(folder)
    patch.setenv("REQUESTS_CA_BUNDLE", str(folder / "cert.pem"))
    return ["--certfile", str(folder / "cert.pem"), "--keyfile", str(folder / "key.pem")]


class TlsServer(Server):
    """A server that is asked over TLS."""

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"https://localhost:{self.port}"
