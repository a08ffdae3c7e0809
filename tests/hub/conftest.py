"""Fixtures: a town on a small hub, and pauses that are only counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_helpers import Pauses
from hub_server import Hub, Server

import fakes

TOWN = {"README.md": b"# A town\n", "LICENSE": b"CC0\n", "ATTRIBUTION": b"Drawn by a program; CC0.\n",
        ".gitattributes": b"*.tar filter=lfs\n", "paper.pdf": b"%PDF" * 500,
        "streetview/metadata_satellite_covered.csv": b"image_id,latitude\n1,2\n"}


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of depth 2 whose map has levels -2, -1 and 0; views of 32 px are drawn from -2 and -1."""
    root = fakes.make_repository(tmp_path_factory.mktemp("hub") / "town", train=6, val=3)
    for name, content in TOWN.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def hub(town: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The town on a separate hub, which the real client uses; the client's cache is a folder that must stay empty."""
    found = Hub()
    found.commit_folder(town)
    cache = tmp_path / "hub-cache"
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(cache), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Server(found):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", found.url)  # as HF_ENDPOINT does when it is imported
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
                            found.url + "/{repo_id}/resolve/{revision}/{filename}")
        yield found
    assert not [p for p in cache.rglob("*") if p.is_file()], "the hub's cache contains a second copy"


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()
