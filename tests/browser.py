"""The Chromium that browser tests drive: one that is there, Debian's, or Playwright's own.

All tests of a process share one browser and one driver: Playwright's driver runs an event loop in the main thread, in
which a second one refuses to start.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.debian import can_install, install

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The first has no window: a page takes two thirds of the processor time that it takes in the whole browser."""
FONTS = "fonts-liberation"
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
PATIENCE_MS = 120_000
"""Maximum milliseconds until an expectation comes true. It is no demand on speed: a machine may be slow."""


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    """The one driver of this process; tests/conftest.py hands it and the browser to every test."""
    from playwright.sync_api import expect, sync_playwright  # most test processes need no browser

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    """The Chromium of this machine, headless."""
    running = launch(driver)
    yield running
    running.close()


def launch(driver: Playwright, *args: str) -> Browser:
    """A browser with these arguments too."""
    return driver.chromium.launch(executable_path=executable(), args=[*ARGS, *args])


def executable() -> str | None:
    """The Chromium of this machine; None when there is none, so that Playwright uses its own."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure() -> str:
    """Make sure that there is a browser, and say in one line which."""
    if found := executable():
        return f"browser: {found}"
    if can_install():
        with suppress(subprocess.CalledProcessError):  # older releases of Debian do not have it
            install(NAMES[0], FONTS)
        if not executable():
            install(NAMES[1], FONTS)
        return f"browser: installed Debian's {executable()}"
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return "browser: Playwright's own Chromium"


if __name__ == "__main__":
    print(ensure())
