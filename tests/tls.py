"""Real servers under TLS, with a certificate made for the test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers import Server


class TlsServer(Server):
    """A server that is asked over TLS."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self.port}"


def certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make a certificate that requests trusts for as long as the test lasts; return gunicorn's arguments for it."""
    options = "-newkey rsa:2048 -nodes -days 2 -subj /CN=tidemark.example -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", "req", "-x509", *options.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "cert.pem"))
    return ["--certfile", str(folder / "cert.pem"), "--keyfile", str(folder / "key.pem")]
