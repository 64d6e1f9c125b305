"""The order of the test files: those first that took longest in the last run, or a random one.

The tests of a file stay together and in their order. Slow files begin, so that none of them is what the other processes
wait for at the end; how long a file takes is measured in each run and remembered in pytest's cache. Without a record,
as in a fresh clone, or with `--file-seed`, the order is random: no file may rely on another to have run before it.
Only those that start processes come before the rest then, since the slowest are among them.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import pytest

VARIABLE = "TIDEMARK_TEST_SEED"
RECORD = "tidemark/file_seconds"
INPUT = "file_order"
STARTERS = {"Page", "Server", "System", "subprocess"}
"""Names of what starts processes: a test file that starts some has one of them."""
Order = tuple[int | None, dict[str, float]]
"""A seed, or the seconds of each file."""


def in_order(
    files: Collection[str], seconds: Mapping[str, float], seed: int | None, starting: Collection[str] = ()
) -> list[str]:
    """Return the files at random where there is a seed, first those that are starting processes; else the longest
    first, before them those never measured."""
    if seed is not None:
        return sorted(random.Random(seed).sample(sorted(files), len(files)), key=lambda file: file not in starting)
    return sorted(files, key=lambda file: (-seconds.get(file, float("inf")), file))


class FileOrder:
    """The plugin that puts the files in order, and measures them for the next run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._cache: pytest.Cache | None = getattr(config, "cache", None)
        self._measured: dict[str, float] = defaultdict(float)
        self._given: Order | None = getattr(config, "workerinput", {}).get(INPUT)
        """The order of the process that has started this one, if any: all must have the same."""
        order: Order = self._given or self._chosen()
        self._seed, self._seconds = order

    def _chosen(self) -> Order:
        seed = self._config.option.file_seed
        seconds = self._cache.get(RECORD, {}) if self._cache else {}
        return (random.randrange(10**6) if seed is None and not seconds else seed), seconds

    def __str__(self) -> str:
        seed = self._seed
        return "longest first" if seed is None else f"at random; {VARIABLE}={seed} has the same order again"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Say it at the beginning, also with -q, so that a run which hangs has said it too."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"test files: {self}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give the order to a process of xdist."""
        node.workerinput[INPUT] = self._seed, self._seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the files in order."""
        modules = {_file(item.nodeid): vars(item.module) for item in items if isinstance(item, pytest.Function)}
        starting = {file for file, names in modules.items() if not STARTERS.isdisjoint(names)}
        order = in_order({_file(item.nodeid) for item in items}, self._seconds, self._seed, starting)
        places = {file: place for place, file in enumerate(order)}
        items.sort(key=lambda item: places[_file(item.nodeid)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test took for its file."""
        self._measured[_file(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Remember it, beside what is known of the files that did not run."""
        if self._cache and not self._given:
            self._cache.set(RECORD, self._seconds | self._measured)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--file-seed`."""
    given = os.environ.get(VARIABLE)
    parser.addoption(
        "--file-seed",
        type=int,
        default=int(given) if given else None,
        help=f"run the test files in the random order of this number; {VARIABLE} says the same",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Put the files in order."""
    config.pluginmanager.register(FileOrder(config), INPUT)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
