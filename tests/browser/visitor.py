"""A person at the page, and a watch over what the browser does meanwhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Route, expect

OTHER_HOSTS = re.compile(r"^(?!https?://127\.0\.0\.1(:\d+)?/|blob:|data:|about:|devtools:)")
WAIT_MS = 30_000
_DRAWN = """new Promise((resolve) => {
  const { map } = window.justzoomin.map;
  map.once("rendercomplete", resolve);
  map.render();
})"""
_AT = """([lat, lon]) => {
  const { map } = window.justzoomin.map;
  map.renderSync();
  const [x, y] = map.getPixelFromCoordinate(ol.proj.fromLonLat([lon, lat]));
  const box = map.getTargetElement().getBoundingClientRect();
  return [box.x + x, box.y + y];
}"""
expect.set_options(timeout=WAIT_MS)


class Watch:
    """Collects what must not happen in a browser: requests to other hosts, errors on the console and in scripts."""

    def __init__(self, context: BrowserContext) -> None:
        self.outside: list[str] = []
        self.errors: list[str] = []
        self._allowed: list[str] = []
        context.set_default_timeout(WAIT_MS)
        context.route(OTHER_HOSTS, self._block)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(f"error of a script: {error.error}"))

    def allow(self, *patterns: str) -> None:
        """Expect errors: those of the console that a pattern fits. Each of the patterns must fit one."""
        self._allowed.extend(patterns)

    def check(self) -> None:
        """Fail for what happened and was not allowed, and for what was allowed and did not happen."""
        assert not self.outside, f"requests to other hosts: {self.outside}"
        unexpected = [error for error in self.errors if not any(re.search(one, error) for one in self._allowed)]
        assert not unexpected, f"errors in the browser: {unexpected}"
        missing = [one for one in self._allowed if not any(re.search(one, error) for error in self.errors)]
        assert not missing, f"errors that were expected in the browser: {missing}; there were {self.errors}"

    def _block(self, route: Route) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


class Visitor:
    """What a person does on one tab."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def open(self, fragment: str = "") -> Visitor:
        self.page.goto(self.address + fragment)
        expect(self["body"]).to_have_attribute("data-state", "ready")
        return self

    def pick(self, *photos: Path, where: str = "#files") -> Visitor:
        self[where].set_input_files([str(photo) for photo in photos])
        return self

    def drop(self, *files: Path, where: str = "#panel") -> Visitor:
        """Drop files as a file manager does."""
        box = self[where].bounding_box()
        assert box is not None
        dragged = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        browser = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            browser.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 30, "y": box["y"] + 30, "data": dragged})
            if kind == "dragOver":
                expect(self["#veil"]).to_be_visible()
        browser.detach()
        expect(self["#veil"]).to_be_hidden()
        return self

    def answered(self) -> Visitor:
        """Wait for an answer."""
        expect(self["#headline"]).to_be_visible()
        expect(self["#position"]).to_have_text(re.compile(r"^-?\d+\.\d{6}, -?\d+\.\d{6}$"))
        return self

    def another(self) -> Visitor:
        """Close the photo, when the map is drawn: tiles of a closed photo are refused."""
        self.page.evaluate(_DRAWN)
        self["#other"].click()
        expect(self["#intake"]).to_be_visible()
        return self

    @property
    def position(self) -> tuple[float, float]:
        """The position that the page shows."""
        lat, lon = self["#position"].inner_text().split(", ")
        return float(lat), float(lon)

    @property
    def state(self) -> dict[str, Any]:
        """The session's state, asked of the server by its id in the address."""
        fields = dict(part.split("=", 1) for part in urlsplit(self.page.url).fragment.split("&"))
        answer = self.page.request.get(f"{self.address}v1/sessions/{fields['photo']}")
        assert answer.ok, answer.text()
        return dict(answer.json())

    def corrected(self, count: int) -> Visitor:
        """Wait until the answer follows from a number of corrections."""
        expect(self["#corrections li"]).to_have_count(count)
        expect(self["body"]).not_to_have_attribute("data-busy", "yes")
        return self

    def pixel(self, lat: float, lon: float) -> tuple[float, float]:
        """Where a position is on the screen, in pixels."""
        x, y = self.page.evaluate(_AT, [lat, lon])
        return x, y

    def click_map(self, lat: float, lon: float) -> Visitor:
        self.page.mouse.click(*self.pixel(lat, lon))
        return self
