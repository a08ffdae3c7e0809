"""Tile packages as maps: the views of the same tiles in a folder; packages that are broken or mean harm."""

import gzip
import io
import os
import pickle
import shutil
import sqlite3
import struct
import threading

import numpy as np
import pytest
from PIL import Image
from pmtiles.tile import Compression, Entry, TileType, serialize_directory, serialize_header, tileid_to_zxy

from justzoomin.errors import LayoutError, TileError
from justzoomin.geometry import load_grid
from justzoomin.maps import Map
from justzoomin.tiles import TileId, open_package
from justzoomin.tiles.pmtiles_source import _level_ids, _places
from map_builders import XYZ_PLACE
from package_builders import mbtiles, pmtiles, tiles_of

VIEWS = ((*XYZ_PLACE, 300.0, 128, 0.0), (*XYZ_PLACE, 80.0, 96, 30.0), (XYZ_PLACE[0], XYZ_PLACE[1] + 0.004, 300.0, 64, 0.0))


@pytest.fixture(scope="module")
def packages(xyz_map, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    shutil.copyfile(xyz_map / "region.yaml", folder / "region.yaml")
    return {"mbtiles": mbtiles(xyz_map, folder / "town.mbtiles"),
            "view": mbtiles(xyz_map, folder / "deduplicated.MBTILES", deduplicated=True),
            "pmtiles": pmtiles(xyz_map, folder / "town.pmtiles")}


def copy(package, tmp_path):
    return shutil.copyfile(package, tmp_path / package.name)


def write(path, statement, values=()):
    base = sqlite3.connect(path)
    base.execute(statement, values)
    base.commit()
    base.close()
    return path


def encoded(size, kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (9, 80, 200)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["mbtiles", "view", "pmtiles"])
def test_a_package_is_the_map_of_its_tiles(packages, xyz_map, kind):
    opened, folder = Map.open(packages[kind]), Map.open(xyz_map)
    for view in VIEWS:
        a, b = opened.view(*view), folder.view(*view)
        assert np.array_equal(a.pixels, b.pixels) and a.no_data == b.no_data and a.level == b.level
    assert opened.grid == folder.grid
    assert opened.levels() == folder.levels()
    assert opened.fingerprint() == folder.fingerprint()
    info, other = opened.info(), folder.info()
    assert info.source == packages[kind].suffix.lower()[1:]
    assert info.levels == other.levels
    assert opened.attribution == "© Town of Nowhere"
    for level in folder.levels():
        assert np.array_equal(opened.source.table(level).tiles, folder.source.table(level).tiles)
        assert np.array_equal(opened.source.table(level).sizes, folder.source.table(level).sizes)
    for tile in ((17, -1, 0), (17, 2**17, 0), (17, 0, 0), (3, 0, 0), (-1, 0, 0), (99, 0, 0)):
        assert opened.source.read(TileId(*tile)) is None
    assert not len(opened.source.table(3)) and not len(opened.source.table(-4))


@pytest.mark.parametrize("kind", ["mbtiles", "pmtiles"])
def test_packages_travel(packages, xyz_map, kind):
    opened = Map.open(packages[kind])
    want = Map.open(xyz_map).view(*VIEWS[0]).pixels
    assert np.array_equal(opened.view(*VIEWS[0]).pixels, want)
    assert np.array_equal(pickle.loads(pickle.dumps(opened)).view(*VIEWS[0]).pixels, want)
    got = []
    threads = [threading.Thread(target=lambda: got.append(Map(opened.layout, opened.source, opened.grid, opened.root)
                                                          .view(*VIEWS[0]).pixels)) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(got) == 4 and all(np.array_equal(g, want) for g in got)
    tile = TileId(17, *opened.source.tiles(17)[0])
    content = opened.source.read(tile)
    child = os.fork()
    if child == 0:
        os._exit(0 if opened.source.read(tile) == content else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert opened.source.read(tile) == content


def test_large_tiles(tmp_path, xyz_map):
    folder = tmp_path / "tiles"
    x, y = Map.open(xyz_map).source.tiles(15)[0]
    (folder / "15" / str(x)).mkdir(parents=True)
    (folder / "15" / str(x) / f"{y}.png").write_bytes(encoded(512))
    for package in (mbtiles(folder, tmp_path / "p.mbtiles"), pmtiles(folder, tmp_path / "p.pmtiles")):
        opened = Map.open(package, load_grid(xyz_map / "region.yaml"))
        assert opened.layout.tile_px == 512 and opened.layout.tile_shape_crs == Map.open(xyz_map).layout.tile_shape_crs
        usual = Map.open(xyz_map).info().levels[0].metres_per_pixel
        assert opened.info().levels[0].metres_per_pixel == pytest.approx(usual / 2)


def test_a_package_needs_a_region(packages, tmp_path):
    with pytest.raises(LayoutError, match="--region"):
        Map.open(copy(packages["mbtiles"], tmp_path))
    with pytest.raises(LayoutError, match="no such file"):
        Map.open(tmp_path / "none.pmtiles")


def test_another_size_names_the_tile(packages, tmp_path):
    path = copy(packages["mbtiles"], tmp_path)
    x, y = open_package(path).tiles(16)[0]
    write(path, "UPDATE tiles SET tile_data = ? WHERE zoom_level = 16 AND tile_column = ? AND tile_row = ?",
          (encoded(512), x, 2**16 - 1 - y))
    with pytest.raises(TileError, match=rf"town\.mbtiles!16/{x}/{y}: the tile is 512 x 512 px, but the others are 256 x 256"):
        open_package(path).read(TileId(16, x, y))


@pytest.mark.parametrize(("statement", "values", "words"), [
    ("UPDATE metadata SET value = 'pbf' WHERE name = 'format'", (), "vector tiles, not pictures"),
    ("INSERT INTO metadata VALUES ('crs', 'EPSG:4326')", (), "projection epsg:4326"),
    ("DELETE FROM tiles", (), "holds no tile"),
    ("DROP TABLE tiles", (), "no such table: tiles"),
    ("DROP TABLE metadata", (), "no such table: metadata"),
    ("UPDATE tiles SET tile_data = 'text'", (), "not a JPEG, PNG or WebP"),
    ("UPDATE tiles SET tile_data = ?", (b"\x1f\x8b" + bytes(30),), "gzip"),
    ("UPDATE tiles SET tile_data = ?", (encoded(100),), "100 x 100 px"),
    ("UPDATE tiles SET tile_data = zeroblob(34000000) WHERE zoom_level = 18", (), "too big"),
])
def test_packages_that_are_refused(packages, tmp_path, statement, values, words):
    path = write(copy(packages["mbtiles"], tmp_path), statement, values)
    with pytest.raises(TileError, match=words) as caught:
        open_package(path)
    assert "town.mbtiles" in caught.value.where and caught.value.remedy


@pytest.mark.parametrize(("statement", "words"), [
    ("UPDATE tiles SET tile_column = 'x' WHERE rowid = 3", "is listed as"),
    ("UPDATE tiles SET tile_data = NULL WHERE rowid = 3", "is listed as"),
    ("UPDATE tiles SET tile_column = -5 WHERE rowid = 3", "outside the web mercator square"),
    ("UPDATE tiles SET tile_column = 9223372036854775807 WHERE rowid = 3", "outside the web mercator square"),
    ("UPDATE tiles SET tile_row = -9223372036854775807 WHERE rowid = 3", "outside the web mercator square"),
])
def test_lists_that_make_no_sense(packages, tmp_path, statement, words):
    path = copy(packages["mbtiles"], tmp_path)
    write(path, "DROP INDEX i")
    source = open_package(write(path, statement))
    with pytest.raises(TileError, match=words):
        [source.table(level) for level in source.levels()]


def test_doubled_tiles(packages, tmp_path):
    path = write(copy(packages["mbtiles"], tmp_path), "DROP INDEX i")
    source = open_package(write(path, "INSERT INTO tiles SELECT * FROM tiles WHERE zoom_level = 17 LIMIT 1"))
    with pytest.raises(TileError, match="is listed twice"):
        source.table(17)


def test_a_view_without_end_is_stopped(packages, tmp_path, monkeypatch):
    from justzoomin.tiles import mbtiles as module

    monkeypatch.setattr(module, "_READ_STEPS", 5)
    path = write(copy(packages["mbtiles"], tmp_path), "DROP TABLE tiles")
    write(path, "CREATE VIEW tiles AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                "SELECT -i AS zoom_level, i AS tile_column, i AS tile_row, x'00' AS tile_data FROM n")
    with pytest.raises(TileError, match="takes too long"):
        open_package(path)


def test_no_database_and_half_of_one(packages, tmp_path):
    for name, content in (("text.mbtiles", b"no database" * 100), ("empty.mbtiles", b""),
                          ("half.mbtiles", packages["mbtiles"].read_bytes()[:6000])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TileError, match=f"{name}: it cannot be read as MBTiles"):
            open_package(tmp_path / name)


def test_nothing_is_written_beside_a_package(packages):
    before = sorted(p.name for p in packages["mbtiles"].parent.iterdir())
    Map.open(packages["mbtiles"]).info()
    assert sorted(p.name for p in packages["mbtiles"].parent.iterdir()) == before


@pytest.mark.parametrize("level", [0, 1, 2, 5, 9])
def test_places_along_the_curve_are_those_of_the_library(level):
    first, last = _level_ids(level)
    numbers = np.unique(np.random.default_rng(level).integers(first, last, 200))
    assert [(level, x, y) for x, y in _places(numbers - first, level).tolist()] == [tileid_to_zxy(n) for n in numbers.tolist()]


def test_a_directory_of_directories(tmp_path):
    """A package large enough for leaves, with runs of equal tiles."""
    tile = encoded(256)
    path = tmp_path / "deep.pmtiles"
    leaves = [[Entry(n, 0, len(tile), 1) for n in range(*_level_ids(2))], [Entry(_level_ids(3)[0], 0, len(tile), 64)]]
    written = [serialize_directory(leaf) for leaf in leaves]
    root = [Entry(leaves[0][0].tile_id, 0, len(written[0]), 0),
            Entry(leaves[1][0].tile_id, len(written[0]), len(written[1]), 0)]
    write_pmtiles(path, serialize_directory(root), tile, b"".join(written), min_zoom=2, max_zoom=3)
    source = open_package(path)
    assert source.tiles(2) == [(x, y) for x in range(4) for y in range(4)]
    assert source.tiles(3) == [(x, y) for x in range(8) for y in range(8)]
    assert source.read(TileId(3, 7, 7)) == source.read(TileId(2, 0, 0)) == tile


def write_pmtiles(path, root, tile, leaves=b"", **header):
    values = {"root_offset": 127, "root_length": len(root), "metadata_offset": 127 + len(root), "metadata_length": 0,
              "leaf_directory_offset": 127 + len(root), "leaf_directory_length": len(leaves),
              "tile_data_offset": 127 + len(root) + len(leaves), "tile_data_length": len(tile), "clustered": True,
              "internal_compression": Compression.GZIP, "tile_compression": Compression.NONE, "tile_type": TileType.PNG,
              "min_zoom": 0, "max_zoom": 0, **header}
    path.write_bytes(serialize_header(values) + root + leaves + tile)
    return path


def hostile_packages():
    tile = encoded(256)
    one = serialize_directory([Entry(0, 0, len(tile), 1)])
    yield "vector", {"root": one, "tile_type": TileType.MVT}, "vector tiles, not pictures"
    yield "brotli", {"root": one, "internal_compression": Compression.BROTLI}, "internal_compression is brotli"
    yield "packed", {"root": one, "tile_compression": Compression.GZIP}, "tile_compression is gzip"
    yield "levels", {"root": one, "min_zoom": 9, "max_zoom": 3}, "its levels are 9 to 3"
    yield "deep", {"root": one, "max_zoom": 200}, "its levels are 0 to 200"
    yield "far", {"root": one, "root_offset": 2**63}, "ends too early"
    yield "long", {"root": one, "root_length": 2**62}, "bytes; at most 8388608 are allowed"
    yield "metadata", {"root": one, "metadata_length": 2**40}, "are allowed"
    yield "tile", {"root": serialize_directory([Entry(0, 0, 2**31, 1)])}, "are allowed"
    yield "past", {"root": serialize_directory([Entry(0, 2**40, 10, 1)])}, "ends too early"
    yield "loop", {"root": serialize_directory([Entry(0, 0, 50, 0)]), "leaf_directory_offset": 127,
                   "root_length": None}, "in a circle|truncated or too large|ends too early"
    yield "bomb", {"root": gzip.compress(bytes(200 << 20))}, "truncated or too large"
    yield "count", {"root": gzip.compress(b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(50))}, "claims more entries"
    yield "order", {"root": gzip.compress(b"\x02\x05" + b"\x00\x05\x01\x01\x0a")}, "out of order|claims more|broken"
    yield "junk", {"root": b"no gzip at all"}, "broken"
    yield "nothing", {"root": serialize_directory([])}, "holds no tile"


@pytest.mark.parametrize(("header", "words"), [pytest.param(h, w, id=n) for n, h, w in hostile_packages()])
def test_hostile_pmtiles(tmp_path, header, words):
    values = {k: v for k, v in header.items() if v is not None}
    path = write_pmtiles(tmp_path / "bad.pmtiles", values.pop("root"), encoded(256), **values)
    with pytest.raises(TileError, match=words) as caught:
        open_package(path)
    assert "bad.pmtiles" in caught.value.where and caught.value.remedy


def test_a_directory_that_leads_back(tmp_path):
    tile = encoded(256)
    root = serialize_directory([Entry(0, 0, len(tile), 1), Entry(5, 0, 0, 0)])
    for _ in range(9):  # it contains its own length
        root = serialize_directory([Entry(0, 0, len(tile), 1), Entry(5, 0, len(root), 0)])
    path = write_pmtiles(tmp_path / "loop.pmtiles", root, tile, leaf_directory_offset=127, max_zoom=3)
    source = open_package(path)
    with pytest.raises(TileError, match="too deep or refer to each other"):
        source.table(2)
    with pytest.raises(TileError, match="are more than 4 levels deep"):
        source.read(TileId(2, 1, 1))


def test_runs_without_end(tmp_path):
    tile = encoded(256)
    root = serialize_directory([Entry(0, 0, len(tile), 2**60)])
    source = open_package(write_pmtiles(tmp_path / "run.pmtiles", root, tile, max_zoom=20))
    assert source.read(TileId(20, 5, 5)) == tile
    assert len(source.table(3)) == 64
    with pytest.raises(TileError, match="level 20 has more than"):
        source.table(20)


def test_half_a_pmtiles(packages, tmp_path):
    content = packages["pmtiles"].read_bytes()
    for length in (0, 5, 127, 500, len(content) - 3000):
        (tmp_path / "half.pmtiles").write_bytes(content[:length])
        with pytest.raises(TileError, match=r"half\.pmtiles"):
            source = open_package(tmp_path / "half.pmtiles")
            [source.read(TileId(level, *tile)) for level in source.levels() for tile in source.tiles(level)]
    (tmp_path / "old.pmtiles").write_bytes(b"PM" + struct.pack("<H", 2) + bytes(600))
    with pytest.raises(TileError, match="version 3"):
        open_package(tmp_path / "old.pmtiles")


def test_tiles_of_reads_all(xyz_map):
    assert len(list(tiles_of(xyz_map))) == sum(Map.open(xyz_map).levels().values())
