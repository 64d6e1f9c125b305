"""Takes the README's pictures of the dashboard: `python -m tests.dashboard.screenshots`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from tempfile import NamedTemporaryFile
from typing import Any, Literal

from playwright.sync_api import Browser, expect, sync_playwright

from tests import browser as chromium
from tests.dashboard.conftest import DESKTOP, PHONE
from tests.servers import CHECKOUT, Server, until

FOLDER = CHECKOUT / "docs" / "images"
PRICES = {
    "AAPL": 189.4, "AMZN": 181.1, "ASML": 902.3, "BTC/USD": 67123.5, "ETH/USD": 3412.2, "EUR/USD": 1.0821,
    "GOOGL": 172.6, "META": 498.7, "MSFT": 415.2, "NESN": 98.4, "NVDA": 121.3, "SAP": 184.2, "SIE": 172.3,
    "TSLA": 251.9,
}  # fmt: skip
SHOWN = "ASML"
RULE = """
[[alert]]
name = "ASML is low"
series = "ASML"
statistic = "mean"
window = "1m"
below = 905
"""
STEP = 0.0003
SPREAD = 0.0012
"""Spread of what is paid around the price, so that minimum, percentiles and maximum differ."""
HISTORY_SECONDS = 20 * 60
EVENTS_A_SECOND = 60.0
LARGEST = 200_000
"""Bytes of a picture; a README should open quickly."""


class Market:
    """Random walks of some instruments; the same on every run."""

    def __init__(self, seed: int = 11) -> None:
        self._random = random.Random(seed)
        self._prices = dict(PRICES)

    def event(self, at: float) -> dict[str, Any]:
        """The next event of some instrument, dated `at` seconds since the epoch."""
        name = self._random.choice(list(self._prices))
        self._prices[name] *= 1 + self._random.gauss(0, STEP)
        paid = self._prices[name] * (1 + self._random.gauss(0, SPREAD))
        value = round(paid, 4 if paid < 10 else 2)
        return {"series": name, "timestamp": datetime.fromtimestamp(at, UTC).isoformat(), "value": value}

    def pause(self) -> float:
        """Seconds until the next event."""
        return self._random.expovariate(EVENTS_A_SECOND)

    def history(self, seconds: float) -> list[dict[str, Any]]:
        """Return what happened in the last `seconds`."""
        now = time.time()
        at = now - seconds
        events = []
        while (at := at + self.pause()) < now:
            events.append(self.event(at))
        return events


@contextmanager
def trading(server: Server) -> Iterator[None]:
    """A market with some history that goes on posting while the `with` lasts."""
    market = Market()
    events = market.history(HISTORY_SECONDS)
    for start in range(0, len(events), 10_000):
        server.post("/events", events[start : start + 10_000]).raise_for_status()
    closed = threading.Event()

    def trade() -> None:
        while not closed.wait(market.pause()):
            server.post("/event", market.event(time.time())).raise_for_status()

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        yield
    finally:
        closed.set()
        trader.join()


def shoot(browser: Browser, url: str, size: tuple[int, int], theme: Literal["light", "dark"], name: str) -> None:
    """One picture of the page once it has everything to show."""
    is_phone = size == PHONE
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=theme,
        locale="en-GB",
        device_scale_factor=2 if is_phone else 1,
        has_touch=is_phone,
    )
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    expect(page.locator("[data-tile=count]")).not_to_have_text("–")
    if not is_phone:
        expect(page.locator(".spark path:not([d=''])").nth(8)).to_be_visible()  # as many as are in sight
    page.wait_for_timeout(3000)  # courses in the list, and further lines in the chart
    picture = page.screenshot(path=FOLDER / f"{name}.png")
    assert len(picture) < LARGEST, f"{name}.png has {len(picture):,} bytes"
    print(f"docs/images/{name}.png {len(picture):,} bytes")
    context.close()


def main() -> None:
    """Start a server, trade on it, and take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        NamedTemporaryFile("w", suffix=".toml") as rules,
        Server(["-w", "2"], {"TIDEMARK_ALERTS": rules.name}) as server,
        trading(server),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGS)
        url = f"{server.url}/#series={SHOWN}&window=15m&show=p50,p99"
        shoot(browser, url, DESKTOP, "light", "dashboard-light")
        shoot(browser, url, DESKTOP, "dark", "dashboard-dark")
        heatmap = f"{server.url}/#series={SHOWN}&window=15m&as=heatmap"
        shoot(browser, heatmap, DESKTOP, "dark", "dashboard-heatmap-dark")
        earlier = f"{server.url}/#series=MSFT&window=5m&with=TSLA&ago=5m"
        shoot(browser, earlier, DESKTOP, "light", "dashboard-compare-light")
        shoot(browser, url, PHONE, "light", "dashboard-phone-light")
        shoot(browser, url, PHONE, "dark", "dashboard-phone-dark")
        rules.write(RULE)
        rules.flush()
        until(lambda: server.get("/alerts?state=firing").json()["alerts"], "the alert to fire")
        shoot(browser, url, DESKTOP, "light", "dashboard-alerts-light")
        browser.close()


if __name__ == "__main__":
    main()
