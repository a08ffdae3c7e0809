"""The application on a small town with a tiny model, asked without a socket."""

import pytest
from starlette.testclient import TestClient

import fakes
from justzoomin.data import open_dataset
from justzoomin.search import Localizer

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("server") / "town"
    return open_dataset(fakes.make_repository(root, pixels=32, depth=2, grid=4, train=2, val=6))


@pytest.fixture(scope="session")
def localizer(dataset):
    return Localizer(fakes.tiny_matching_model(), dataset.map)


@pytest.fixture(scope="session")
def photos(dataset):
    """Name and bytes of six photos."""
    return [(f"{one}.jpg", dataset.photos.read(one)) for one in dataset.split("val").image_ids]


@pytest.fixture
def ask(localizer, tmp_path):
    """Return a client of an application with some settings."""
    from justzoomin.apps.server.app import create_app
    from justzoomin.apps.server.settings import ServeSettings

    opened = []

    def make(examples=None, **settings):
        app = create_app(localizer, ServeSettings(**settings), tmp_path / f"jobs{len(opened)}", examples=examples)
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
