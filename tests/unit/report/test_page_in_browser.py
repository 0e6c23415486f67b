"""The page in headless Chromium: layout, colours, print, interactions, silence on the network."""

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import Toolchain
from edgeq.reporting.browser import Tab, browser_tab
from edgeq.reporting.page import page
from edgeq.reporting.write import write_report
from tests.unit.report.made import hard_run, subject, write_run

LAYOUT = (Path(__file__).parent / "layout.js").read_text()
DESKTOP, PHONE = 1280, 390
LOCAL = ("file:", "data:", "blob:")
LOUD = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    try:
        with browser_tab() as opened:
            opened.listen("Network", "Runtime", "Log")
            yield opened
    except Toolchain as error:
        if "install" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two runs: a small one, and one with long names and many of everything."""
    folder = tmp_path_factory.mktemp("pages")
    hard = hard_run(folder / "hard" / "0001")
    plain = write_run(folder / "plain" / "0001", subject())
    (folder / "two.html").write_text(page([plain, hard]))
    return folder / "two.html"


@pytest.fixture(scope="module")
def desktop(tab: Tab, both: Path) -> Tab:
    """The page at the width of a desktop: loaded once, each test leaves it as it was."""
    tab.show(both, DESKTOP)
    return tab


@pytest.fixture(autouse=True)
def _silent(tab: Tab) -> Iterator[None]:
    """No test may make the page fetch, fail or write to the console."""
    tab.events.clear()
    scheme(tab, "light")
    yield
    asked = [p["request"]["url"] for m, p in tab.events if m == "Network.requestWillBeSent"]
    assert [url[:60] for url in asked if not url.startswith(LOCAL)] == []
    assert [event for event in tab.events if event[0] in LOUD] == []


def scheme(tab: Tab, name: str, media: str = "") -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    tab.send("Emulation.setEmulatedMedia", media=media, features=features)


def mouse(tab: Tab, kind: str, x: float, y: float, clicks: int = 0) -> None:
    button = "left" if kind != "mouseMoved" or clicks else "none"
    tab.send(
        "Input.dispatchMouseEvent",
        type=kind,
        x=x,
        y=y,
        button=button,
        buttons=1 if clicks else 0,
        clickCount=clicks,
    )


def middle(tab: Tab, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
    """A point of an element, scrolled into view."""
    box = tab.ask(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
        " e.scrollIntoView({block: 'center'});"
        " const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    return box[0] + across * box[2], box[1] + down * box[3]


def until(tab: Tab, condition: str) -> Any:
    """Waits for a JavaScript expression to be true; after ten seconds its last value is false."""
    return tab.ask(
        f"new Promise(done => {{ const end = performance.now() + 10000; const look = () => {{"
        f" const value = {condition}; value || performance.now() > end ? done(value)"
        " : setTimeout(look, 30); }; look(); })"
    )


def test_a_telephone_shows_all_of_it(tab: Tab, both: Path) -> None:
    tab.show(both, PHONE)
    assert tab.ask(LAYOUT) == []


def test_a_desktop_shows_all_of_it(desktop: Tab) -> None:
    assert desktop.ask(LAYOUT) == []


def test_text_stands_out_in_light_and_dark(desktop: Tab) -> None:
    tab = desktop
    seen = []
    for name in ("light", "dark"):
        scheme(tab, name)
        ink = tab.ask(
            "[...document.querySelectorAll('.plot .xtick text, .plot .legendtext, .plot .ytitle')]"
            ".map(t => getComputedStyle(t).fill)"
        )
        back = tab.ask("getComputedStyle(document.body).backgroundColor")
        assert len(set(ink)) == 1
        assert contrast(ink[0], back) >= 7
        soft = tab.ask("getComputedStyle(document.querySelector('figcaption')).color")
        assert contrast(soft, back) >= 4.5
        seen.append(back)
    assert seen[0] != seen[1]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, of two CSS colours as a browser gives them: rgb(r, g, b)."""

    def luminance(shade: str) -> float:
        parts = [int(p) / 255 for p in shade[4:-1].split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.full
def test_paper_is_light_and_every_figure_fits_it(desktop: Tab) -> None:
    tab = desktop
    scheme(tab, "dark", media="print")
    tab.resize(718, 1000)  # A4 without its margins, in CSS pixels
    tab.ask("dispatchEvent(new Event('beforeprint'))")
    plot = "document.getElementById('run2-current-plot')"
    assert until(tab, f"{plot}._fullLayout.width === 690")
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert until(tab, f"{LAYOUT}.length === 0"), tab.ask(LAYOUT)
    tab.ask("dispatchEvent(new Event('afterprint'))")
    scheme(tab, "light")
    tab.resize(DESKTOP, 900)
    printed = tab.send("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_dragging_zooms_and_a_double_click_returns(desktop: Tab) -> None:
    tab = desktop
    span = (
        "(r => r[1] - r[0])(document.getElementById('run2-current-plot')._fullLayout.xaxis.range)"
    )
    whole = tab.ask(span)
    target = "#run2-current .nsewdrag"
    (left, y), (right, _) = middle(tab, target, 0.3), middle(tab, target, 0.5)
    mouse(tab, "mouseMoved", left, y)
    mouse(tab, "mousePressed", left, y, 1)
    for x in (left + 20, right):
        mouse(tab, "mouseMoved", x, y, 1)
    mouse(tab, "mouseReleased", right, y, 1)
    assert until(tab, f"{span} < {whole} / 2")
    assert tab.ask(span) == pytest.approx(whole * 0.2, rel=0.05)
    assert until(tab, "!document.querySelector('#run2-current .zoombox')")
    tab.ask(  # in the page: between four commands more time can pass than a double click has
        f"(e => ['mousedown', 'mouseup', 'mousedown', 'mouseup'].forEach(kind => e.dispatchEvent("
        f"new MouseEvent(kind, {{bubbles: true, clientX: {left}, clientY: {y}}}))))"
        f"(document.querySelector('{target}'))"
    )
    assert until(tab, f"Math.abs({span} - {whole}) < 1e-6 * {whole}")


def test_the_pointer_shows_numbers(desktop: Tab) -> None:
    tab = desktop
    x, y = middle(tab, "#run1-routes .point path")
    mouse(tab, "mouseMoved", x - 3, y)
    mouse(tab, "mouseMoved", x, y)
    label = "document.querySelector('#run1-routes .hovertext')?.textContent"
    assert until(tab, label) == "small: 50.0% (2)"


def test_a_click_on_a_name_hides_its_series(desktop: Tab) -> None:
    tab = desktop
    shown = "document.getElementById('run1-layers-plot')._fullData.map(d => d.visible)"
    assert tab.ask(shown) == [True, True, True]
    x, y = middle(tab, "#run1-layers .legendtoggle")
    for expected in ("legendonly", True):
        mouse(tab, "mousePressed", x, y, 1)
        mouse(tab, "mouseReleased", x, y, 1)
        assert until(tab, f"{shown}[0] === {json.dumps(expected)}")
        until(tab, "new Promise(done => setTimeout(() => done(true), 400))")  # no double click


def test_the_tool_bar_sends_nothing_away(desktop: Tab) -> None:
    tab = desktop
    tab.ask(
        "Plotly.react('run1-latency-plot', document.getElementById('run1-latency-plot').data,"
        " document.getElementById('run1-latency-plot').layout,"
        " {...document.getElementById('run1-latency-plot')._context, displayModeBar: true})"
        ".then(() => true)"
    )
    names = tab.ask(
        "[...document.querySelectorAll('#run1-latency .modebar-btn')]"
        ".map(b => b.getAttribute('data-title'))"
    )
    assert len(names) == 6
    assert not [n for n in names if "cloud" in n.lower() or "link" in n.lower()]


@pytest.mark.full
def test_a_narrowed_window_draws_again(desktop: Tab) -> None:
    tab = desktop
    tab.resize(PHONE, 900)
    plot = "document.getElementById('run2-layers-plot')"
    assert until(tab, f"{plot}._fullLayout.width <= {PHONE}")
    assert until(tab, f"{LAYOUT}.length === 0"), tab.ask(LAYOUT)


def test_a_browser_that_cannot_draw_says_so(tab: Tab, tmp_path: Path) -> None:
    text = page([write_run(tmp_path / "0001", subject())])
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace('"deflate"', '"deflate-unknown"'))
    with pytest.raises(Toolchain, match="could not draw"):
        tab.show(broken, DESKTOP)
    assert "needs a browser" in tab.ask("document.querySelector('.plot').textContent")


@pytest.mark.full
def test_a_png_of_every_figure(tab: Tab, tmp_path: Path) -> None:
    made = write_run(tmp_path / "0001", subject())
    each = write_report([made], png=tmp_path / "figures")
    names = {Path(path).stem for path in each}
    assert {"run1-latency", "run1-confusion", "run1-flash"} <= names
    assert all(min(size(Path(path))) > 300 for path in each)


@pytest.mark.full
def test_a_png_of_the_page(tab: Tab, tmp_path: Path) -> None:
    made = write_run(tmp_path / "0001", subject())
    assert write_report([made], png=tmp_path / "page.png") == [str(tmp_path / "page.png")]
    width, height = size(tmp_path / "page.png")
    assert width == 2 * DESKTOP
    assert height > width


def size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height
