"""Commands on a tile server and on a tile package: the same as on a folder of the same tiles."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Jzi

from fakes import tiny_model
from justzoomin.geometry import load_grid
from justzoomin.maps import Map
from justzoomin.tiles import fetch as tilefetch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "maps"))

from map_builders import XYZ, XYZ_PLACE, build
from package_builders import mbtiles
from tile_http import TileHttp, serving


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JZI_HOME", str(tmp_path / "home"))
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xyz") / "town", XYZ, *XYZ_PLACE, radius_m=200.0, seed=4)


@pytest.fixture
def http(folder: Path) -> Iterator[TileHttp]:
    with serving(folder) as server:
        yield server


@pytest.fixture
def address(http: TileHttp) -> str:
    return http.address + "/{z}/{x}/{y}.png?key=s3cret"


def test_info(jzi: Jzi, address: str, folder: Path, http: TileHttp) -> None:
    ran = jzi("map", "info", address, "--region", folder / "region.yaml", "--json")
    assert (ran.code, ran.err, http.log) == (0, "", [])
    assert ran.json["source"] == "server, not listed" and ran.json["levels"][18]["tiles"] is None
    ran = jzi("map", "info", address, "--region", folder / "region.yaml")
    assert "tiles: ? of 256 px, read from server, not listed" in ran.out and "s3cret" not in ran.out
    assert "--region" in jzi("map", "info", address).refusal()


def test_view(jzi: Jzi, address: str, folder: Path, tmp_path: Path) -> None:
    place = ("--lat", XYZ_PLACE[0], "--lon", XYZ_PLACE[1], "--size-m", 90, "--pixels", 64)
    ran = jzi("map", "view", address, *place, "--region", folder / "region.yaml", "--out", tmp_path / "v.png")
    assert (ran.code, ran.err) == (0, "")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "v.png")), Map.open(folder).view(*XYZ_PLACE, 90, 64).pixels)


def test_localize(jzi: Jzi, address: str, folder: Path, http: TileHttp, photos: Path, tmp_path: Path) -> None:
    model = tiny_model().save_pretrained(tmp_path / "model", load_grid(folder / "region.yaml"))
    package = mbtiles(folder, tmp_path / "town.mbtiles")
    words = ("localize", photos / "b.jpg", "--model", model, "--region", folder / "region.yaml", "--json", "--map")
    # level 19 of the usual 0 to 19 is not on this server: the finest cell is drawn from what the settings say there is
    on_folder, on_package = jzi(*words, folder).json[0], jzi(*words, package).json[0]
    (tmp_path / "server").mkdir()
    layout = (folder / "layout.yaml").read_text() + f"url: '{http.address}/{{zoom}}/{{x}}/{{y}}.png'\n"
    (tmp_path / "server" / "layout.yaml").write_text(layout)
    on_server = jzi(*words, tmp_path / "server").json[0]
    assert on_folder["sequence"] == on_package["sequence"] == on_server["sequence"]
    assert on_folder["probabilities"] == on_package["probabilities"] == on_server["probabilities"]
    assert on_folder["map"] == on_package["map"] and on_server["map"].startswith("server-")
    assert http.log
    drawn = jzi(*words, address, "--figure", tmp_path / "f.png")
    assert drawn.code == 0 and (tmp_path / "f.png").is_file() and len(drawn.json[0]["sequence"]) == 2


def test_errors_name_the_server_and_hide_the_key(jzi: Jzi, address: str, folder: Path, http: TileHttp, tmp_path: Path) -> None:
    http.scripted = [(403, {}, b"")] * 3
    line = jzi("map", "view", address, "--lat", XYZ_PLACE[0], "--lon", XYZ_PLACE[1], "--size-m", 90, "--region",
               folder / "region.yaml", "--out", tmp_path / "v.png").refusal()
    assert http.address in line and "?key=***: the server refuses (403). Check the key" in line
    assert not (tmp_path / "v.png").exists()


def test_build(jzi: Jzi, address: str, folder: Path, http: TileHttp, tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    lat, lon = XYZ_PLACE
    area = f"{lat - 0.001},{lon - 0.001},{lat + 0.001},{lon + 0.001}"
    words = ("map", "build", address, tmp_path / "map", "--area", area, "--max-zoom", 18)
    assert "the attribution that its terms require is not given" in jzi(*words).refusal()
    assert "--max-tiles" in jzi(*words, "--attribution", "Town", "--max-tiles", 5).refusal()
    assert http.log == []
    ran = jzi(*words, "--attribution", "Town")
    assert ran.code == 0, ran.err
    assert "tiles of level 18 are fetched" in ran.err and len(http.log) == len(set(http.log)) > 4
    assert "s3cret" not in ran.err + ran.out
    made = Map.open(tmp_path / "map", load_grid(folder / "region.yaml"))
    assert made.attribution is not None and "Town" in made.attribution
    files = [p for p in (tmp_path / "map").rglob("*") if p.suffix in {".yaml", ".json", ""} and p.is_file()]
    written = [p.read_text("latin-1") for p in files]
    assert written and not [text for text in written if "s3cret" in text]
    seen, want = made.view(lat, lon, 60.0, 64), Map.open(folder).view(lat, lon, 60.0, 64)
    assert seen.no_data == 0.0
    assert np.corrcoef(seen.pixels.ravel(), want.pixels.ravel())[0, 1] > 0.9
    asked = len(http.log)
    package = jzi("map", "build", mbtiles(folder, tmp_path / "town.mbtiles"), tmp_path / "other", "--area", area)
    assert package.code == 0 and len(http.log) == asked
    other = Map.open(tmp_path / "other", load_grid(folder / "region.yaml"))
    assert np.corrcoef(other.view(lat, lon, 60.0, 64).pixels.ravel(), want.pixels.ravel())[0, 1] > 0.9
    assert json.loads(jzi("map", "info", tmp_path / "map", "--region", folder / "region.yaml", "--json").out)["tiles"] > 4
