"""Make the pictures of the page: `python scripts/page_pictures.py --demo demo` after `make demo`. Needs chromium."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
MOST_BYTES = 200_000
QUALITIES = (85, 80, 75, 70, 60, 50)
PATIENCE_MS = 120_000
QUIET_MS = 700
LOADED = "[...document.querySelectorAll('#compare img')].every((one) => one.complete && one.naturalWidth)"
DRAWN = "new Promise((resolve) => { justzoomin.map.map.once('rendercomplete', resolve); justzoomin.map.map.render(); })"


def main() -> None:
    """Make all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder of `jzi demo`")
    parser.add_argument("--town", default="unseen-town", help="town in it")
    parser.add_argument("--photo", type=int, default=1, help="which of the six example photos, from 1")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("chromium is not installed. Install it (apt-get install chromium).")
    expect.set_options(timeout=PATIENCE_MS)
    with served(asked.demo, asked.town) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, page in (("answer", answer(browser, address, asked.photo, "light")),
                           ("argue", argue(browser, address, asked.photo)),
                           ("dark", compare(browser, address, asked.photo)),
                           ("phone", phone(browser, address, asked.photo))):
            path = save(page, asked.out / f"page-{name}.jpg")
            print(path, path.stat().st_size)
            page.context.close()
        browser.close()


@contextmanager
def served(demo: Path, town: str) -> Iterator[str]:
    """Serve a town of the demo to this machine; the address of the page.

    Args:
        demo: Folder of the demo.
        town: Name of the town.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "justzoomin.apps.main", "serve", "--map", str(demo / town),
                   "--examples", str(demo / "photos" / town), "--jobs", str(Path(folder) / "jobs"), "--port", "0"]
        with running(command) as address:
            yield address


@contextmanager
def running(command: list[str]) -> Iterator[str]:
    """Run the service; its address.

    Args:
        command: The command with its options.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise SystemExit("The service did not start.")
            yield found[0]
        finally:
            process.terminate()


def opened(browser: Browser, address: str, example: int, colours: str, size: dict[str, int], scale: float = 1) -> Page:
    """Return the page with the answer for an example.

    Args:
        browser: The browser.
        address: Address of the page.
        example: Number of the example photo, from 1.
        colours: `light` or `dark`.
        size: Width and height of the window.
        scale: Pixels of the picture for one of the window.
    """
    context = browser.new_context(viewport=size, color_scheme=colours, reduced_motion="reduce",  # type: ignore[arg-type]
                                  device_scale_factor=scale, is_mobile=size is PHONE, has_touch=size is PHONE)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(address)
    page.locator(f"[data-example='{example}']").click()
    expect(page.locator("#headline")).to_be_visible()
    return page


def answer(browser: Browser, address: str, example: int, colours: str) -> Page:
    """Return the page with an answer and the true place."""
    page = opened(browser, address, example, colours, DESKTOP)
    page.locator("#show-truth").click()
    return page


def argue(browser: Browser, address: str, example: int) -> Page:
    """Return the page while a cell is corrected."""
    page = opened(browser, address, example, "light", DESKTOP)
    page.locator("#around-not").scroll_into_view_if_needed()
    page.locator("#radius").fill("30")
    page.locator("#around-not").click()
    expect(page.locator("#corrections li")).to_have_count(1)
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#popup")).to_be_visible()
    return page


def compare(browser: Browser, address: str, example: int) -> Page:
    """Return the page in dark, with two places side by side."""
    page = opened(browser, address, example, "dark", DESKTOP)
    if page.locator("#compare-open").is_visible():
        page.locator("#compare-open").click()
        page.wait_for_function(LOADED)
    return page


def phone(browser: Browser, address: str, example: int) -> Page:
    """Return the page on a phone."""
    return opened(browser, address, example, "light", PHONE, 1.5)


def save(page: Page, path: Path) -> Path:
    """Save what the page shows as JPEG, as well as fits into the size; its path.

    Args:
        page: The page.
        path: File to write.
    """
    page.evaluate(DRAWN)
    page.wait_for_timeout(QUIET_MS)
    page.mouse.move(0, 0)
    for quality in QUALITIES:
        if len(picture := page.screenshot(type="jpeg", quality=quality)) <= MOST_BYTES:
            break
    path.write_bytes(picture)
    return path


if __name__ == "__main__":
    main()
