"""`python -m access`: what it prints works, and nothing else does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from access.__main__ import main
from access.keys import parse_keys
from times import wall_clock

from ..servers import CHECKOUT


def test_a_new_key_works_and_its_entry_does_not_hold_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--name ingest --can write --series web/* --rate 1000/s --expires 2099-01-01"
    assert main(["new", *arguments.split()]) == 0
    printed = capsys.readouterr().out
    [token] = re.findall(r"tm_[\w-]{43}(?![\w-])", printed)
    text = printed[printed.index("[[key]]") :]
    assert token not in text
    key = parse_keys(text.encode()).find(token.encode(), wall_clock())
    assert key is not None
    assert (key.name, key.can, str(key.series), key.rate and key.rate.burst) == (
        "ingest",
        frozenset({"write"}),
        "web/*",
        1000,
    )


@given(st.lists(st.text(min_size=1, max_size=128), min_size=1, max_size=3))
@example(["\U0001f600/*"])
@example(['"quotes" and \\ud83d\\ude00 \x00\x1f\x7f\x85\u2028\r\n'])
def test_any_series_parses_back(series: list[str]) -> None:
    printed = StringIO()
    with redirect_stdout(printed):
        assert main(["new", "--name=x", "--can=read", *(f"--series={pattern}" for pattern in series)]) == 0
    text = printed.getvalue()
    assert text.isascii()
    [key] = parse_keys(text[text.index("[[key]]") :].encode())
    assert key.series is not None
    assert list(key.series.texts) == series


def test_what_is_no_text_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--name", "x", "--can", "read", "--series", "\udcff"]) == 2
    assert "access: it is not" in capsys.readouterr().err


def test_an_emoji_on_the_command_line() -> None:
    command = [sys.executable, "-m", "access", "new", "--name", "x", "--can", "read", "--series", "\U0001f600"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT, env=environment)
    assert 'series = ["\\U0001f600"]' in done.stdout


@pytest.mark.parametrize("can", [["write", "read"], ["write,read"], ["write", "--can", "read"]])
def test_several_scopes(can: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--name", "both", "--can", *can]) == 0
    assert 'can = ["write", "read"]' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "x", "--can", "admin"], "can must be"),
        (["--name", "a b", "--can", "read"], "name must be"),
        (["--name", "x", "--can", "read", "--rate", "5/s"], "rate is for events that are written"),
        (["--name", "x", "--can", "read", "--expires", "soon"], "it is not TOML"),
    ],
)
def test_a_key_that_would_not_work_is_not_made(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert not printed.out


def test_list_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.toml"
    for arguments in (
        "--name a --can write --rate 90/m --series x* y",
        "--name b --can read --max-streams 7 --expires 2020-01-01",
        "--name c --can metrics --expires 2999-01-01",
    ):
        main(["new", *arguments.split()])
        with file.open("a") as text:
            text.write(capsys.readouterr().out.split("\n\n", 2)[2])
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out == "good: 3 keys\n"
    assert main(["list", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a: may write; series x*, y; rate 1.5/s, burst 2",
        "b: may read; series *; at most 7 streams in a worker; expired 2020-01-01T00:00:00Z",
        "c: may metrics; series *; expires 2999-01-01T00:00:00Z",
    ]


def test_a_bad_file_is_one_line_and_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.toml"
    assert main(["check", str(file)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    file.write_text("[[key]]")
    assert main(["list", str(file)]) == 2
    assert capsys.readouterr().err == "access: key 1: name must be 1 to 64 letters, digits or any of _ . @ : / + -\n"


def test_the_file_is_that_of_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TIDEMARK_KEYS", raising=False)
    assert main(["check"]) == 2
    assert "set TIDEMARK_KEYS" in capsys.readouterr().err
    monkeypatch.setenv("TIDEMARK_KEYS", str(tmp_path / "none.toml"))
    assert main(["check"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "access", "new", "--name", "x", "--can", "read"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout
    assert printed.startswith("tm_")
