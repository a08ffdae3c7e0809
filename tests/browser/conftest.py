"""The page in a real browser: one browser for all tests, a new profile and a watch for each, a small town on the loopback."""

from __future__ import annotations

import shutil

import pytest

import fakes
from justzoomin.data import open_dataset

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright (the extra 'dev')")

DESKTOP = {"width": 1100, "height": 750}


@pytest.fixture(scope="session")
def chromium():
    """Path of a browser; skips, saying so, where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found or pytest.skip("there is no chromium on this machine, so the page is not tested in a browser")


@pytest.fixture(scope="package")
def browser(chromium):
    """One browser; not for the session, because its event loop occupies this thread and other tests need theirs."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser") / "town"
    return open_dataset(fakes.make_repository(root, pixels=32, depth=2, grid=4, train=2, val=8))


@pytest.fixture(scope="session")
def photos(town, tmp_path_factory):
    """Files of eight photos, of different sizes."""
    folder = tmp_path_factory.mktemp("browser_photos")
    for k, one in enumerate(town.split("val").image_ids):
        (folder / f"street{k}.jpg").write_bytes(town.photos.read(one))
    return sorted(folder.glob("*.jpg"))


@pytest.fixture(scope="session")
def serve(chromium, town, tmp_path_factory):
    """Return a function that starts a server with some settings; all of them end with the session."""
    from browser.town_server import TownServer

    model, servers = fakes.tiny_matching_model(), []

    def start(**settings):
        servers.append(TownServer(model, town.map, tmp_path_factory.mktemp("browser_jobs"), **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(serve, town, photos):
    """The server of most tests."""
    val = town.split("val")
    rows = [f"{photo.name},{lat},{lon}" for photo, lat, lon in zip(photos, val.lat, val.lon, strict=True)]
    (photos[0].parent / "examples.csv").write_text("\n".join(["photo,lat,lon", *rows]))
    return serve(examples=photos[0].parent, batch_size=2)


@pytest.fixture
def visit(browser, server):
    """Return a function that opens the page in a new window: its visitor; settings are those of a browser's profile."""
    from browser.visitor import Visitor, Watch

    contexts = []

    def enter(address=None, *, opened=True, **settings):
        context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **settings})
        watch = Watch(context)
        contexts.append((context, watch))
        one = Visitor(context.new_page(), address or server.address)
        one.watch = watch
        return one.open() if opened else one

    yield enter
    for context, _ in contexts:
        context.close()
    for _, watch in contexts:
        watch.check()
