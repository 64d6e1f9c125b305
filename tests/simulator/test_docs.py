"""docs/simulator.md says what is so: its commands are run or read, its options are those there are."""

from __future__ import annotations

import re
import shlex

import pytest

from simulator.__main__ import main
from simulator.options import read_options
from tests.servers import CHECKOUT, Server

TEXT = (CHECKOUT / "docs" / "simulator.md").read_text()
PROMPT = "$ python -m simulator"
COMMANDS = [line.strip().removeprefix(PROMPT) for line in TEXT.splitlines() if line.strip().startswith(PROMPT)]


def masked(text: str) -> list[str]:
    """The lines of a run without what differs from run to run: the address, times, rates and latencies."""
    text = re.sub(r"http://[\d.:]+\d", "URL", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"in [\d.]+ m?s", "in SO LONG", text)
    text = re.sub(r"[\d,.]+ ms", "SO LONG", text)
    text = re.sub(r": [\d,.]+/s", ": SO FAST", text)
    return text.strip().splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_right(command: str) -> None:
    read_options(shlex.split(command))


def test_a_seeded_example_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    [(command, shown)] = re.findall(rf"{re.escape(PROMPT)}([^\n]* -v)\n(.*?)```", TEXT, re.DOTALL)
    with Server(["-w", "1"]) as server:
        assert main([*shlex.split(command), "--timeout", "60s", "--url", server.url]) == 0
    assert masked(capsys.readouterr().out) == masked(shown)


def test_every_option_is_explained_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(["--help"])
    options = set(re.findall(r"^  (?:-\w, )?(--\w+)", capsys.readouterr().out, re.MULTILINE))
    explained = set(re.findall(r"^\| .*?`(--\w+)", TEXT, re.MULTILINE))
    assert explained == options
