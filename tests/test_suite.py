"""Runs of the suite: its files in a known order, and what repeats for certainty as often as asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.file_order import RECORD, VARIABLE, in_order
from tests.servers import CHECKOUT

FILES = "abcdefgh"
STARTING = "ceg"
PLUGINS = [word for name in ("tests.file_order", "tests.soak", "xdist") for word in ("-p", name)]
SOAKED = """
import pytest

@pytest.mark.soak(kills=(3, 100), seed=(range(1), range(2)))
def test_soaked(kills, seed):
    assert kills in (3, 100)
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of small files, of which some start processes."""
    for name in FILES:
        tests = "def test_one():\n    pass\n\ndef test_two():\n    pass\n"
        (tmp_path / f"test_{name}.py").write_text(f"import subprocess\n\n{tests}" if name in STARTING else tests)
    return tmp_path


def run(folder: Path, *args: str, **env: str) -> str:
    """Return what pytest prints there."""
    inherited = {name: value for name, value in os.environ.items() if name != VARIABLE}
    inherited |= {"PYTHONPATH": str(CHECKOUT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "--rootdir", str(folder), *PLUGINS, *args]
    done = subprocess.run(command, cwd=folder, env=inherited | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_in(output: str) -> str:
    """The letters of the files, in the order in which their tests ran."""
    tests = re.findall(r"^test_(\w)\.py::test_(?:one|two) PASSED", output, re.MULTILINE)
    assert tests[::2] == tests[1::2], "the tests of a file are not together"
    return "".join(tests[::2])


def test_files_run_at_random_and_a_seed_repeats_it_until_they_are_measured(suite: Path) -> None:
    first = run(suite, "-v")
    seed = re.findall(rf"{VARIABLE}=(\d+)", first)
    assert sorted(files_in(first)) == list(FILES)
    assert sorted(files_in(first)[: len(STARTING)]) == list(STARTING)
    assert f"test files: at random; {VARIABLE}={seed[0]}" in first
    record = suite / ".pytest_cache" / "v" / RECORD
    assert sorted(json.loads(record.read_text())) == [f"test_{name}.py" for name in FILES]
    record.write_text(json.dumps({f"test_{name}.py": seconds for seconds, name in enumerate(FILES)}))
    measured = run(suite, "-v")
    assert "test files: longest first" in measured
    assert files_in(measured) == FILES[::-1]
    assert files_in(run(suite, "-v", **{VARIABLE: seed[0]})) == files_in(first)
    assert len({tuple(in_order(FILES, {}, seed)) for seed in range(3)}) == 3


def test_processes_side_by_side_have_one_order_and_say_it_even_where_little_is_said(suite: Path) -> None:
    output = run(suite, "-q", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    assert len(re.findall(rf"test files: at random; {VARIABLE}=\d+", output)) == 1
    assert f"{2 * len(FILES)} passed" in output


def test_files_never_run_come_before_the_longest() -> None:
    assert in_order(["a", "b", "c", "d"], {"a": 1.0, "b": 9.0, "d": 3.0}, None) == ["c", "b", "d", "a"]


def test_what_repeats_runs_a_few_times_and_in_a_soak_at_full_length(suite: Path) -> None:
    (suite / "test_soaked.py").write_text(SOAKED)
    assert re.findall(r"test_soaked\[\S+\]", run(suite, "-v", "test_soaked.py")) == ["test_soaked[kills=3-seed=0]"]
    done = run(suite, "-v", "--soak", "-m", "soak")
    assert set(re.findall(r"test_soaked\[\S+\]", done)) == {f"test_soaked[kills=100-seed={seed}]" for seed in (0, 1)}
    assert "2 passed" in done
