"""Alerts on the page: the line of those that fire, their levels in the chart, the page of rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import DESKTOP, PHONE, OpenPage, post
from tests.servers import Server, until

RULES = """
[[alert]]
name = "walk is high"
series = "walk"
statistic = "last"
window = "10m"
above = 100
[[alert]]
name = "noise is high"
series = "noise/*"
statistic = "mean"
window = "10m"
above = 100
for = "1h"
"""
RED = """() => {
  const canvas = document.querySelector("#plot canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  const columns = new Set(), rows = new Map();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] !== 180 || data[i + 1] !== 35 || data[i + 2] !== 24) continue;
    const [x, y] = [(i / 4) % canvas.width, Math.floor(i / 4 / canvas.width)];
    rows.set(y, (rows.get(y) ?? 0) + 1);
    columns.add(x);
  }
  return { level: Math.max(0, ...rows.values()), rows: rows.size };
}"""
"""Red is the colour of levels and of beginnings: how long the longest red row is, and in how many rows there is red."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker that looks at alerts, shared by the tests of this module."""
    path = tmp_path_factory.mktemp("rules") / "alerts.toml"
    path.write_text(RULES)
    with Server(["-w", "1"], {"TIDEMARK_ALERTS": str(path)}) as running:
        yield running


def test_what_fires_is_told_above_everything_and_in_the_chart(server: Server, open_page: OpenPage) -> None:
    post(server, "walk", *range(40, 60))
    page = open_page(f"{server.url}/#series=walk&window=5m")
    line = page.get_by_role("region", name="Alerts that fire")
    expect(page.locator("[data-tile=count]")).to_have_text("20")
    until(lambda: page.evaluate(RED)["level"] > 200, "the level of the rule")
    before = page.evaluate(RED)["rows"]
    expect(line).to_be_hidden()
    post(server, "walk", 150)
    expect(line).to_be_visible()
    expect(line.get_by_role("status")).to_have_text("1 alert fires")
    expect(line.get_by_role("link", name="walk is high: walk")).to_have_attribute("href", re.compile("series=walk"))
    until(lambda: page.evaluate(RED)["rows"] > before + 50, "when it began to fire")
    post(server, "walk", 50)
    expect(line).to_be_hidden()


def test_the_page_of_rules_has_state_value_and_since(server: Server, open_page: OpenPage) -> None:
    post(server, "walk", 151)
    post(server, "noise/1", 101)
    page = open_page(server.url)
    expect(page.get_by_role("region", name="Alerts that fire")).to_be_visible()
    page.get_by_role("button", name="Alerts", exact=True).click()
    rows = page.get_by_role("dialog", name="Alerts").locator("tbody tr")
    expect(rows).to_have_count(2)
    firing, pending = rows.all()
    expect(firing).to_contain_text("walk is high")
    expect(firing).to_contain_text("last over 10m above 100")
    expect(firing.locator("td").nth(0)).to_have_text("walk")
    expect(firing.locator("td").nth(1)).to_have_text("firing")
    expect(firing.locator("td").nth(2)).to_have_text("151")
    expect(firing.locator("td").nth(3)).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(pending.locator("td").nth(1)).to_have_text("pending")
    page.keyboard.press("Escape")
    expect(rows.first).to_be_hidden()


@pytest.mark.parametrize(("theme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing_wrong(server: Server, open_page: OpenPage, theme: str, size: tuple[int, int]) -> None:
    post(server, "walk", 152)
    page = open_page(f"{server.url}/#series=walk&window=5m", theme=theme, size=size)
    line = page.get_by_role("region", name="Alerts that fire")
    expect(line).to_be_visible()
    faults = [Axe().run(page).response["violations"]]
    assert fits(page)
    line.get_by_role("button", name="All alerts").click()
    expect(page.get_by_role("dialog", name="Alerts").locator("tbody tr").first).to_be_visible()
    faults.append(Axe().run(page).response["violations"])
    assert fits(page)
    assert faults == [[], []]


def fits(page: Page) -> bool:
    """Return whether nothing has to be scrolled sideways."""
    found: bool = page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    return found
