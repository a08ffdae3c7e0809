"""Sources that are broken, lie about themselves, or reach for what they should not."""

import shutil

import numpy as np
import pytest
import rasterio
from orthophotos import orthophoto, painted, transform_at, write
from rasterio.crs import CRS
from test_rasters import VRT

from justzoomin.errors import ConfigError, DataError, TileError
from justzoomin.imagery import MapBuild, MapBuildConfig, build_map

PLACE = "epsg:32633"


def refused(kind, text, sources, tmp_path, **settings):
    """The build ends with an error of one line that names the file, and leaves no map."""
    with pytest.raises(kind, match=text):
        build_map(sources, tmp_path / "map", MapBuildConfig(**settings))
    assert not (tmp_path / "map" / "satellite" / "layout.yaml").exists()


def test_truncated(tmp_path):
    path = orthophoto(tmp_path / "cut.tif", compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    content = path.read_bytes()
    for share in (0.95, 0.5, 0.02):
        path.write_bytes(content[:int(len(content) * share)])
        refused(TileError, r"cut\.tif: .*[Ff]etch it again", [path], tmp_path)


def test_broken_inside(tmp_path):
    """Damage that no glance finds ends the build where it is met; the map stays unfinished."""
    path = orthophoto(tmp_path / "hurt.tif", compress="deflate", tiled=True, blockxsize=64, blockysize=64, size=(300, 300))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 3000] = b"\xff" * 3000
    path.write_bytes(content)
    refused(TileError, r"hurt\.tif: rows \d+ to \d+ cannot be read", [path], tmp_path)
    assert '"complete": false' in (tmp_path / "map" / ".jzi-map-build.json").read_text()


