"""A headless Chromium that shows one page: for PNGs, and for the tests of the page.

Everything goes through the DevTools protocol (chromedevtools.github.io/devtools-protocol) by
choreographer, the library that plotly's own export uses.
"""

import asyncio
import base64
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import Toolchain
from edgeq.extras import install

if TYPE_CHECKING:
    from choreographer import browser_async as choreographer

TIMEOUT_S = 60.0
NO_NETWORK = "http://127.0.0.1:9"  # the discard port: whatever is fetched fails at once
QUIET = ("--disable-quic", "--disable-background-networking", "--hide-scrollbars")
NEXT_STEP = "install Chromium or Chrome (Debian: apt install chromium)"


class Tab:
    """The one tab of a browser. `events` are those of the protocol so far: (method, params)."""

    def __init__(self, runner: asyncio.Runner, target: "choreographer.Tab") -> None:
        self._runner = runner
        self._target = target
        self.events: list[tuple[str, dict[str, Any]]] = []

    def send(self, method: str, **params: object) -> dict[str, Any]:
        """One command and its result. Raises Toolchain when the browser refuses or hangs."""
        answer = self._runner.run(
            asyncio.wait_for(self._target.send_command(method, params), TIMEOUT_S)
        )
        if "error" in answer:
            raise Toolchain(f"the browser refused {method}: {answer['error'].get('message')}")
        return dict(answer["result"])

    def listen(self, *domains: str) -> None:
        """Keeps the events of these domains from now on."""

        async def keep(event: MutableMapping[str, Any]) -> None:
            self.events.append((event["method"], event["params"]))

        for domain in domains:
            self._target.subscribe(f"{domain}.*", keep)
            self.send(f"{domain}.enable")

    def ask(self, script: str) -> object:
        """The value of a JavaScript expression; promises are waited for."""
        found = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise Toolchain(f"the page failed: {found['exceptionDetails']}")
        return found["result"].get("value")

    def show(self, page: Path, width: int, height: int = 900, scale: float = 1) -> None:
        """Opens a page of this report and waits until its figures are drawn."""
        self.resize(width, height, scale)
        self.send("Page.navigate", url=page.absolute().as_uri())
        done = self.ask(
            "new Promise(done => { const look = () => {"
            " const state = document.documentElement?.dataset.ready;"
            " state ? done(state) : setTimeout(look, 30); }; look(); })"
        )
        if done != "yes":
            raise Toolchain(f"{page} could not draw its figures in this browser; {NEXT_STEP}")

    def resize(self, width: int, height: int, scale: float = 1, mobile: bool = False) -> None:
        """The size of the window in CSS pixels; `scale` pixels of the picture for each."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def picture(self, box: dict[str, float] | None = None) -> bytes:
        """A PNG of a box of the page (x, y, width, height), or of the whole of it."""
        if box is None:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            box = {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        taken = self.send(
            "Page.captureScreenshot", clip={**box, "scale": 1}, captureBeyondViewport=True
        )
        return base64.b64decode(taken["data"])


@contextmanager
def browser_tab() -> Iterator[Tab]:
    """A fresh browser without network, for the block. Raises Toolchain where there is none."""
    try:
        from choreographer import Browser
        from choreographer.browsers import BrowserFailedError, Chromium
        from choreographer.browsers.chromium import ChromeNotFoundError
    except ImportError:
        raise Toolchain(
            f"PNGs are taken with choreographer, which is not installed: {install('report')}"
        ) from None

    class Quiet(Chromium):  # type: ignore[misc, unused-ignore]
        def get_cli(self) -> list[str]:
            return [*super().get_cli(), *QUIET, "about:blank"]

    async def opened() -> "choreographer.Browser":
        return await Browser(browser_cls=Quiet, headless=True, proxy_server=NO_NETWORK)

    with asyncio.Runner() as runner:
        try:
            browser = runner.run(opened())
            target = browser.get_tab()
            if target is None:
                raise Toolchain("the browser opened no page")
        except (ChromeNotFoundError, BrowserFailedError) as error:
            raise Toolchain(f"no browser to take a PNG with: {NEXT_STEP}") from error
        try:
            yield Tab(runner, target)
        finally:
            runner.run(browser.close())
