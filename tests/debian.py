"""Debian's packages for the tests: unpacked beside the Python packages where installing one would start a service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def executable(name: str, package: str) -> str | None:
    """Where a program is: on the PATH, or in its package as `unpack` left it; None when it is nowhere."""
    unpacked = Path(sys.prefix, package, "usr")
    folders = (os.environ.get("PATH", ""), "/usr/sbin", str(unpacked / "bin"), str(unpacked / "sbin"))
    return shutil.which(name, path=os.pathsep.join(folders))


def required(name: str, package: str) -> str:
    """The same, for a test, which cannot do without."""
    found = executable(name, package)
    assert found, f"{name} is missing: run `make {package}`"
    return found


def ensure(package: str, *names: str) -> str:
    """Make sure that these programs of a package are there, and say in one line where."""
    if not all(executable(name, package) for name in names):
        if shutil.which("apt-get") is None:
            raise SystemExit(f"{package} is missing: install it, so that these are on the PATH: {', '.join(names)}")
        unpack(package)
    return f"{package}: {executable(names[0], package)}"


def unpack(package: str) -> None:
    """Fetch a package and unpack it. Nothing of it is installed, and no service started."""
    with tempfile.TemporaryDirectory() as directory:
        if os.geteuid() == 0:
            Path(directory).chmod(0o777)  # apt downloads as a user of its own
            apt("update")
        subprocess.run(["apt-get", "-qq", "download", package], check=True, cwd=directory)
        [file] = Path(directory).glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", file, Path(sys.prefix, package)], check=True)


def can_install() -> bool:
    """Not on Ubuntu, whose package of Chromium is an empty one that points to a snap."""
    release = Path("/etc/os-release")
    return os.geteuid() == 0 and release.exists() and "ID=debian" in release.read_text().splitlines()


def install(*packages: str) -> None:
    """Install packages that start no service."""
    apt("update")
    apt("install", "--yes", "--no-install-recommends", *packages)


def apt(*arguments: str) -> None:
    """Run apt-get, quietly."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