def test_no_raster_at_all(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:1/</ServerUrl></Service></GDAL_WMS>")
    refused(TileError, r"text\.tif: it is not a GeoTIFF, JPEG 2000 or VRT", [text], tmp_path)
    refused(TileError, r"nowhere: there is no such file or folder", [tmp_path / "nowhere"], tmp_path)
    (tmp_path / "empty").mkdir()
    refused(TileError, r"empty: the folder has no file with one of the extensions \.tif", [tmp_path / "empty"], tmp_path)
    refused(ConfigError, "no source was given", [], tmp_path)


@pytest.mark.parametrize(("source", "what"), [
    ("/vsicurl/http://127.0.0.1:1/a.tif", "plain files of this machine"),
    ("http://127.0.0.1:1/a.tif", "plain files of this machine"),
    ("/vsizip/a.zip/a.tif", "plain files of this machine"),
    ("/etc/passwd", "plain files of this machine"),
    ("WMS:http://127.0.0.1:1/", "plain files of this machine"),
    ("missing.tif", "there is no such file"),
    ("&lt;VRTDataset/&gt;", "plain files of this machine"),
    ("disguised.tif", "it is not a GeoTIFF"),
    ("loop.vrt", "deep"),
])
def test_virtual_rasters_name_plain_files_only(source, what, tmp_path):
    transform = ", ".join(map(str, transform_at(PLACE, 1.0, 200, 150).to_gdal()))
    (tmp_path / "disguised.tif").write_text("<GDAL_WMS/>")
    name = "loop.vrt" if source == "loop.vrt" else "a.vrt"
    (tmp_path / name).write_text(VRT.format(source=f'<SourceFilename relativeToVRT="1">{source}</SourceFilename>',
                                            transform=transform))
    refused(TileError, what, [tmp_path / name], tmp_path)


@pytest.mark.parametrize(("text", "what"), [
    ('<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand subClass="VRTRawRasterBand"/></VRTDataset>', "raw bytes"),
    ('<VRTDataset><VRTRasterBand><PixelFunctionLanguage>Python</PixelFunctionLanguage></VRTRasterBand></VRTDataset>', "code"),
    ('<!DOCTYPE a [<!ENTITY b "c">]><VRTDataset/>', "entities|not a GeoTIFF"),
    ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><VRTDataset/>', "entities"),
    ("<VRTDataset", "not valid XML"),
])
def test_virtual_rasters_with_tricks(text, what, tmp_path):
    (tmp_path / "a.vrt").write_text(text)
    refused(TileError, rf"a\.vrt: .*({what})", [tmp_path / "a.vrt"], tmp_path)


def test_no_place_on_the_earth(tmp_path):
    pixels = np.zeros((20, 20, 3), np.uint8)
    transform = transform_at(PLACE, 1.0, 20, 20)
    refused(TileError, r"bare\.tif: it has no georeference", [write(tmp_path / "bare.tif", pixels, None, None)], tmp_path)
    refused(TileError, r"nocrs\.tif: it states no projection.*gdal_translate -a_srs",
            [write(tmp_path / "nocrs.tif", pixels, None, transform)], tmp_path)
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    refused(TileError, r"site\.tif: .*", [write(tmp_path / "site.tif", pixels, local.to_wkt(), transform)], tmp_path)
    far = rasterio.Affine(1.0, 0.0, 9e9, 0.0, -1.0, 9e9)
    refused(TileError, r"far\.tif", [write(tmp_path / "far.tif", pixels, PLACE, far)], tmp_path)


@pytest.mark.parametrize(("crs", "what"), [
    ("EPSG:4326", "is in degrees.*--crs EPSG:32633"), ("epsg:999999", "PROJ does not know"),
    ("EPSG:32661", "axes.*--crs EPSG:32633"), ("EPSG:4978", "not a map projection"), ("nonsense", "PROJ does not know")])
def test_projections_that_cannot_be(crs, what, tmp_path):
    refused(ConfigError, what, [orthophoto(tmp_path / "a.tif", size=(50, 50))], tmp_path, crs=crs)


def test_a_raster_that_claims_a_country(tmp_path, monkeypatch):
    """A small file can state 10^11 pixels: it is refused before anything is read, with the way out."""
    path = tmp_path / "huge.tif"
    with rasterio.open(path, "w", driver="GTiff", width=300_000, height=300_000, count=3, dtype="uint8", BIGTIFF="YES",
                       tiled=True, crs=CRS.from_epsg(32633), SPARSE_OK=True,
                       transform=transform_at(PLACE, 0.1, 300_000, 300_000)):
        pass
    assert path.stat().st_size < 40e6
    refused(ConfigError, r"gigapixels at 0\.1 m per pixel, more than 25.*--max-gigapixels 9\d", [path], tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50e9))
    refused(DataError, r"about 6\d\.\d GB are needed, but 50\.0 GB are free", [path], tmp_path, max_gigapixels=100)
    part = MapBuildConfig(gsd_m=0.1, area=(52.1999, 15.2999, 52.2, 15.3), crs=PLACE)
    assert len(MapBuild([path], tmp_path / "map", part).plan.chunks) <= 4


def test_nothing_but_no_data(tmp_path):
    transform = transform_at(PLACE, 1.0, 50, 50)
    path = write(tmp_path / "void.tif", np.zeros((50, 50, 3), np.uint8), PLACE, transform, nodata=0)
    refused(TileError, "no pixel of the sources has data", [path], tmp_path)


def test_a_folder_with_another_map(tmp_path):
    path = orthophoto(tmp_path / "a.tif", size=(50, 50))
    (tmp_path / "map" / "satellite").mkdir(parents=True)
    with pytest.raises(DataError, match="there is a map already"):
        MapBuild([path], tmp_path / "map")
    with pytest.raises(DataError, match="this is a file"):
        MapBuild([path], path)


def test_a_region_elsewhere(tmp_path):
    path = orthophoto(tmp_path / "a.tif", size=(50, 50))
    refused(ConfigError, "--region: its centre .* is not on the map", [path], tmp_path, region="dc")
    refused(TileError, "--area: no source is in this area", [path], tmp_path, area=(10.0, 10.0, 10.1, 10.1))


def test_unreadable_settings_are_named():
    for values in ({"gsd_m": 0}, {"tile_px": 255}, {"area": (1, 2, 0, 3)}, {"bands": (0, 1, 2)}, {"format": "zip"}):
        with pytest.raises(ValueError, match=next(iter(values))):
            MapBuildConfig(**values)


def test_painted_is_not_constant():
    transform = transform_at(PLACE, 1.0, 50, 50)
    assert painted(PLACE, transform, 50, 50).std() > 20
