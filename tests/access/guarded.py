"""An application behind keys, and every operation of its document asked as it asks to be."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access.keys import hash_of

START = "2025-06-26T14:30:00Z"
"""Time at which the clock of the tests stands."""
KEYS = {
    "everything": 'can = ["write", "read", "delete", "metrics"]',
    "reading": 'can = ["read"]',
    "writing": 'can = ["write"]',
    "expired": f'can = ["write", "read", "delete", "metrics"]\nexpires = {START}',
    "restricted": 'can = ["write", "read", "delete", "metrics"]\nseries = ["ours", "ours/*"]',
}
TOKENS = {name: f"tm_{name:_<43}" for name in (*KEYS, "few", "many")}
"""Tokens that tests can name."""
_ARGUMENTS = {"series": "theirs", "symbol": "theirs", "instrument": "theirs", "ticker": "theirs", "k": "3"}


def write_keys(path: Path, *names: str) -> None:
    """Write the key file, with these keys or all."""
    entries = (f'[[key]]\nname = "{name}"\nhash = "{hash_of(TOKENS[name])}"\n{KEYS[name]}' for name in names or KEYS)
    path.write_text("\n\n".join(entries))


def bearer(name: str) -> dict[str, str]:
    """The header that brings this key's token."""
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def basic(name: str, user: str = "me") -> dict[str, str]:
    """The same, as a browser does it."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{TOKENS[name]}".encode()).decode()}


@dataclass(frozen=True)
class Call:
    """One operation, with a request that works but for the key."""

    path: str
    method: str
    scope: str | None
    """Scope that its key needs by the OpenAPI document."""
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    websocket: bool = False

    def __str__(self) -> str:
        kind = self.headers.get("Content-Type", "")
        return f"{self.method.upper()} {self.path} {kind}".strip()

    def ask(self, client: FlaskClient, headers: Mapping[str, str] | None = None) -> TestResponse:
        """The answer."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"} if self.websocket else {}
        sent = {**self.headers, **upgrade, **(headers or {})}
        base = "ws://localhost/" if self.websocket else None
        return client.open(
            self.url, method=self.method.upper(), data=self.body, headers=sent, base_url=base, buffered=True
        )


def calls(document: Mapping[str, Any]) -> Iterator[Call]:
    """Every operation of the document, once for each way to send its body."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield from _calls(path, method, operation)


def _calls(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[Call]:
    scope = operation["description"].rpartition("may `")[2].rstrip("`.") if "security" in operation else None
    url = path
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "path":
            url = url.replace(f"{{{parameter['name']}}}", _ARGUMENTS.get(parameter["name"], "style.css"))
        elif parameter.get("in") == "query" and parameter.get("required"):
            url += f"{'&' if '?' in url else '?'}{parameter['name']}={_ARGUMENTS[parameter['name']]}"
    websocket = "101" in operation["responses"]
    bodies = operation.get("requestBody", {}).get("content", {})
    if not bodies:
        yield Call(path, method, scope, url, websocket=websocket)
    for kind, media in bodies.items():
        for example in media["examples"].values():
            value = example["value"]
            body = value.encode() if isinstance(value, str) else orjson.dumps(value)
            yield Call(path, method, scope, url, body, {"Content-Type": kind})
