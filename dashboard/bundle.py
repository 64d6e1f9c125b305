"""The modules of the page as one script, so that the page takes one request for all, and never lacks one of them.

Each module becomes a function that returns what the module exports, after those that it imports from. Two kinds of
statement are read: `import { a, b } from "./name.js";` (or `* as name`), and `export` before the declaration of a
function, class or constant. A module with another kind is refused, so that nothing is lost in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path

MODULES = Path(__file__).parent / "modules"

_IMPORT = re.compile(
    r'^import (?:\* as (?P<all>\w+)|(?P<names>\{ \w+(?:, \w+)* \})) from "\./(?P<module>\w+)\.js";$', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (?P<name>\w+))", re.MULTILINE)
_NEITHER = re.compile(r"^\s*(?:import|export)\b.*", re.MULTILINE)

Version = tuple[tuple[Path, int], ...]
"""The files of the modules, and when each was changed."""


def script() -> bytes:
    """Return all modules as one script; it is made anew where a file has changed."""
    return _script(tuple(sorted((path, path.stat().st_mtime_ns) for path in MODULES.glob("*.js"))))


@lru_cache(1)
def _script(version: Version) -> bytes:
    return bundle({path.stem: path.read_text() for path, _ in version}).encode()


def bundle(modules: Mapping[str, str]) -> str:
    """Return one script of these modules, by name. Raises ValueError (a CycleError is one) if they cannot be joined."""
    imports = {name: [match["module"] for match in _IMPORT.finditer(text)] for name, text in modules.items()}
    return "".join(_as_function(name, modules[name]) for name in TopologicalSorter(imports).static_order())


def _as_function(name: str, text: str) -> str:
    exported = ", ".join(match["name"] for match in _EXPORT.finditer(text))
    body = _EXPORT.sub("", _IMPORT.sub(_as_constant, text))
    if found := _NEITHER.search(body):
        raise ValueError(f"{name}.js has an import or export of another kind: {found[0].strip()}")
    return f"const {name}_module = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"


def _as_constant(match: re.Match[str]) -> str:
    return f"const {match['all'] or match['names']} = {match['module']}_module;"
