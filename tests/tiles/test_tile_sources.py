"""What a map asks of any source: little is to be written for a new one, and nobody asks for the class behind it."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from justzoomin.errors import TileError
from justzoomin.maps import Map, map_content
from justzoomin.tiles import ServerSource, TileId, TileServer, TileSource, TileTable, source_kind
from map_builders import UTM, UTM_PLACE, XYZ, XYZ_PLACE, build, pack
from package_builders import mbtiles, pmtiles

SOURCE = Path(__file__).resolve().parents[2] / "src" / "justzoomin"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The paths of a map of every kind on the disk."""
    root = tmp_path_factory.mktemp("sources")
    folder = build(root / "xyz", XYZ, *XYZ_PLACE, 60.0)
    (root / "region.yaml").write_text((folder / "region.yaml").read_text())
    packed = pack(build(root / "packed" / "satellite", UTM, *UTM_PLACE, 60.0), root / "packed" / "archives")
    return {"folder": folder, "shards": packed, "mbtiles": mbtiles(folder, root / "town.mbtiles"),
            "pmtiles": pmtiles(folder, root / "town.pmtiles")}


class Four(TileSource):
    """The four methods that must be written, over another source."""

    def __init__(self, inner: TileSource) -> None:
        self.inner = inner

    def levels(self) -> tuple[int, ...]:
        return self.inner.levels()

    def table(self, level: int) -> TileTable:
        return self.inner.table(level)

    def read(self, tile: TileId) -> bytes | None:
        return self.inner.read(tile)

    def describe(self, tile: TileId) -> str:
        return self.inner.describe(tile)


def test_four_methods_make_a_source(places: dict[str, Path]) -> None:
    folder = Map.open(places["folder"])
    own = Map(folder.layout, Four(folder.source), folder.grid, folder.root)
    lat, lon = XYZ_PLACE
    assert np.array_equal(own.view(lat, lon, 50, 64).pixels, folder.view(lat, lon, 50, 64).pixels)
    assert own.fingerprint() == folder.fingerprint() and own.listed and own.levels() == folder.levels()
    assert own.info().source == "other"
    assert own.source.tiles(16) == folder.source.tiles(16) and not own.source.has_level(3)
    assert own.source.dataset_files() is None and own.source.afresh() is own.source
    with pytest.raises(TileError, match="nothing made from them can be kept"):
        map_content(own, own.source.levels())
    with pytest.raises(TileError, match="level 3 has no tile"):
        own.source.require_level(3, (0, 0, 1, 1))
    own.source.require_level(16, (0, 0, 1, 1))


@pytest.mark.parametrize("kind", ["folder", "shards", "mbtiles", "pmtiles"])
def test_the_stamp_of_a_map_is_made_of_its_files_as_ever(places: dict[str, Path], kind: str) -> None:
    """View caches and indexes that were made hold: the rule is written out once more here."""
    opened, level = Map.open(places[kind]), 0 if kind == "shards" else 17
    path = places[kind]
    if kind == "folder":
        files = {f"17/{p.parent.name}/{p.stem}": p for p in sorted((path / "17").rglob("*.png"), key=lambda p: (
            int(p.parent.name), int(p.stem)))}
    elif kind == "shards":
        files = {p.name: p for p in sorted((path / "archives").glob("satellite_level_0_*.tar"))}
    else:
        files = {path.name: path}
    layout = {key: value for key, value in opened.layout.to_mapping().items() if key not in {"path", "url"}}
    digest = hashlib.sha256(json.dumps(layout, sort_keys=True).encode())
    for name, file in files.items():
        status = file.stat()
        digest.update(f"{name!r} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n".encode())
    assert files and map_content(opened, (level,)).stamp == digest.hexdigest()
    assert opened.info().source == kind


def test_the_hash_of_a_server_is_what_it_was() -> None:
    source = ServerSource(TileServer("https://a.example.org/{z}/{x}/{y}.png"))
    assert source.identity_hash() == "server-0ae088aa5d6ab205c38b3d85027c952cfcf7602eeef148f649e55d3883396330"
    assert (source.kind, source.listed, source.requests_per_second) == ("server, not listed", False, 5.0)


def test_a_changed_package_is_seen_by_a_map_in_use(places: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("mbtiles", "pmtiles"):
        path = tmp_path / places[kind].name
        path.write_bytes(places[kind].read_bytes())
        (tmp_path / "region.yaml").write_text((places["folder"] / "region.yaml").read_text())
        opened = Map.open(path)
        before = map_content(opened, (17,))
        other = build(tmp_path / f"other-{kind}", XYZ, *XYZ_PLACE, 60.0, seed=1)
        path.unlink()
        (mbtiles if kind == "mbtiles" else pmtiles)(other, path)
        assert map_content(opened, (17,), known=before) == map_content(Map.open(path), (17,)) != before


def test_which_kind_a_name_means(places: dict[str, Path], tmp_path: Path) -> None:
    template = "https://a.example.org/{z}/{x}/{y}.png"
    wanted = {template: "address", Path(template): "address", "wms://host": "address", "caps.XML": "description",
              "missing.mbtiles": "package", "TOWN.PMTiles": "package", "photo.tif": "path", "folder": "path",
              places["mbtiles"]: "package", places["folder"]: "path", places["folder"] / "layout.yaml": "path"}
    assert {name: source_kind(name) for name in wanted} == wanted
    for name in ("a.mbtiles", "b.xml"):
        (tmp_path / name).mkdir()
        assert source_kind(tmp_path / name) == "path"


def test_nobody_asks_for_the_class_behind_a_source() -> None:
    asked = re.compile(r"isinstance\([^)]*(TileSource|FolderSource|ShardSource|ServerSource|PackageSource|TilesSource)")
    assert [str(path) for path in SOURCE.rglob("*.py") if asked.search(path.read_text(encoding="utf-8"))] == []


def test_a_folder_is_opened_without_what_only_servers_and_packages_need(places: dict[str, Path]) -> None:
    code = ("import sys; from justzoomin.maps import Map; Map.open(sys.argv[1]).info(); print(*sys.modules)")
    ran = subprocess.run([sys.executable, "-c", code, places["folder"]], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "justzoomin.tiles.folder" in loaded
    assert not loaded & {"requests", "sqlite3", "pmtiles", *(f"justzoomin.tiles.{name}" for name in (
        "server", "fetch", "kept", "wmts", "wmtsgrid", "mbtiles", "pmtiles_source", "urltemplate"))}
