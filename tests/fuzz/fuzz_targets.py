"""What is fuzzed: readers of files from outside, seeds of valid files, and laws over what they give."""

from __future__ import annotations

import json
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_seeds import (
    CUT,
    GRID,
    JOURNAL_HEAD,
    calibrations,
    csvs,
    downloads,
    drive_times,
    gpx,
    indexes,
    journals,
    layouts,
    located,
    map_indexes,
    mapillary,
    models,
    parquets,
    pictures,
    polygons,
    predictions,
    regions,
    shard,
    tars,
    tile_pictures,
    training,
    weight_pictures,
    weight_rasters,
    with_exif,
)
from PIL import Image

import fakes
from justzoomin.archives import TarShards
from justzoomin.archives.scan import scan
from justzoomin.data import check_records, decode_photo, read_split
from justzoomin.geometry import find_grid, save_grid
from justzoomin.tiles import TileLayout, TileProjection
from justzoomin.tiles.decoding import decode_tile


def _same(content: bytes) -> bytes:
    return content


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: Also the name of its folder of the corpus.
        seeds: Valid files.
        run: Reads the bytes in a folder and checks its laws.
        words: What belongs to the format.
        mend: Corrects checksums, so that damage behind them is reached.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes, Path], None]
    words: tuple[bytes, ...] = ()
    mend: Callable[[bytes], bytes] = _same


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# Archives


