"""Look and use of the page: themes, contrast, phones, keyboard, zoom and pause."""

from __future__ import annotations

import random
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import DESKTOP, PHONE, OpenPage, drag, hover, is_filled, is_live, post, reset_zoom, stamp
from tests.servers import Server, until

LIGHT, DARK = "rgb(255, 255, 255)", "rgb(16, 22, 28)"
LONG = "a-very-long-name-" * 7
LEAST_CONTRAST = 4.5
NAMED = "frankfurt/checkout-1234"

CONTRAST = """
() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!hasText(e) || !e.checkVisibility({ visibilityProperty: true }) || e.matches(".hidden, .skip")) continue;
    const [one, two] = [luminance(channels(getComputedStyle(e).color)), luminance(background(e))];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    poor.push([contrast, e.textContent]);
  }
  return poor;
}
"""


@pytest.fixture
def walk(server: Server) -> str:
    """The address of a series with a few minutes of history: few enough events to be drawn one by one."""
    steps = random.Random(5)
    requests.delete(f"{server.url}/series/walk", timeout=60)
    post(server, "walk", *(100 + steps.random() for _ in range(200)))
    return f"{server.url}/#series=walk&window=5m"


def has_background(page: Page, colour: str) -> None:
    expect(page.locator("main")).to_have_css("background-color", colour)


def test_theme_of_the_system_is_shown_until_another_is_chosen(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk, theme="dark")
    is_filled(page)
    hover(page, 800, 500)
    has_background(page, DARK)
    all_text_has_contrast(page)
    page.emulate_media(color_scheme="light")
    has_background(page, LIGHT)
    all_text_has_contrast(page)
    toggle = page.get_by_role("button", name="Switch between light and dark")
    toggle.click()
    has_background(page, DARK)
    page.reload()
    has_background(page, DARK)
    toggle.click()
    page.emulate_media(color_scheme="dark")
    has_background(page, DARK)


def all_text_has_contrast(page: Page) -> None:
    found = page.evaluate(CONTRAST)
    assert len(found) > 30
    assert [pair for pair in found if pair[0] < LEAST_CONTRAST] == []


