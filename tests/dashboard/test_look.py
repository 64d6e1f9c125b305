"""How the page looks and is used: themes, contrast, phones, keyboard, zoom and pause."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import PHONE, OpenPage, hover, post
from tests.servers import Server

LIGHT, DARK = "rgb(255, 255, 255)", "rgb(16, 22, 28)"
LONG = "a-very-long-name-" * 7
LEAST_CONTRAST = 4.5

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
    """The address of a series with a few minutes of history."""
    steps = random.Random(5)
    post(server, "walk", *(100 + steps.random() for _ in range(200)))
    return f"{server.url}/#series=walk&window=5m"


def has_background(page: Page, colour: str) -> None:
    expect(page.locator("main")).to_have_css("background-color", colour)


@pytest.mark.parametrize(("theme", "colour"), [("light", LIGHT), ("dark", DARK)])
def test_follows_the_theme_of_the_system(walk: str, open_page: OpenPage, theme: str, colour: str) -> None:
    page = open_page(walk, theme=theme)
    has_background(page, colour)
    page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    has_background(page, LIGHT if colour == DARK else DARK)


def test_toggle_is_remembered_until_it_is_what_the_system_shows(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    toggle = page.get_by_role("button", name="Switch between light and dark")
    toggle.click()
    has_background(page, DARK)
    page.reload()
    has_background(page, DARK)
    toggle.click()
    page.emulate_media(color_scheme="dark")
    has_background(page, DARK)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_contrast(walk: str, open_page: OpenPage, theme: str) -> None:
    page = open_page(walk, theme=theme)
    expect(page.locator("[data-tile=count]")).not_to_have_text("–")
    hover(page, 800, 500)
    found = page.evaluate(CONTRAST)
    assert len(found) > 30
    assert [pair for pair in found if pair[0] < LEAST_CONTRAST] == []


@pytest.mark.parametrize("fragment", ["#series=walk&window=5m", f"#series={LONG}&window=1h", ""])
def test_nothing_overflows_sideways(server: Server, walk: str, open_page: OpenPage, fragment: str) -> None:
    post(server, LONG, 1e300, 123456789.123)
    page = open_page(f"{server.url}/{fragment}")
    expect(page.locator("[data-tile=count]")).not_to_have_text("–")
    for width in (1280, 961, 700, 390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_function("width => document.documentElement.scrollWidth === width", arg=width)


def test_phone_lays_percentiles_out_in_the_columns_of_the_row_of_three(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk, size=PHONE)
    for shown in ("p50,p90,p99", "p50,p99", "p90,p99", "p99"):
        page.goto(f"{walk}&show={shown}")
        for name in ("p50", "p90", "p99"):
            expect(page.locator(f"[data-tile={name}]")).to_be_visible(visible=name in shown)
        thirds = [page.locator(f"[data-tile={name}]").bounding_box() for name in ("min", "mean", "max")]
        boxes = [page.locator(f"[data-tile={name}]").bounding_box() for name in shown.split(",")]
        assert [box and box["x"] for box in boxes] == [box and box["x"] for box in thirds[: len(boxes)]]


def test_no_number_of_ten_tiles_is_cut_off(server: Server, open_page: OpenPage) -> None:
    post(server, "large", 71_817.74, 67_989.22, 60_132.16)
    page = open_page(f"{server.url}/#series=large&window=5m&show=p50,p90,p99")
    expect(page.locator("[data-tile=p99]")).to_have_text("71,817.74")
    cut = "tiles => tiles.filter(tile => tile.scrollWidth > tile.clientWidth).map(tile => tile.dataset.tile)"
    assert page.locator("[data-tile]").evaluate_all(cut) == []
    assert page.locator("#tiles").evaluate("tiles => tiles.scrollWidth <= tiles.clientWidth")


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


def test_tab_reaches_every_control_and_shows_where_it_is(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    expect(page.locator("[data-tile=count]")).not_to_have_text("–")
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


def test_zoom_by_keyboard_buttons_and_dragging(walk: str, open_page: OpenPage) -> None:
    page = open_page(walk)
    expect(page.locator("[data-tile=count]")).not_to_have_text("–")
    reset = page.get_by_role("button", name="Reset zoom")
    page.locator("#plot").focus()
    page.keyboard.press("+")
    expect(reset).to_be_visible()
    page.keyboard.press("0")
    expect(reset).to_be_hidden()
    page.get_by_role("button", name="Zoom in").click()
    reset.click()
    box = page.locator("#plot .u-over").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 200, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, middle, steps=5)
    page.mouse.up()
    expect(reset).to_be_visible()
    page.mouse.dblclick(box["x"] + 300, middle)
    expect(reset).to_be_hidden()


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
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    expect(page.locator("[data-tile=count]")).not_to_have_text("–")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Resume")).to_have_attribute("aria-pressed", "true")
    before = still_picture(page)
    post(server, "walk", 180.5)
    expect(page.locator("[data-tile=max]")).to_contain_text("180.5")
    assert page.locator("#plot canvas").evaluate("canvas => canvas.toDataURL()") == before
    page.get_by_role("button", name="Resume").click()
    page.wait_for_function("before => document.querySelector('#plot canvas').toDataURL() !== before", arg=before)
