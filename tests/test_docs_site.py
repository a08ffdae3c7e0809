"""What `make docs` adds to the pages: every page is in the contents, every name of a room is in the reference."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from pages import PROJECT

DOCS = PROJECT / "docs"


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_listed_on_the_start_page(conf: ModuleType) -> None:
    listed = [page for pages in conf.contents((DOCS / "README.md").read_text(encoding="utf-8")).values() for page in pages]
    assert sorted(listed) == sorted({*(path.stem for path in DOCS.glob("*.md"))} - {"README"} | {"reference/index"})


def test_every_room_is_in_the_reference_with_the_names_that_it_offers(conf: ModuleType) -> None:
    rooms = dict(conf.rooms())
    assert len(rooms) == len(list((PROJECT / "src").rglob("__init__.pyi")))
    page = conf.reference_page("justzoomin.geometry", rooms["justzoomin.geometry"])
    assert all(f" justzoomin.geometry.{name}\n" in page for name in rooms["justzoomin.geometry"])
    assert ".. autoclass:: justzoomin.geometry.ZoomGrid\n" in page and ".. autofunction:: justzoomin.geometry.move\n" in page
    assert ".. py:data:: justzoomin.geometry.EARTH_RADIUS_M\n   :value: 6378137.0\n" in page
    assert ".. py:data:: justzoomin.geometry.MAX_KEPT_VIEWS\n   :value: 16777216\n\n   Most views" in page
    assert "- `Localizer`, from search\n" in conf.reference_page("justzoomin", rooms["justzoomin"])


def test_links_out_of_the_docs_become_names(conf: ModuleType) -> None:
    source = ["See [deploy](../deploy) and [the README](../README.md#more), [here](index.md)."]
    conf.adapt_page(None, "page", source)
    assert source == ["See deploy (`deploy` in the repository) and the README (`README.md` in the repository), "
                      "[here](index.md)."]
