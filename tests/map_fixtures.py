"""Small generated maps, the real one extracted, and the reference renderer."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from justzoomin.tiles import TileLayout
from map_builders import UTM, UTM_PLACE, XYZ, XYZ_PLACE, build, pack


@pytest.fixture(autouse=True)
def _home(tmp_path_factory, monkeypatch):
    """Indexes that cannot lie beside their shards go into a folder of the test."""
    monkeypatch.setenv("JZI_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")  # no longer: while it is there, rasterio finds the wrong data of PROJ
def reference():
    """`reference(layout.yaml) -> loader` of tiledwebmaps 0.2.0; skips, saying so, where it is not installed."""
    before = os.environ.pop("PROJ_DATA", None)
    import pyproj

    pyproj.Transformer.from_crs("epsg:4326", "epsg:3857")  # pyproj finds its own data first
    twm = pytest.importorskip("tiledwebmaps", reason="the reference renderer tiledwebmaps 0.2.0 is not installed")

    def loader(path: Path):
        return twm.WithDefault(twm.from_yaml(str(path)))

    yield loader
    os.environ.pop("PROJ_DATA", None)
    if before is not None:
        os.environ["PROJ_DATA"] = before


@pytest.fixture(scope="session")
def mini(shared) -> Path:
    """The real map, as downloaded."""
    return shared / "data" / "dc-mini"


@pytest.fixture(scope="session")
def extracted(mini, tmp_path_factory) -> Path:
    """The real map, extracted."""
    folder = tmp_path_factory.mktemp("extracted")
    for path in sorted((mini / "archives").glob("satellite_level_*.tar")):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    shutil.copyfile(mini / "satellite" / "layout.yaml", folder / "satellite" / "layout.yaml")
    return folder


@pytest.fixture(scope="session")
def utm_map(tmp_path_factory) -> Path:
    """A generated map in UTM 33N whose tile y grows south."""
    return build(tmp_path_factory.mktemp("utm"), UTM, *UTM_PLACE, radius_m=160.0, seed=1)


@pytest.fixture(scope="session")
def xyz_map(tmp_path_factory) -> Path:
    """A generated web map of PNG tiles."""
    return build(tmp_path_factory.mktemp("xyz"), XYZ, *XYZ_PLACE, radius_m=350.0, seed=2)


@pytest.fixture
def small(tmp_path) -> Path:
    """A small generated map of two levels, for damage."""
    layout = TileLayout(crs="epsg:32633", tile_shape_px=(64, 64), tile_shape_crs=(20.0, 20.0),
                        origin_crs=(500_000.0, 5.7e6), tile_axes=("east", "north"), min_zoom=-1, max_zoom=0)
    return build(tmp_path / "satellite", layout, *UTM_PLACE, radius_m=60.0, seed=3)


@pytest.fixture
def repository(small, tmp_path) -> Path:
    """The small map as a repository as downloaded: shards and a layout, no tiles in folders."""
    root = pack(small, tmp_path / "repository" / "archives")
    (root / "satellite").mkdir()
    for name in ("layout.yaml", "region.yaml"):
        shutil.copyfile(small / name, root / "satellite" / name)
    return root
