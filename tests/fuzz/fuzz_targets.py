"""What is fuzzed: readers of files from outside, seeds of valid files, and laws over what they give."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from PIL import Image

import fakes
from justzoomin.data import check_records, decode_photo, read_split
from justzoomin.geometry import Region, ZoomGrid, find_grid, save_grid
from justzoomin.maps import CARD_LAYOUT, TarShards, TileLayout, TileProjection
from justzoomin.maps.tarscan import scan
from justzoomin.maps.tiles import decode_tile

GRID = ZoomGrid(Region(54.5, 3.0, (-200, 200), (-200, 200)), 4, 2)
_CUT = b"\n--8<--\n"


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


@cache
def _tars() -> list[bytes]:
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            names = ["satellite/0/1/2.jpg", "./a/b", "d/", "empty"]
            for name in names if form == tarfile.USTAR_FORMAT else [*names, "x" * 120, "ä/ö"]:
                info = tarfile.TarInfo(name)
                info.size = 0 if name in {"d/", "empty"} else 700
                info.type = tarfile.DIRTYPE if name == "d/" else tarfile.REGTYPE
                if form == tarfile.PAX_FORMAT and name == "empty":
                    info.pax_headers = {"comment": "x", "mtime": "1.5"}
                tar.addfile(info, io.BytesIO(name.encode() * 200))
        data = buffer.getvalue()
        found.append(data[: len(data.rstrip(b"\0")) // 512 * 512 + 512 * 3])
    return found


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


@cache
def _indexes() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        path = _shard(Path(name))
        TarShards([path], cache_dir=Path(name) / "index")
        return [next((Path(name) / "index").iterdir()).read_bytes()]


def _shard(folder: Path) -> Path:
    path = fakes.write_tar(folder / "a.tar", {"one": b"1" * 700, "two/three": b"3", "x": b""})
    os.utime(path, ns=(5, 5))
    return path


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
    path = _shard(folder)
    TarShards([path], cache_dir=folder / "index").close()
    kept = next((folder / "index").iterdir())
    kept.write_bytes(content)
    shards = TarShards([path], cache_dir=folder / "index")
    whole = path.read_bytes()
    for name in shards.names():
        assert shards.read(name) in whole and ".." not in name and not name.startswith("/")
    shards.close()


# Pictures


@cache
def _pictures() -> list[bytes]:
    picture = fakes.picture(48, 32)
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = image.convert("P")
    palette.info["transparency"] = 3
    found = [
        fakes.encoded(image, exif=exif), fakes.encoded(image, progressive=True), fakes.encoded(image.convert("CMYK")),
        fakes.encoded(image.convert("L")), fakes.encoded(image, "PNG", exif=exif), fakes.encoded(palette, "PNG"),
        fakes.encoded(image.convert("RGBA"), "PNG"), fakes.encoded(image, "TIFF", compression="tiff_lzw", exif=exif),
        fakes.encoded(Image.fromarray(picture[:, :, 0].astype(np.uint16) * 257), "PNG"),
        fakes.encoded(image, "TIFF", compression="jpeg"), fakes.encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        fakes.encoded(image, "WEBP", exif=exif), fakes.encoded(image, "WEBP", lossless=True), fakes.encoded(image, "BMP"),
        fakes.encoded(palette, "GIF", save_all=True, append_images=[palette.transpose(Image.Transpose.ROTATE_180)]),
        fakes.encoded(image, "MPO", save_all=True, append_images=[image]),
        fakes.encoded(image, "WEBP", save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)]),
    ]
    try:
        import pillow_heif
    except ImportError:
        return found
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=50)
    return [*found, buffer.getvalue()]


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


@cache
def _tile_pictures() -> list[bytes]:
    image = Image.fromarray(fakes.picture(32, 32))
    return [fakes.encoded(image), fakes.encoded(image.convert("P"), "PNG"), fakes.encoded(image.convert("RGBA"), "WEBP")]


def _run_tile(content: bytes, folder: Path) -> None:
    name = "0/0/0.jpg" if content[:2] == b"\xff\xd8" else "0/0/0.png"
    assert decode_tile(content, name, 32).shape == (32, 32, 3)


# Tables


@cache
def _rows() -> list[dict[str, object]]:
    return [{"image_id": f"00{k}", "latitude": 54.5 + k * 1e-4, "longitude": 3.0, "sequence": [10, k], "note": "n,x"}
            for k in range(4)]


@cache
def _csvs() -> list[bytes]:
    text = pl.DataFrame([{**r, "sequence": str(r["sequence"])} for r in _rows()])
    return [text.write_csv().encode(), b"\xef\xbb\xbf" + text.write_csv(separator=";").replace("\n", "\r\n").encode(),
            text.write_csv(separator="\t").encode()]


@cache
def _parquets() -> list[bytes]:
    found = []
    for compression in ("uncompressed", "zstd", "snappy"):
        buffer = io.BytesIO()
        pl.DataFrame(_rows()).write_parquet(buffer, compression=compression)
        found.append(buffer.getvalue())
    return found


def _run_table(ending: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        split = read_split(_file(folder, f"train.{ending}", content), "train")
        assert len(split.image_ids) == len(split) > 0 and np.isfinite(split.lat).all() and np.isfinite(split.lon).all()
        kinds = {p.kind for p in check_records(split, GRID)}
        assert kinds <= {"duplicate", "position", "off_region", "sequence", "contradiction"}
        if not kinds - {"duplicate", "contradiction"}:
            assert split.sequences(GRID).shape == (len(split), GRID.depth)
    return run


# Settings


@cache
def _layouts() -> list[bytes]:
    texts = [yaml.safe_dump(CARD_LAYOUT.to_mapping()), "preset: XYZ\nmin_zoom: 0\nmax_zoom: 19\npath: '{zoom}/{x}/{y}.png'\n",
             yaml.safe_dump({**CARD_LAYOUT.to_mapping(), "tile_axes": ["east", "south"], "size_crs": [1e5, 1e5]})]
    return [t.encode() for t in texts]


def _run_layout(content: bytes, folder: Path) -> None:
    layout = TileLayout.load(_file(folder, "layout.yaml", content))
    TileProjection(layout, "layout.yaml")
    layout.save(folder / "again.yaml")
    assert TileLayout.load(folder / "again.yaml") == layout


@cache
def _regions() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        return [save_grid(grid, Path(name) / "region.yaml").read_bytes() for grid in (GRID, find_grid("dc"))]


def _run_region(content: bytes, folder: Path) -> None:
    grid = find_grid(_file(folder, "region.yaml", content))
    assert grid.encode(*grid.region.centre).shape[-1] == grid.depth
    assert find_grid(save_grid(grid, folder / "again.yaml")) == grid


@cache
def _training() -> list[bytes]:
    from justzoomin.training import dump_config, train_config

    return [dump_config(train_config("small")).encode(), b"epochs: 3\naugment:\n  enabled: false\nmodel: small\n"]


def _run_training(content: bytes, folder: Path) -> None:
    from justzoomin.training import dump_config, load_config

    config = load_config(_file(folder, "config.yaml", content))
    assert load_config(_file(folder, "again.yaml", dump_config(config).encode())) == config


@cache
def _models() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = fakes.tiny_model().save_pretrained(Path(name) / "m", GRID)
        return [_CUT.join((folder / n).read_bytes() for n in ("config.json", "region.yaml", "model.safetensors"))]


def _run_model(content: bytes, folder: Path) -> None:
    import torch

    from justzoomin.models import ZoomModel

    parts = content.split(_CUT, 2)
    (folder / "m").mkdir(exist_ok=True)
    for name, part in zip(("config.json", "region.yaml", "model.safetensors"), parts, strict=False):
        _file(folder / "m", name, part)
    model = ZoomModel.from_pretrained(folder / "m", device="cpu")
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@cache
def _downloads() -> list[bytes]:
    from justzoomin.maps import DownloadRecord, FileStamp

    with tempfile.TemporaryDirectory() as name:
        stamps = {"metadata/x.csv": FileStamp(5, "sha256", hashlib.sha256(b"12345").hexdigest())}
        DownloadRecord(repo_id="owner/name", revision="main", commit="0" * 40, endpoint=None, asked={"pixels": 384}, licence="",
                       attribution="", levels=(-1, 0), splits=("train",), files=stamps, complete=True).save(Path(name))
        return [next(Path(name).glob(".jzi*")).read_bytes()]


def _run_download(content: bytes, folder: Path) -> None:
    from justzoomin.maps import check_hashes, require_complete

    (folder / "metadata").mkdir()
    _file(folder / "metadata", "x.csv", b"12345")
    _file(folder, ".jzi-download.json", content)
    require_complete(folder)
    check_hashes(folder, workers=1)


# Photos of people


@cache
def _gpx() -> list[bytes]:
    points = "".join(f'<trkpt lat="{54.5 + k * 1e-4}" lon="3.0"><ele>5</ele><time>2024-05-01T10:00:{k:02d}Z</time></trkpt>'
                     for k in range(5))
    return [f'<?xml version="1.0"?><gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}'
            "</trkseg></trk></gpx>".encode()]


@cache
def _mapillary() -> list[bytes]:
    image = {"id": "1234567", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]}, "camera_type": "perspective",
             "computed_geometry": {"type": "Point", "coordinates": [3.0001, 54.5]}, "camera_parameters": [0.8, 0.01, -0.02],
             "compass_angle": 12.5, "computed_compass_angle": 13.0, "sequence": "abc", "captured_at": 1714550400000}
    other = {**image, "id": "7654321", "camera_type": "fisheye"}
    return [json.dumps(image).encode(), json.dumps({"data": [image, other]}).encode()]


@cache
def _located() -> list[bytes]:
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]},
               "properties": {"file": "1234567.jpg", "bearing_deg": 5}}
    return [json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()]


def _run_source(name: str, kind: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        from justzoomin.photos import SourceOptions, read_source

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
    from justzoomin.photos import SourceOptions, read_source

    images = folder / "images"
    images.mkdir(exist_ok=True)
    _file(images, "photo.jpg", content)
    for record in read_source(images, kind="exif", options=SourceOptions(workers=1)).records:
        assert np.isfinite([record.lat, record.lon]).all() and abs(record.lat) <= 90 and abs(record.lon) <= 360


@cache
def _with_exif() -> list[bytes]:
    return [fakes.with_exif(fakes.picture(32, 24), 6, (54.5, 3.0)), fakes.with_exif(fakes.picture(32, 24), None, (-1.5, -3.0))]


def _targets() -> list[Target]:
    tar_words = (b"ustar\0", b"ustar  \0", b"path=/etc/x\n", b"30 size=99999\n", b"GNU.sparse.major=1", b"\x80" + bytes(11),
                 b"\xff" * 12, b"./././@LongLink", b"S", b"x", b"g", b"L")
    index_words = (b"'<i8'", b"'|O'", b"'|S9'", b"(9999999999,)", b"'fortran_order': True")
    gpx_words = (b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>", b"&a;", b"<trkpt>", b"lat=")
    yaml_words = (b"min_zoom: 1\n", b"\n  ", b"- ", b"? ", b": ", b"|\n", b"---\n", b"1:30:00", b"2024-01-01", b".inf", b"0b1")
    return [
        Target("tar", _tars, _run_tar, tar_words, _mend_tar),
        Target("index", _indexes, _run_index, index_words, _mend_zip),
        Target("photo", _pictures, _run_photo, (b"\xff\xd8", b"\xff\xda", b"\xff\xc0", b"IHDR", b"tRNS", b"zTXt", b"Exif\0\0"),
               _mend_png),
        Target("tile", _tile_pictures, _run_tile, (b"\xff\xda", b"\xff\xc0", b"IHDR"), _mend_png),
        Target("csv", _csvs, _run_table("csv"), (b"image_id", b"sequence", b"latitude", b"\n" + b"," * 300, b'"[1, 2]"')),
        Target("parquet", _parquets, _run_table("parquet"), (b"PAR1",)),
        Target("layout", _layouts, _run_layout, (*yaml_words, b"+proj=merc", b"epsg:4326", b"{zoom}", b"size_crs: [1, 1]\n")),
        Target("region", _regions, _run_region, (*yaml_words, b"depth: 9\n", b"grid: 8\n", b"89.9", b"179.9")),
        Target("config", _training, _run_training, yaml_words),
        Target("model", _models, _run_model, (b'"F32"', b'"F64"', b'"data_offsets":[0,9]', b'"shape":[99999999]', _CUT)),
        Target("download", _downloads, _run_download, (b'"files"', b"[]", b"{}", b'"../x"')),
        Target("gpx", _gpx, _run_source("track.gpx", "gpx"), gpx_words),
        Target("mapillary", _mapillary, _run_source("images.json", "mapillary"), (b'"id"', b"[]", b"{}", b'"spherical"')),
        Target("geojson", _located, _run_source("photos.geojson", "table"), (b'"Point"', b"[]", b"{}", b"1e400")),
        Target("exif", _with_exif, _run_exif, (b"Exif\0\0", b"II*\0", b"MM\0*")),
    ]


TARGETS = {target.name: target for target in _targets()}
