"""docs/architecture.md names what there is, and imports run the way it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.servers import CHECKOUT

PAGE = (CHECKOUT / "docs" / "architecture.md").read_text()
NAMES = sorted(set(re.findall(r"`([\w.]+(?:/[\w.]+)*/?)`", PAGE)))
LAYERS = [
    ["rolling"],
    ["event_log"],
    ["view"],
    ["event_service"],
    ["streaming"],
    ["alerts"],
    ["api"],
    ["dialects", "dashboard", "prometheus"],
]
"""From the lowest; each may import itself and what is below it."""
SEPARATE = {"event_log": {"rolling"}}
"""Beside each other, though one is listed below."""


def is_there(name: str) -> bool:
    """Return whether a path, or a dotted name from a module of ours, exists."""
    if "/" in name or (CHECKOUT / name).exists():
        return (CHECKOUT / name).exists()
    words = name.split(".")
    for end in range(len(words), 0, -1):
        module = "/".join(words[:end])
        if (CHECKOUT / f"{module}.py").exists() or (CHECKOUT / module / "__init__.py").exists():
            found: object = import_module(".".join(words[:end]))
            for word in words[end:]:
                found = getattr(found, word, None)
            return found is not None
    return False


@pytest.mark.parametrize("name", [name for name in NAMES if "." in name or "/" in name])
def test_what_the_page_names_is_there(name: str) -> None:
    assert is_there(name)


@pytest.mark.parametrize("name", ["api/feed/", "api.routes.events.nothing", "nothing.at_all", "nothing.py"])
def test_what_is_not_there_is_noticed(name: str) -> None:
    assert not is_there(name)


def test_every_room_is_on_the_page() -> None:
    rooms = {f"{path.parent.name}/" for path in CHECKOUT.glob("*/*.py")} - {"tests/", "benchmarks/"}
    modules = {path.name for path in CHECKOUT.glob("*.py")}
    assert rooms - {"api/"} | modules <= set(NAMES)


def test_the_top_of_the_checkout_is_read_at_a_glance() -> None:
    assert {path.name for path in CHECKOUT.glob("*.py")} == {
        *("app.py", "event_service.py", "gunicorn.conf.py", "settings.py", "times.py")
    }


def imported(path: Path) -> Iterator[str]:
    """The first word of each module that this one imports when it runs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)


@pytest.mark.parametrize("height", range(len(LAYERS)), ids=lambda height: "+".join(LAYERS[height]))
def test_imports_run_one_way(height: int) -> None:
    above = {"app"}.union(*LAYERS[height + 1 :])
    for room in LAYERS[height]:
        paths = [CHECKOUT / f"{room}.py", *(CHECKOUT / room).rglob("*.py")]
        for path in filter(Path.exists, paths):
            assert not set(imported(path)) & (above | SEPARATE.get(room, set())), path