def test_nothing_overflows_sideways(server: Server, walk: str, open_page: OpenPage) -> None:
    post(server, LONG, 1e300, 123456789.123)
    page = open_page(server.url)
    for series in (None, LONG):
        if series:
            page.evaluate("series => { location.hash = `series=${series}&window=1h` }", series)
            expect(page.locator("#title")).to_have_text(series)
        is_filled(page)
        for width in (1280, 961, 700, 390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            page.wait_for_function("width => document.documentElement.scrollWidth === width", arg=width)


NOTE_CLASHES = """
() => {
  const draw = CanvasRenderingContext2D.prototype.fillText;
  let begins = [];
  [window.zones, window.clashes] = [0, []];
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
    if (/^[0-9]{2}:[0-9]{2}/.test(text)) begins.push([x - this.measureText(text).width / 2, text]);
    if (text === "UTC") {
      window.zones += 1;
      window.clashes.push(...begins.filter(([begin]) => begin < x));
      begins = [];
    }
    draw.call(this, text, x, y, ...rest);
  };
}
"""


def test_no_time_is_written_over_the_zone(walk: str, open_page: OpenPage) -> None:
    """Windows begin at each of six places between two times."""
    page = open_page(walk)
    is_filled(page)
    page.evaluate(NOTE_CLASHES)
    for seconds in range(300, 330, 5):
        drawn = page.evaluate("window.zones")
        page.evaluate("hash => { location.hash = hash }", f"#series=walk&window={seconds}s")
        page.wait_for_function("drawn => window.zones > drawn + 1", arg=drawn)
    assert page.evaluate("window.clashes") == []


def test_phone_gives_the_chart_room(walk: str, open_page: OpenPage) -> None:
    page = open_page(f"{walk}&show=p50,p90,p99", size=PHONE)
    expect(page.locator("[data-tile=p99]")).to_be_visible()
    box = page.locator(".canvas").bounding_box()
    assert box
    assert box["height"] >= 340
    assert box["y"] < 500


def test_no_number_of_ten_tiles_is_cut_off_and_no_usual_name(server: Server, open_page: OpenPage) -> None:
    post(server, NAMED, 71_817.74, 67_989.22, 60_132.16)
    page = open_page(f"{server.url}/#series={NAMED}&window=5m&show=p50,p90,p99")
    expect(page.locator("[data-tile=p99]")).to_have_text("71,817.74")
    cut = "tiles => tiles.filter(tile => tile.scrollWidth > tile.clientWidth).map(tile => tile.dataset.tile)"
    assert page.locator("[data-tile]").evaluate_all(cut) == []
    assert page.locator("#tiles").evaluate("tiles => tiles.scrollWidth <= tiles.clientWidth")
    for width in (1024, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.locator("[data-tile]").evaluate_all(cut) == [], width
    page.set_viewport_size({"width": 1024, "height": 844})
    name = page.get_by_role("option", name=NAMED).locator(".name")
    assert name.evaluate("name => name.scrollWidth <= name.clientWidth")


def test_phone_has_the_list_in_a_sheet(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk, size=PHONE)
    expect(page.get_by_role("searchbox")).to_be_hidden()
    opener = page.get_by_role("button", name="Choose a series")
    opener.click()
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    page.get_by_role("option", name="All series").click()
    expect(page.get_by_role("heading", name="All series")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_hidden()
    sheet = page.locator("#sheet")
    assert sheet.evaluate("sheet => getComputedStyle(sheet).transitionProperty") != "none"
    page.emulate_media(reduced_motion="reduce")
    assert sheet.evaluate("sheet => getComputedStyle(sheet).transitionProperty") == "none"


@pytest.mark.parametrize(
    ("theme", "size", "kinds", "key"),
    [("light", DESKTOP, ("Chart", "Heatmap"), "?"), ("dark", PHONE, ("Histogram", "Table"), "s")],
    ids=["desktop", "phone"],
)
def test_axe_finds_nothing_wrong(
    walk: str, open_page: OpenPage, theme: str, size: tuple[int, int], kinds: tuple[str, ...], key: str
) -> None:
    page = open_page(f"{walk}&show=p99&ago=5m&threshold=100.5", theme=theme, size=size)
    is_filled(page)
    faults: dict[str, Any] = {}
    for name in kinds:
        page.get_by_role("radio", name=name).check(force=True)
        faults[name] = Axe().run(page).response["violations"]
    page.locator("#plot").evaluate("() => document.activeElement.blur()")
    page.keyboard.press(key)
    expect(page.locator("dialog[open]")).to_be_visible()
    faults[key] = Axe().run(page).response["violations"]
    assert [(name, fault) for name, found in faults.items() for fault in found] == []


LINE_PIXELS = """([from, to, any]) => {
  const [canvas, over] = ["canvas", ".u-over"].map((name) => document.querySelector(`#plot ${name}`));
  const [plot, box] = [over.getBoundingClientRect(), canvas.getBoundingClientRect()];
  if (!box.width) return 0; // not laid out yet
  const scale = canvas.width / box.width;
  const [x, width] = [(plot.left - box.left + from * plot.width) * scale, (to - from) * plot.width * scale];
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(x, (plot.top - box.top) * scale, width, plot.height * scale);
  const isLine = (i) => data[i] === 11 && data[i + 1] === 114 && data[i + 2] === 133 && data[i + 3] === 255;
  const isColoured = (i) => {
    const [low, high] = [Math.min(...data.slice(i, i + 3)), Math.max(...data.slice(i, i + 3))];
    return data[i + 3] > 0 && high - low > (low > 200 ? 12 : 40); // the grid is grey, and the band is faint
  };
  return data.filter((_, i) => i % 4 === 0 && (any ? isColoured(i) : isLine(i))).length;
}"""
"""Number of pixels in the colour of the line, or in any colour, in a part of the chart, from 0 at its left to 1."""


def test_no_line_goes_through_a_silence(server: Server, open_page: OpenPage) -> None:
    ages = [*range(2700, 2100, -20), *range(800, 400, -20)]
    events = [{"series": "silence", "timestamp": stamp(age), "value": age % 7} for age in ages]
    server.post("/events", events).raise_for_status()
    page = open_page(f"{server.url}/#series=silence&window=50m")
    is_filled(page)
    until(lambda: page.evaluate(LINE_PIXELS, [0, 0.3, False]) > 100, "the line before the silence")
    assert page.evaluate(LINE_PIXELS, [0.36, 0.64, False]) == 0
    assert page.evaluate(LINE_PIXELS, [0.7, 1, False]) > 100
    page.evaluate("() => { location.hash += '&with=nothing' }")  # several series are drawn in steps
    expect(page.locator("#caption")).to_contain_text("in steps of")
    until(lambda: page.evaluate(LINE_PIXELS, [0, 0.3, True]) > 1000, "the band before the silence")
    assert page.evaluate(LINE_PIXELS, [0.36, 0.64, True]) == 0
    assert page.evaluate(LINE_PIXELS, [0.7, 1, True]) > 1000


def test_tab_reaches_every_control_and_shows_where_it_is(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    is_filled(page)
    seen: list[str] = []
    page.keyboard.press("Tab")
    while (focused := page.locator(":focus")).count():
        seen.append(focused.evaluate("e => e.getAttribute('aria-label') || e.textContent.trim() || e.name"))
        where = focused.locator(".row.active") if seen[-1] == "Series" else focused
        where = focused.locator("+ span") if focused.get_attribute("type") == "radio" else where
        assert where.evaluate("e => getComputedStyle(e).outlineStyle") != "none", seen
        page.keyboard.press("Tab")
    controls = ["Skip to the chart", "Search series", "Series", "Send an event", "window", "Pause", "Zoom in"]
    assert [name for name in controls if name not in seen] == []
    assert any(name.startswith("Chart of walk") for name in seen)


def test_share_keys_and_full_screen(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    is_filled(page)
    share = page.get_by_role("button", name="Share")
    share.click()
    expect(page.locator("#share")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    expect(share).to_have_text("Share")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    # A real full screen would last for the pages of other tests: they share the browser.
    page.evaluate("() => { Element.prototype.requestFullscreen = async function () { this.dataset.full = 'asked' } }")
    page.keyboard.press("f")
    expect(page.locator("main")).to_have_attribute("data-full", "asked")


def test_zoom_by_keyboard_buttons_and_dragging(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    is_filled(page)
    reset = reset_zoom(page)
    page.locator("#plot").focus()
    page.keyboard.press("+")
    expect(reset).to_be_visible()
    page.keyboard.press("0")
    expect(reset).to_be_hidden()
    page.get_by_role("button", name="Zoom in").click()
    reset.click()
    drag(page, 200, 500)
    expect(reset).to_be_visible()

    def is_reset() -> bool:
        box = page.locator("#plot .u-over").bounding_box()
        assert box
        page.mouse.dblclick(box["x"] + 300, box["y"] + box["height"] / 2)
        return reset.is_hidden()

    until(is_reset, "two clicks to reset the zoom")


def still_picture(page: Page) -> str:
    """The chart, once all is drawn that came before the pause: ten looks have found the same."""
    page.wait_for_function(
        """() => {
          const picture = document.querySelector("#plot canvas").toDataURL();
          window.looks = picture === window.picture ? window.looks + 1 : 0;
          window.picture = picture;
          return window.looks >= 10;
        }""",
        polling=50,
    )
    picture: str = page.locator("#plot canvas").evaluate("canvas => canvas.toDataURL()")
    return picture


def test_paused_chart_stands_still_while_numbers_go_on(server: Server, walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    is_live(page)
    is_filled(page)
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Resume")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#status")).to_have_text("Paused")
    before = still_picture(page)
    post(server, "walk", 180.5)
    expect(page.locator("[data-tile=max]")).to_contain_text("180.5")
    assert page.locator("#plot canvas").evaluate("canvas => canvas.toDataURL()") == before
    page.get_by_role("button", name="Resume").click()
    page.wait_for_function("before => document.querySelector('#plot canvas').toDataURL() !== before", arg=before)
