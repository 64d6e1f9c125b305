"""The Chromium that browser tests drive: one that is there, Debian's, or Playwright's own."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.debian import can_install, install

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEBIAN = ("chromium", "fonts-liberation")


def executable() -> str | None:
    """The Chromium of this machine; None when there is none, so that Playwright uses its own."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure() -> str:
    """Make sure that there is a browser, and say in one line which."""
    if found := executable():
        return f"browser: {found}"
    if can_install():
        install(*DEBIAN)
        return f"browser: installed Debian's {executable()}"
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return "browser: Playwright's own Chromium"


if __name__ == "__main__":
    print(ensure())
