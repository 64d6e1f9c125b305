"""Content of the container image: all that the service runs on, and nothing else that lies about."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

from tests import servers
from tests.servers import CHECKOUT, Server
from tests.test_requirements import CLIENT, COMMAND_LINE, ROOMS

PAGES = {".html", ".js", ".css", ".svg", ".lua"}
SECRETS = [
    "key.pem",
    "cert.pem",
    "keys.toml",
    "keys.prod.toml",
    "prod.env",
    ".env",
    "env",
    "keys/keys.toml",
    "id_rsa",
    "token",
    "secrets.json",
    "instance/events/head",
    "access/keys.toml",
    "access/prod.env",
    "dashboard/static/key.pem",
    "event_log/redis/scripts/key.pem",
    ".git/config",
    ".venv/lib/python3.13/site-packages/flask/app.py",
]


def as_expression(pattern: str) -> str:
    """A pattern of a .dockerignore as a regular expression: `**/` is any number of folders, `*` ends at a slash."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    return "".join(words.get(part, re.escape(part)) for part in parts)


@cache
def rules() -> list[tuple[bool, re.Pattern[str]]]:
    """The lines of the .dockerignore: whether each lets in, and what it matches."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [(line.startswith("!"), re.compile(as_expression(line.removeprefix("!")))) for line in patterns]


def is_in_image(path: str) -> bool:
    """Return whether Docker copies this file: the last rule decides that matches it or a folder above it."""
    above = [path, *map(str, PurePosixPath(path).parents)]
    verdicts = [lets_in for lets_in, pattern in rules() if any(map(pattern.fullmatch, above))]
    return verdicts[-1] if verdicts else True


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return listed.splitlines()


def is_needed(path: str) -> bool:
    """Return whether the service runs on it."""
    room, slash, _ = path.partition("/")
    if not slash:
        return path in ("requirements.txt", "tidemark") or path.endswith(".py")
    if str(PurePosixPath(path).parent) == CLIENT:
        return path.endswith(".py") and PurePosixPath(path).name not in COMMAND_LINE
    return room in ROOMS and PurePosixPath(path).suffix in PAGES | {".py"}


def test_the_image_holds_exactly_what_the_service_needs() -> None:
    files = tracked()
    assert list(filter(is_in_image, files)) == list(filter(is_needed, files))


@pytest.mark.parametrize("path", SECRETS)
def test_no_secret_can_enter_the_image(path: str) -> None:
    assert not is_in_image(path)


def test_the_service_runs_on_what_is_in_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "image"
    for path in filter(is_in_image, tracked()):
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / path, image / path, follow_symlinks=False)
    monkeypatch.setattr(servers, "CHECKOUT", image)
    with Server(["-w", "1"]) as server:
        assert server.post("/events", {"values": [1, 2]}).status_code == 201
        for path in ("/", "/docs", "/openapi.json", "/dialects/batches/docs", "/metrics", "/health/live"):
            assert server.get(path).status_code == 200
        for asset in re.findall(r'(?:src|href)="([\w./-]+\.(?:js|css|svg))"', server.get("/").text):
            assert server.get(asset if asset.startswith("/") else f"/{asset}").status_code == 200
        line = f"-m simulator --url {server.url} --rate 0 --count 5 -q"
        ran = subprocess.run([sys.executable, *line.split()], cwd=image, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, "events    5 accepted" in ran.stdout) == (0, True), ran.stderr
