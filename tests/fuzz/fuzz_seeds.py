"""Valid files of every kind that is fuzzed: small, seeded, made by the libraries that people use."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from PIL import Image

import fakes
from justzoomin.archives import TarShards
from justzoomin.geometry import Region, ZoomGrid, find_grid, save_grid
from justzoomin.tiles import CARD_LAYOUT

GRID = ZoomGrid(Region(54.5, 3.0, (-200, 200), (-200, 200)), 4, 2)
JOURNAL_HEAD = {"format": "justzoomin-journal/4", "model": "n", "map": "m", "grid": {}, "search": "posterior",
                "decision": "within:40", "prior": None, "calibration": None}
CUT = b"\n--8<--\n"
"""Between the files of a model folder."""


@cache
def tars() -> list[bytes]:
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


@cache
def indexes() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        path = shard(Path(name))
        TarShards([path], cache_dir=Path(name) / "index")
        return [next((Path(name) / "index").iterdir()).read_bytes()]


def shard(folder: Path) -> Path:
    path = fakes.write_tar(folder / "a.tar", {"one": b"1" * 700, "two/three": b"3", "x": b""})
    os.utime(path, ns=(5, 5))
    return path


@cache
def pictures() -> list[bytes]:
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


@cache
def tile_pictures() -> list[bytes]:
    image = Image.fromarray(fakes.picture(32, 32))
    return [fakes.encoded(image), fakes.encoded(image.convert("P"), "PNG"), fakes.encoded(image.convert("RGBA"), "WEBP")]


@cache
def rows() -> list[dict[str, object]]:
    return [{"image_id": f"00{k}", "latitude": 54.5 + k * 1e-4, "longitude": 3.0, "sequence": [10, k], "note": "n,x"}
            for k in range(4)]


@cache
def csvs() -> list[bytes]:
    text = pl.DataFrame([{**r, "sequence": str(r["sequence"])} for r in rows()])
    return [text.write_csv().encode(), b"\xef\xbb\xbf" + text.write_csv(separator=";").replace("\n", "\r\n").encode(),
            text.write_csv(separator="\t").encode()]


@cache
def parquets() -> list[bytes]:
    found = []
    for compression in ("uncompressed", "zstd", "snappy"):
        buffer = io.BytesIO()
        pl.DataFrame(rows()).write_parquet(buffer, compression=compression)
        found.append(buffer.getvalue())
    return found


@cache
def predictions() -> list[bytes]:
    from justzoomin.geometry import grid_to_dict
    from justzoomin.scoring import PredictionInfo, Tabulator, write_predictions

    rng, found = np.random.default_rng(0), []
    true = np.array([3, 200, 77])
    positions = np.stack(GRID.centres(GRID.unflatten(true, 2)), 1)
    for listed, drives in ((4, None), (None, ["a", "b", "a"])):
        info = PredictionInfo(method="m", split="val", grid=grid_to_dict(GRID), search="posterior", listed=listed,
                              confidence="cell")
        made = Tabulator(info, ["p", "q", "r"], positions, true, drives, occupied=drives is None)
        made.add(rng.normal(0, 3, (3, 256)), 17, 2.5)
        with tempfile.TemporaryDirectory() as name:
            found.append(write_predictions(Path(name) / "p.parquet", made.table()).read_bytes())
    return found


@cache
def layouts() -> list[bytes]:
    texts = [yaml.safe_dump(CARD_LAYOUT.to_mapping()), "preset: XYZ\nmin_zoom: 0\nmax_zoom: 19\npath: '{zoom}/{x}/{y}.png'\n",
             yaml.safe_dump({**CARD_LAYOUT.to_mapping(), "tile_axes": ["east", "south"], "size_crs": [1e5, 1e5]})]
    return [t.encode() for t in texts]


@cache
def regions() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        return [save_grid(grid, Path(name) / "region.yaml").read_bytes() for grid in (GRID, find_grid("dc"))]


@cache
def training() -> list[bytes]:
    from justzoomin.training import dump_config, train_config

    return [dump_config(train_config("small")).encode(), b"epochs: 3\naugment:\n  enabled: false\nmodel: small\n"]


@cache
def models() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = fakes.tiny_model().save_pretrained(Path(name) / "m", GRID)
        return [CUT.join((folder / n).read_bytes() for n in ("config.json", "region.yaml", "model.safetensors"))]


@cache
def downloads() -> list[bytes]:
    from justzoomin.archives import DownloadRecord, FileStamp

    with tempfile.TemporaryDirectory() as name:
        stamps = {"metadata/x.csv": FileStamp(5, "sha256", hashlib.sha256(b"12345").hexdigest())}
        DownloadRecord(repo_id="owner/name", revision="main", commit="0" * 40, endpoint=None, asked={"pixels": 384}, licence="",
                       attribution="", levels=(-1, 0), splits=("train",), files=stamps, complete=True).save(Path(name))
        return [next(Path(name).glob(".jzi*")).read_bytes()]


@cache
def map_indexes() -> list[bytes]:
    from justzoomin.geometry import zoom_layers
    from justzoomin.maps import MapContent
    from justzoomin.search import IndexHead

    content = MapContent("0" * 64, "f" * 64, (-2, 0))
    heads = [IndexHead("a" * 64, content, zoom_layers(GRID), 32, 4, precision) for precision in ("fp32", "fp16")]
    return [json.dumps(head.to_dict(), indent=2).encode() + CUT + bytes(head.views * head.record.itemsize) for head in heads]


@cache
def journals() -> list[bytes]:
    fix = {"photo": "a.jpg", "lat": 54.5, "lon": 3.0, "sequence": [1, 2], "probabilities": [0.5, 0.5], "cell_size_m": 25.0,
           "credible_radius_m": 70.0, "radius_90_m": 140.0,
           "no_data": [0.0, 0.0], "seconds": 0.1, "map": "m", "model": "n",
           "searched": "posterior", "decision": "within:40", "calibrated": False,
           "not_calibrated": "the model has no calibration", "prior": None, "on_map": None,
           "expected": 0.9,
           "top_cells": [{"sequence": [1, 2], "probability": 0.25}], "regions": {"50": 625.0, "90": 1250.0, "95": 1250.0},
           "region_90": [5, 2], "covariance_m2": [[60.0, 1.0], [1.0, 60.0]], "entropy_bits": 2.5,
           "heading_deg": 90.0, "heading_sigma_deg": 12.0, "heading_probs": [0.0625] * 16, "heading_prior": None,
           "camera": None,
           "file": [1, 2]}
    rows = [JOURNAL_HEAD, fix, {"photo": "b.jpg", "error": "broken", "file": []}]
    return [b"".join(json.dumps(row).encode() + b"\n" for row in rows)]


@cache
def gpx() -> list[bytes]:
    points = "".join(f'<trkpt lat="{54.5 + k * 1e-4}" lon="3.0"><ele>5</ele><time>2024-05-01T10:00:{k:02d}Z</time></trkpt>'
                     for k in range(5))
    return [f'<?xml version="1.0"?><gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}'
            "</trkseg></trk></gpx>".encode()]


@cache
def mapillary() -> list[bytes]:
    image = {"id": "1234567", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]}, "camera_type": "perspective",
             "computed_geometry": {"type": "Point", "coordinates": [3.0001, 54.5]}, "camera_parameters": [0.8, 0.01, -0.02],
             "compass_angle": 12.5, "computed_compass_angle": 13.0, "sequence": "abc", "captured_at": 1714550400000}
    other = {**image, "id": "7654321", "camera_type": "fisheye"}
    return [json.dumps(image).encode(), json.dumps({"data": [image, other]}).encode()]


@cache
def located() -> list[bytes]:
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]},
               "properties": {"file": "1234567.jpg", "bearing_deg": 5}}
    return [json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()]


@cache
def polygons() -> list[bytes]:
    ring = [[2.999, 54.499], [3.001, 54.499], [3.001, 54.501], [2.999, 54.499]]
    holed = {"type": "Polygon", "coordinates": [ring, [[3.0, 54.5], [3.0001, 54.5], [3.0, 54.5001], [3.0, 54.5]]]}
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]}}
    return [json.dumps(holed).encode(), json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()]


@cache
def weight_pictures() -> list[bytes]:
    found = []
    for kind in (np.float32, np.uint8, np.float64):
        buffer = io.BytesIO()
        np.save(buffer, np.arange(256).reshape(16, 16).astype(kind))
        found.append(buffer.getvalue())
    return found


@cache
def weight_rasters() -> list[bytes]:
    import rasterio.warp
    from rasterio.io import MemoryFile
    from rasterio.transform import from_bounds

    found = []
    for kind, crs, options in (("uint8", "epsg:4326", {}), ("float32", "epsg:32631", {"compress": "deflate"}),
                               ("uint16", "epsg:3857", {"tiled": True, "blockxsize": 16, "blockysize": 16, "nodata": 7})):
        ends = rasterio.warp.transform_bounds("epsg:4326", crs, 2.99, 54.49, 3.01, 54.51)
        with MemoryFile() as memory:
            with memory.open(driver="GTiff", width=32, height=32, count=1, dtype=kind, crs=crs,
                             transform=from_bounds(*ends, 32, 32), **options) as raster:
                raster.write(np.arange(1024).reshape(1, 32, 32).astype(kind))
            found.append(bytes(memory.getbuffer()))
    return found


@cache
def calibrations() -> list[bytes]:
    values = {"format": "justzoomin-calibration/2", "model": "a" * 64, "split": "b" * 64, "photos": 100,
              "temperatures": [1.1, 0.9], "tails": [0.01, 0.0], "off_map_measure": "entropy",
              "off_map_threshold": -3.0, "off_map_kept": 0.95, "figures": {}}
    laws = [{"log_temperature": 0.9, "by_area": 0.1, "by_entropy": 0.5}]
    many = {"laws": laws, "uniform": {"logit": -5.0, "by_area": 0.1}, "photos": 100, "maps": ["a" * 64], "splits": ["b" * 64],
            "sizes": {"area_m2": [1e5, 1e6], "cell_m": [5.0, 5.0], "metres_per_pixel": [0.2, 0.2]},
            "colour": [[90, 110], [90, 120], [80, 90]], "figures": {}}
    one = {name: value for name, value in values.items() if name not in ("format", "model")}
    both = {"format": "justzoomin-calibration/3", "model": "a" * 64, "one_map": one, "many_maps": many}
    return [json.dumps(found).encode() for found in (values, both, {**both, "one_map": None})]


@cache
def drive_times() -> list[bytes]:
    return [b"photo,time\na.jpg,2024-05-01T10:00:00Z\nb.jpg,2024-05-01T10:00:02Z\n",
            b"photo,time,east_m,north_m\na.jpg,2024-05-01 10:00:00,,\nb.jpg,2024-05-01 10:00:02,3.5,-1\n"]


@cache
def with_exif() -> list[bytes]:
    return [fakes.with_exif(fakes.picture(32, 24), 6, (54.5, 3.0)), fakes.with_exif(fakes.picture(32, 24), None, (-1.5, -3.0))]
