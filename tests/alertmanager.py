"""The Alertmanager that tests send to: one that is there, or Debian's."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import debian

PACKAGE = "prometheus-alertmanager"
SHARED = "/usr/share/prometheus/alertmanager"
"""Where Debian's looks for its templates, by a path that stands in the program."""


def prepare(folder: Path) -> Path:
    """Return a program to run in a folder: one that was unpacked, not installed, finds its templates there."""
    found = Path(debian.required(PACKAGE, PACKAGE))
    templates = list(Path(f"{found.parents[2]}{SHARED}").glob("*.tmpl"))
    if Path(SHARED).exists() or not templates:
        return found
    program = folder / PACKAGE
    program.write_bytes(found.read_bytes().replace(SHARED.encode(), b"./" * (len(SHARED) // 2)))
    program.chmod(0o755)
    for template in templates:
        shutil.copy(template, folder)
    return program


if __name__ == "__main__":
    print(debian.ensure(PACKAGE, PACKAGE))
