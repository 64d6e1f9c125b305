"""The documents keep their word: examples give what they print, settings and links are all there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import VARIABLES
from tests.servers import CHECKOUT, Server

README = CHECKOUT / "README.md"
PAGES = sorted([README, *(CHECKOUT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
COMMAND = re.compile(r"^\$ (?P<command>curl .*)\n(?P<answer>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def examples(page: Path) -> list[tuple[str, str]]:
    """Commands and what they are said to print, in order."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [(found["command"], found["answer"]) for block in blocks for found in COMMAND.finditer(block)]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(["-w", "1"]) as server:
        yield server


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.name)
def test_examples_give_what_they_print(page: Path, server: Server) -> None:
    for command, answer in examples(page):
        here = command.replace("localhost:5000", f"127.0.0.1:{server.port}")
        printed = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout
        assert printed.rstrip() == answer.rstrip(), command


def test_first_screen_of_the_readme_has_an_example() -> None:
    assert "```console\n$ curl" in "\n".join(README.read_text().splitlines()[:25])


def test_the_readme_is_read_in_minutes() -> None:
    assert len(README.read_text().splitlines()) <= 160


def test_every_page_is_in_the_readme() -> None:
    links = {path for path, _ in LINK.findall(README.read_text())}
    assert {f"docs/{page.name}" for page in PAGES if page != README} <= links


def rows_of(page: Path) -> list[list[str]]:
    return [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| `TIDEMARK_")]


def test_the_settings_are_documented_with_their_defaults_and_meanings() -> None:
    rows = rows_of(CHECKOUT / "docs" / "settings.md")
    assert [name.strip("| `") for name, _, _ in rows] == list(VARIABLES)
    for (_, default, meaning), field in zip(rows, VARIABLES.values(), strict=True):
        assert default == (f"`{field.metadata['default']}`" if field.metadata["default"] else "none")
        assert meaning.startswith(field.metadata["meaning"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
