"""The tests that repeat something for certainty, at full length: `python -m tests.soak`, or `make soak`.

`@pytest.mark.soak(kills=(3, 100))` gives a test the argument `kills`: 3 in the suite, where it must still be able to
fail, and 100 here. A range, as in `seed=(range(2), range(30))`, makes a test of each of its numbers. The names of the
tests say the numbers, so that the output says what was done.
"""

from __future__ import annotations

import sys

import pytest

MARK = "soak"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test the numbers of its mark: those of the suite, or those of `--soak`."""
    for mark in metafunc.definition.iter_markers(MARK):
        for name, (suite, soak) in mark.kwargs.items():
            chosen = soak if metafunc.config.option.soak else suite
            numbers = chosen if isinstance(chosen, range) else [chosen]
            metafunc.parametrize(name, numbers, ids=[f"{name}={number}" for number in numbers])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--soak`."""
    parser.addoption("--soak", action="store_true", help="repeat at full length what the suite repeats a few times")


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line("markers", f"{MARK}(name=(suite, soak), ...): numbers of the suite, and of tests/soak.py")


def main() -> int:
    """Run them all, or those that the arguments name, one line each; those that hypothesis feeds are among them."""
    return pytest.main(["--soak", "-m", f"{MARK} or hypothesis", "-v", "-rP", "--durations=0", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
