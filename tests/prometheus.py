"""The Prometheus that tests scrape with: one that is there, or Debian's, unpacked beside the Python packages.

It is not installed: its package would start a service, and none of ours may be left running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UNPACKED = Path(sys.prefix) / "prometheus"


def executable(name: str) -> str | None:
    """Where `prometheus` or `promtool` is; None when it is nowhere."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), str(UNPACKED / "usr/bin"))))


def required(name: str) -> str:
    """The same, for a test, which cannot do without."""
    found = executable(name)
    assert found, f"{name} is missing: run `make prometheus`"
    return found


def ensure() -> str:
    """Make sure that there is one, and say in one line which."""
    if not executable("prometheus") or not executable("promtool"):
        if shutil.which("apt-get") is None:
            raise SystemExit("prometheus is missing: install it, so that `prometheus` and `promtool` are on the PATH")
        _unpack()
    return f"prometheus: {executable('prometheus')}"


def _unpack() -> None:
    with tempfile.TemporaryDirectory() as directory:
        if os.geteuid() == 0:
            Path(directory).chmod(0o777)  # apt downloads as a user of its own
            subprocess.run(["apt-get", "-qq", "update"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["apt-get", "-qq", "download", "prometheus"], check=True, cwd=directory)
        [package] = Path(directory).glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, UNPACKED], check=True)


if __name__ == "__main__":
    print(ensure())
