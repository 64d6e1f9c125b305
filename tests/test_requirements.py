"""The requirement files: complete, pinned, and neither more nor less than the code imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.no_cover
CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = (
    "access",
    "alerts",
    "api",
    "dashboard",
    "dialects",
    "event_log",
    "metrics",
    "prometheus",
    "rolling",
    "serving",
    "simulator",
    "streaming",
    "view",
    "watched",
)
CLIENT = "client/tidemark"
COMMAND_LINE = {"cli.py", "words.py"}
"""Modules of the client that nothing of the service imports; what they draw with is not installed for it."""
LEFT_OUT = {"uplot-python"}
"""Packages whose own requirements we do without; requirements.txt says why."""
LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:; (?P<marker>[^#]+?))?(?:\s+# \S.*)?")

FINDERS = ("folder_in_package", "find_spec", "import_module", "files")
"""Calls whose first argument names a package."""


@cache
def pins(name: str) -> dict[str, str]:
    lines = (CHECKOUT / name).read_text().splitlines()
    matches = [LINE.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert all(matches), f"{name}: every line is name==version, perhaps a marker and, mostly, a reason"
    here = [match for match in matches if match and (not match["marker"] or Marker(match["marker"]).evaluate())]
    return {canonicalize_name(match["name"]): match["version"] for match in here}


def needs_of(package: str) -> set[str]:
    requirements = map(Requirement, metadata.requires(package) or [])
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


def modules() -> Iterator[Path]:
    yield from CHECKOUT.glob("*.py")
    for room in ROOMS:
        yield from (CHECKOUT / room).rglob("*.py")
    yield from (path for path in (CHECKOUT / CLIENT).glob("*.py") if path.name not in COMMAND_LINE)


def imported() -> set[str]:
    """The top-level names that the code of the service imports, or whose files it serves."""
    names = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in FINDERS:
                names |= {str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    return names


@cache
def packages_imported() -> set[str]:
    ours = {path.stem for path in CHECKOUT.glob("*.py")} | {*ROOMS, "tidemark"}
    foreign = imported() - ours - set(sys.stdlib_module_names)
    owners = metadata.packages_distributions()
    return {canonicalize_name(owners[name][0]) for name in foreign}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_pinned_is_what_is_installed(name: str) -> None:
    assert {package: metadata.version(package) for package in pins(name)} == pins(name)


def test_the_runtime_set_is_complete_without_resolving() -> None:
    pinned = pins("requirements.txt")
    missing = {
        need: package
        for package in pinned
        if package not in LEFT_OUT
        for need in needs_of(package)
        if need not in pinned
    }
    assert missing == {}


def test_nothing_is_installed_twice_or_for_nobody() -> None:
    runtime = pins("requirements.txt")
    assert not runtime.keys() & pins("requirements-dev.txt").keys()
    needed = {need for package in runtime if package not in LEFT_OUT for need in needs_of(package)}
    assert runtime.keys() - needed == packages_imported() - needed


def test_every_import_of_the_service_is_declared() -> None:
    assert packages_imported() <= pins("requirements.txt").keys()
