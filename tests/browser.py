"""The Chromium that browser tests drive: one that is there, Debian's, or Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEBIAN = ("chromium", "fonts-liberation")


def executable() -> str | None:
    """The Chromium of this machine; None when there is none, so that Playwright uses its own."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure() -> str:
    """Make sure that there is a browser, and say in one line which."""
    if found := executable():
        return f"browser: {found}"
    if os.geteuid() == 0 and is_debian():
        apt("update")
        apt("install", "--yes", "--no-install-recommends", *DEBIAN)
        return f"browser: installed Debian's {executable()}"
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return "browser: Playwright's own Chromium"


def is_debian() -> bool:
    """Not Ubuntu: its package of that name is an empty one that points to a snap."""
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text().splitlines()


def apt(*arguments: str) -> None:
    """Run apt-get, quietly."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    print(ensure())