def _mend_tar(content: bytes) -> bytes:
    """Correct the checksum of every block that could be a header."""
    data = bytearray(content)
    for at in range(0, len(data) - 511, 512):
        block = data[at:at + 512]
        if any(block[:100]) and block[257:262] == b"ustar":
            data[at + 148:at + 156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    return bytes(data)


def _run_tar(content: bytes, folder: Path) -> None:
    path = _file(folder, "a.tar", content)
    index = scan(path)
    rows = zip(index.names.tolist(), index.offsets.tolist(), index.sizes.tolist(), strict=True)
    ours = {name.decode(): (offset, size) for name, offset, size in rows}
    assert all(o > 0 and o + s <= len(content) and ".." not in n.split("/") and n[0] != "/" for n, (o, s) in ours.items())
    with tarfile.open(path, "r:") as tar:  # what we accept, the standard library reads alike
        theirs = {m.name.removeprefix("./"): (m.offset_data, m.size) for m in tar if not m.isdir()}
    assert ours == theirs, (ours, theirs)
    shards = TarShards([path], cache_dir=folder / "index")
    again = TarShards([path], cache_dir=folder / "index")
    assert again.names() == shards.names() == sorted(ours, key=str.encode)
    for name, (offset, size) in ours.items():
        assert shards.read(name) == again.read(name) == content[offset:offset + size]
    shards.close()
    again.close()


def _mend_zip(content: bytes) -> bytes:
    """Correct the checksums of a ZIP's stored members."""
    data = bytearray(content)
    at = 0
    while (at := data.find(b"PK\x03\x04", at)) >= 0 and at + 30 <= len(data):
        size, name, extra = struct.unpack("<IHH", data[at + 22:at + 30])
        start = at + 30 + name + extra
        crc = struct.pack("<I", zlib.crc32(data[start:start + size]))
        central = data.find(b"PK\x01\x02")
        while central >= 0 and central + 46 <= len(data):
            if struct.unpack("<I", data[central + 42:central + 46])[0] == at:
                data[central + 16:central + 20] = crc
            central = data.find(b"PK\x01\x02", central + 4)
        data[at + 14:at + 18] = crc
        at += 4
    return bytes(data)


def _run_index(content: bytes, folder: Path) -> None:
    path = shard(folder)
    TarShards([path], cache_dir=folder / "index").close()
    kept = next((folder / "index").iterdir())
    kept.write_bytes(content)
    shards = TarShards([path], cache_dir=folder / "index")
    whole = path.read_bytes()
    for name in shards.names():
        assert shards.read(name) in whole and ".." not in name and not name.startswith("/")
    shards.close()


# Pictures


def _mend_png(content: bytes) -> bytes:
    """Correct the checksums of a PNG's chunks."""
    data, at = bytearray(content), 8
    while data[:4] == b"\x89PNG" and at + 12 <= len(data):
        size = struct.unpack(">I", data[at:at + 4])[0]
        if at + 12 + size > len(data):
            break
        data[at + 8 + size:at + 12 + size] = struct.pack(">I", zlib.crc32(data[at + 4:at + 8 + size]))
        at += 12 + size
    return bytes(data)


def _run_photo(content: bytes, folder: Path) -> None:
    small = decode_photo(content, "photo.jpg", (16, 16))
    full = decode_photo(content, "photo.jpg")
    for pixels in (small, full):
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and min(pixels.shape[:2]) >= 1
    assert full.shape[0] >= small.shape[0] and full.shape[1] >= small.shape[1]


def _run_tile(content: bytes, folder: Path) -> None:
    name = "0/0/0.jpg" if content[:2] == b"\xff\xd8" else "0/0/0.png"
    assert decode_tile(content, name, 32).shape == (32, 32, 3)


# Tables


def _run_table(ending: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        split = read_split(_file(folder, f"train.{ending}", content), "train")
        assert len(split.image_ids) == len(split) > 0 and np.isfinite(split.lat).all() and np.isfinite(split.lon).all()
        kinds = {p.kind for p in check_records(split, GRID)}
        assert kinds <= {"duplicate", "position", "off_region", "sequence", "contradiction"}
        if not kinds - {"duplicate", "contradiction"}:
            assert split.sequences(GRID).shape == (len(split), GRID.depth)
    return run


def _run_predictions(content: bytes, folder: Path) -> None:
    from justzoomin.scoring import Protocol, read_predictions, score_table, write_predictions

    table = read_predictions(_file(folder, "p.parquet", content))
    if table.grid.actions**table.grid.depth > 1 << 16:  # beside a few photos, only chance takes longer on such a grid
        return
    for gallery in ("all", "occupied") if table.occupied is not None else ("all",):
        found = score_table(table, Protocol(gallery, radii_m=(10.0, 40.0)))
        for figure in (found["recall_at_1"], *found["recall_at_m"].values()):
            assert 0 <= figure["low"] <= figure["value"] + 1e-6 and figure["value"] - 1e-6 <= figure["high"] <= 100
        json.dumps(found, allow_nan=False)
    again = read_predictions(write_predictions(folder / "again.parquet", table))
    assert again.photos == table.photos and again.info == table.info
    assert np.array_equal(again.ranking.cells, table.ranking.cells)


# Settings


def _run_layout(content: bytes, folder: Path) -> None:
    layout = TileLayout.load(_file(folder, "layout.yaml", content))
    TileProjection(layout, "layout.yaml")
    layout.save(folder / "again.yaml")
    assert TileLayout.load(folder / "again.yaml") == layout


def _run_region(content: bytes, folder: Path) -> None:
    grid = find_grid(_file(folder, "region.yaml", content))
    assert grid.encode(*grid.region.centre).shape[-1] == grid.depth
    assert find_grid(save_grid(grid, folder / "again.yaml")) == grid


def _run_training(content: bytes, folder: Path) -> None:
    from justzoomin.training import dump_config, load_config

    config = load_config(_file(folder, "config.yaml", content))
    assert load_config(_file(folder, "again.yaml", dump_config(config).encode())) == config


def _run_model(content: bytes, folder: Path) -> None:
    import torch

    from justzoomin.models import ZoomModel

    parts = content.split(CUT, 2)
    (folder / "m").mkdir(exist_ok=True)
    for name, part in zip(("config.json", "region.yaml", "model.safetensors"), parts, strict=False):
        _file(folder / "m", name, part)
    model = ZoomModel.from_pretrained(folder / "m", device="cpu")
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def _run_download(content: bytes, folder: Path) -> None:
    from justzoomin.archives import check_hashes, require_complete

    (folder / "metadata").mkdir()
    _file(folder / "metadata", "x.csv", b"12345")
    _file(folder, ".jzi-download.json", content)
    require_complete(folder)
    check_hashes(folder, workers=1)


# What searches keep


def _run_map_index(content: bytes, folder: Path) -> None:
    from justzoomin.search import MapIndex

    head, _, views = content.partition(CUT)
    _file(folder, "index.json", head)
    _file(folder, "views.bin", views)
    index = MapIndex.open(folder)
    numbers = np.arange(len(index))
    there = numbers[index.known(numbers)]
    assert index.read(there).shape == (len(there), index.head.width) and index.count() == len(there)


def _run_journal(content: bytes, folder: Path) -> None:
    from justzoomin.errors import PhotoError
    from justzoomin.search.bulk import Journal

    path = _file(folder, "journal.jsonl", content)
    with Journal(path, JOURNAL_HEAD) as journal:
        journal.add("c.jpg", PhotoError("c.jpg", "it is missing", "Put it there."), [])
        assert [row["photo"] for row in journal.rows(["c.jpg"])] == ["c.jpg"]
    with Journal(path, JOURNAL_HEAD) as again:
        assert [row["error"] for row in again.rows(["c.jpg"])] == ["c.jpg: it is missing. Put it there."]


# What is known before a photo is looked at, and after


def _run_polygons(content: bytes, folder: Path) -> None:
    from justzoomin.posterior import read_polygons

    weights = np.exp(read_polygons(_file(folder, "area.geojson", content)).log_weights(GRID))
    assert weights.shape == (GRID.actions**GRID.depth,) and (weights >= 0).all() and (weights <= 1 + 1e-9).all()


def _run_weights(content: bytes, folder: Path) -> None:
    from justzoomin.posterior import weights_from_npy

    weights = weights_from_npy(_file(folder, "weights.npy", content), GRID)
    assert np.isfinite(weights.values).all() and (weights.values >= 0).all()


def _run_raster(content: bytes, folder: Path) -> None:
    from justzoomin.posterior.rasters import weights_from_raster

    weights = weights_from_raster(_file(folder, "weights.tif", content), GRID)
    assert weights.values.shape == (GRID.actions**GRID.depth,)
    assert np.isfinite(weights.values).all() and (weights.values >= 0).all()


def _run_calibration(content: bytes, folder: Path) -> None:
    from justzoomin.posterior import Calibration

    calibration = Calibration.load(_file(folder, "calibration.json", content))
    log_probs = np.random.default_rng(0).normal(0, 3, (2, 256))
    log_probs -= np.log(np.exp(log_probs).sum(1, keepdims=True))
    for same_map in (True, False):
        if (fitting := calibration.for_depth(GRID.depth)) is not None:
            assert np.allclose(np.exp(fitting.part(same_map).apply(GRID, log_probs)).sum(1), 1.0)
    assert Calibration.load(calibration.save(folder / "again.json")) == calibration


def _run_times(content: bytes, folder: Path) -> None:
    from justzoomin.photos.readers import times_from_table

    photos = [folder / "a.jpg", folder / "b.jpg"]
    found, missing = times_from_table(photos, _file(folder, "times.csv", content), "UTC")
    assert len(found) + len(missing) == 2 and [p.time for p in found] == sorted(p.time for p in found)
    for photo in found:
        assert photo.time.tzinfo is not None
        assert photo.displacement_m is None or np.isfinite(photo.displacement_m).all()


# Photos of people


def _run_source(name: str, kind: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        from justzoomin.photos.readers import SourceOptions, read_source

        images = folder / "images"
        images.mkdir(exist_ok=True)
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: "2024:05:01 10:00:02"})
        _file(images, "1234567.jpg", fakes.encoded(fakes.picture(32, 24), exif=exif))
        path = _file(folder, name, content)
        source = read_source(path, kind=kind, options=SourceOptions(images=images, time_zone="UTC", workers=1))
        for record in source.records:
            assert np.isfinite([record.lat, record.lon]).all() and abs(record.lat) <= 90 and abs(record.lon) <= 360
    return run


def _run_exif(content: bytes, folder: Path) -> None:
    from justzoomin.photos.readers import SourceOptions, read_source

    images = folder / "images"
    images.mkdir(exist_ok=True)
    _file(images, "photo.jpg", content)
    for record in read_source(images, kind="exif", options=SourceOptions(workers=1)).records:
        assert np.isfinite([record.lat, record.lon]).all() and abs(record.lat) <= 90 and abs(record.lon) <= 360


def _targets() -> list[Target]:
    tar_words = (b"ustar\0", b"ustar  \0", b"path=/etc/x\n", b"30 size=99999\n", b"GNU.sparse.major=1", b"\x80" + bytes(11),
                 b"\xff" * 12, b"./././@LongLink", b"S", b"x", b"g", b"L")
    index_words = (b"'<i8'", b"'|O'", b"'|S9'", b"(9999999999,)", b"'fortran_order': True")
    gpx_words = (b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>", b"&a;", b"<trkpt>", b"lat=")
    yaml_words = (b"min_zoom: 1\n", b"\n  ", b"- ", b"? ", b": ", b"|\n", b"---\n", b"1:30:00", b"2024-01-01", b".inf", b"0b1")
    return [
        Target("tar", tars, _run_tar, tar_words, _mend_tar),
        Target("index", indexes, _run_index, index_words, _mend_zip),
        Target("photo", pictures, _run_photo, (b"\xff\xd8", b"\xff\xda", b"\xff\xc0", b"IHDR", b"tRNS", b"zTXt", b"Exif\0\0"),
               _mend_png),
        Target("tile", tile_pictures, _run_tile, (b"\xff\xda", b"\xff\xc0", b"IHDR"), _mend_png),
        Target("csv", csvs, _run_table("csv"), (b"image_id", b"sequence", b"latitude", b"\n" + b"," * 300, b'"[1, 2]"')),
        Target("parquet", parquets, _run_table("parquet"), (b"PAR1",)),
        Target("predictions", predictions, _run_predictions, (b"PAR1", b'"listed":9', b'"depth":9', b"1e400")),
        Target("layout", layouts, _run_layout, (*yaml_words, b"+proj=merc", b"epsg:4326", b"{zoom}", b"size_crs: [1, 1]\n")),
        Target("region", regions, _run_region, (*yaml_words, b"depth: 9\n", b"grid: 8\n", b"89.9", b"179.9")),
        Target("config", training, _run_training, yaml_words),
        Target("model", models, _run_model, (b'"F32"', b'"F64"', b'"data_offsets":[0,9]', b'"shape":[99999999]', CUT)),
        Target("download", downloads, _run_download, (b'"files"', b"[]", b"{}", b'"../x"')),
        Target("map_index", map_indexes, _run_map_index, (
            b'"fp32"', b'"width": 99999', b'"depth": 30', b'"grid": 8', b"[2, 65536]", b"[62, 1]", CUT)),
        Target("journal", journals, _run_journal, (b'"photo"', b'"error"', b"\n", b"{}", b"[]", b'"file": []')),
        Target("polygons", polygons, _run_polygons, (b'"MultiPolygon"', b"[]", b"{}", b"1e400", b"180.0", b"-90")),
        Target("weights", weight_pictures, _run_weights, index_words),
        Target("raster", weight_rasters, _run_raster, (b"II*\0", b"MM\0*", b"II+\0", b"<VRTDataset>", b"nan")),
        Target("calibration", calibrations, _run_calibration, (b"1e400", b"NaN", b"[]", b"null", b"-1", b"1e-300")),
        Target("times", drive_times, _run_times, (b"east_m", b"\n" + b"," * 30, b"1e400", b"a.jpg", b"9999-12-31")),
        Target("gpx", gpx, _run_source("track.gpx", "gpx"), gpx_words),
        Target("mapillary", mapillary, _run_source("images.json", "mapillary"), (b'"id"', b"[]", b"{}", b'"spherical"')),
        Target("geojson", located, _run_source("photos.geojson", "table"), (b'"Point"', b"[]", b"{}", b"1e400")),
        Target("exif", with_exif, _run_exif, (b"Exif\0\0", b"II*\0", b"MM\0*")),
    ]


TARGETS = {target.name: target for target in _targets()}
