"""What files say about their bands, their values and where they have none."""

import numpy as np
import pytest
import rasterio
from orthophotos import LAT, errors, grid, level_pixels, orthophoto, painted, transform_at, write
from rasterio.enums import ColorInterp

from justzoomin.errors import ConfigError, TileError
from justzoomin.imagery import MapBuild, MapBuildConfig, RasterMosaic, build_map, open_imagery
from justzoomin.imagery.stretch import find_limits
from justzoomin.maps import Map

CRS = "epsg:32633"
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def scene(size=(200, 150)):
    transform = transform_at(CRS, 1.0, *size)
    return painted(CRS, transform, *size), transform


def read(path, settings=None, crs=CRS, size=(200, 150)):
    """The file on its own raster: pixels and mask."""
    piece, = open_imagery(path, settings)
    assert isinstance(piece, RasterMosaic)
    west, south, east, north = piece.bounds(crs)
    return piece.read(crs, (west, south, east, north), *size)


def test_bands_by_what_the_file_says(tmp_path):
    pixels, transform = scene()
    near = np.full_like(pixels[..., :1], 7)
    turned = np.dstack([pixels[..., ::-1], near])  # blue, green, red, near infrared
    path = write(tmp_path / "a.tif", turned, CRS, transform, interp=(*RGB[::-1], ColorInterp.undefined))
    assert np.array_equal(read(path)[0], pixels)
    plain = write(tmp_path / "b.tif", np.dstack([pixels, near]), CRS, transform,
                  interp=(ColorInterp.gray, *[ColorInterp.undefined] * 3))
    assert np.array_equal(read(plain)[0], pixels)
    assert np.array_equal(read(plain, MapBuildConfig(bands=(4, 2, 3)))[0][..., 0], near[..., 0])
    with pytest.raises(ConfigError, match=r"--bands.*b\.tif has 4 bands, not 5"):
        open_imagery(plain, MapBuildConfig(bands=(5, 2, 3)))


def test_grey_and_palette(tmp_path):
    pixels, transform = scene()
    grey = write(tmp_path / "grey.tif", pixels[..., 0], CRS, transform)
    assert np.array_equal(read(grey)[0], pixels[..., :1].repeat(3, -1))
    index = (pixels[..., 0] // 64).astype(np.uint8)
    table = {0: (10, 20, 30, 255), 1: (40, 50, 60, 255), 2: (70, 80, 90, 255), 3: (1, 2, 3, 0)}
    palette = write(tmp_path / "palette.tif", index, CRS, transform, colormap=table)
    found, mask = read(palette)
    expected = np.array([table[k][:3] for k in range(4)], np.uint8)[index]
    assert np.array_equal(found[mask], expected[mask])
    remarks = MapBuild([grey, palette], tmp_path / "map").remarks()
    assert any("grey.tif: one band is drawn as grey" in r for r in remarks)
    assert any("palette.tif: a palette is drawn in its colours" in r for r in remarks)


def test_infrared_that_is_called_transparency(tmp_path):
    """A common fault of four-band orthophotos: nothing is changed silently, but it is reported."""
    pixels, transform = scene()
    near = np.clip(pixels[..., :1].astype(int) + 20, 1, 254).astype(np.uint8)
    path = write(tmp_path / "a.tif", np.dstack([pixels, near]), CRS, transform, interp=(*RGB, ColorInterp.alpha))
    assert any("a.tif: its transparency has values between" in r for r in MapBuild([path], tmp_path / "map").remarks())
    alpha = np.where(near > 100, 255, 0).astype(np.uint8)
    path = write(tmp_path / "b.tif", np.dstack([pixels, alpha]), CRS, transform, interp=(*RGB, ColorInterp.alpha))
    assert not any("transparency" in r for r in MapBuild([path], tmp_path / "map").remarks())


def test_a_colour_with_a_zero_is_no_hole(tmp_path):
    """No data is 0 in every band: a pixel that is 0 in one or two has data."""
    pixels, transform = scene()
    pixels[10:20, :, 0] = 0
    pixels[20:30, :, :2] = 0
    pixels[30:40] = 0
    near = np.zeros_like(pixels[..., :1])
    path = write(tmp_path / "a.tif", np.dstack([pixels, near]), CRS, transform, nodata=0,
                 interp=(ColorInterp.gray, *[ColorInterp.undefined] * 3))
    found, mask = read(path)
    assert np.array_equal(mask, ~np.isin(np.arange(150), range(30, 40))[:, None].repeat(200, 1))
    assert np.array_equal(found[mask], pixels[mask])


@pytest.mark.parametrize("how", ["alpha", "mask", "nodata", "given"])
@pytest.mark.parametrize("crs", [None, "epsg:2180"])
def test_no_dark_fringes(how, crs, tmp_path):
    """At the edge of data, colours do not change: pixels without data are not mixed into others on any level."""
    pixels, transform = scene((300, 300))
    bright = np.full_like(pixels, 200)
    rows, columns = np.indices((300, 300))
    hole = (rows - 150) ** 2 + (columns - 150) ** 2 < 70**2
    bright[hole] = 0
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    if how == "alpha":
        path = write(tmp_path / "a.tif", np.dstack([bright, alpha]), CRS, transform, interp=(*RGB, ColorInterp.alpha))
    elif how == "mask":
        path = write(tmp_path / "a.tif", bright, CRS, transform, interp=RGB, mask=alpha)
    else:
        path = write(tmp_path / "a.tif", bright, CRS, transform, nodata=0 if how == "nodata" else None)
    piece, = open_imagery(path, MapBuildConfig(nodata=0.0 if how == "given" else None))
    west, south, east, north = piece.bounds(crs or CRS)
    for size in (300, 211, 37, 640):
        found, mask = piece.read(crs or CRS, (west, south, east, north), size, size)
        assert 0.80 < mask.mean() / (1 - np.pi * 0.7**2 / 9) < 1.02  # the raster around a turned square has corners
        assert found[mask].min() >= 198 and found[mask].max() <= 202
    config = MapBuildConfig(nodata=0.0 if how == "given" else None, gsd_m=0.5, crs=crs, tile_px=64, format="tar")
    root = build_map([path], tmp_path / "map", config)
    for level in range(Map.open(root, grid()).layout.min_zoom, 1):
        values, _, _ = level_pixels(root, level)
        assert values.min() > 150  # 200 or white, and what JPEG rings between them


def test_what_overlaps_lies_in_order(tmp_path):
    """The first source is on top, where it has data; so within a folder, by name."""
    pixels, transform = scene()
    first, second = np.full_like(pixels, 50), np.full_like(pixels, 200)
    first[:, :100] = 0
    a = write(tmp_path / "in" / "a.tif", first, CRS, transform, nodata=0)
    b = write(tmp_path / "in" / "b.tif", second, CRS, transform @ rasterio.Affine.translation(20.5, 0))
    for name, sources, middle in (("ab", [a, b], 50), ("ba", [b, a], 200), ("in", [tmp_path / "in"], 50)):
        root = build_map(sources, tmp_path / name, MapBuildConfig(tile_px=64, format="tar", gsd_m=1.0))
        values, places, _white = level_pixels(root)
        east = (places[:, 1] - 15.3) * 68_150
        for low, high, value in ((-60, -10, 200), (10, 80, middle), (104, 114, 200)):
            inside = (east > low) & (east < high) & (np.abs(places[:, 0] - LAT) < 60 / 111_200)
            assert inside.sum() > 500 and np.abs(values[inside].astype(int) - value).max() <= 12


def test_16_bits_are_stretched_only_when_asked(tmp_path):
    pixels, transform = scene()
    deep = (pixels.astype(np.uint16) * 40 + 1000)
    deep[:10] = 0
    path = write(tmp_path / "deep.tif", deep, CRS, transform, nodata=0, photometric="rgb")
    with pytest.raises(TileError, match=r"deep\.tif: its values are uint16.*Give --stretch"):
        build_map([path], tmp_path / "map")
    assert not (tmp_path / "map").exists()
    build = MapBuild([path], tmp_path / "map", MapBuildConfig(stretch=True, tile_px=64))
    low, high = np.percentile(deep[10:].reshape(-1, 3), [2, 98], axis=0)
    assert np.allclose(np.array(build.limits), np.stack([low, high], 1), rtol=0.01)
    build.run()
    found, mask = build.imagery[0].read(CRS, build.imagery[0].bounds(CRS), 200, 150)
    expected = np.clip((deep[10:] - low) / (high - low) * 255, 0, 255)
    assert mask[10:].all() and not mask[:10].any()
    assert np.abs(found[10:] - expected).max() <= 1.0 + 255 * 0.02
    assert "stretch" in (tmp_path / "map" / ".jzi-map-build.json").read_text()


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint32", "float64"])
def test_other_values(dtype, tmp_path):
    pixels, transform = scene()
    values = pixels.astype(dtype) * (1e-3 if dtype.startswith("f") else 50)
    if dtype.startswith("f"):
        values[:5, :, 1] = np.nan
    path = write(tmp_path / "a.tif", values, CRS, transform)
    piece, = open_imagery(path)
    found, mask = piece.stretched(find_limits(piece.files)).read(CRS, piece.bounds(CRS), 200, 150)
    assert mask[5:].all() and mask[:5].any() != dtype.startswith("f")
    correlation = np.corrcoef(found[5:].ravel(), pixels[5:].ravel())[0, 1]
    assert correlation > 0.99


def test_one_stretch_for_all_sources(tmp_path):
    """Two halves of one picture, dark and bright, keep their difference."""
    _pixels, transform = scene()
    dark, bright = (np.full((150, 100, 3), value, np.uint16) for value in (1000, 3000))
    a = write(tmp_path / "a.tif", dark, CRS, transform)
    b = write(tmp_path / "b.tif", bright, CRS, transform @ rasterio.Affine.translation(100, 0))
    root = build_map([a, b], tmp_path / "map", MapBuildConfig(stretch=True, tile_px=64))
    values, places, white = level_pixels(root)
    west = places[:, 1] < 15.3 - 3e-5
    east = (places[:, 1] > 15.3 + 3e-5) & ~(values == 255).all(1)
    assert values[west & ~white].mean() < 5
    assert not east.any() or values[east].min() > 240


@pytest.mark.parametrize("suffix", [".jp2", ".vrt", ".TIF"])
def test_other_formats(suffix, tmp_path):
    pixels, transform = scene()
    path = tmp_path / f"a{suffix}"
    if suffix == ".jp2":
        write(path, pixels, CRS, transform, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES")
    elif suffix == ".vrt":
        write(tmp_path / "files" / "inside.tif", pixels, CRS, transform)
        with rasterio.open(tmp_path / "files" / "inside.tif") as raster, rasterio.vrt.WarpedVRT(raster):
            pass
        path.write_text(VRT.format(source='<SourceFilename relativeToVRT="1">files/inside.tif</SourceFilename>',
                                   transform=", ".join(map(str, transform.to_gdal()))))
    else:
        write(path, pixels, CRS, transform, compress="jpeg", photometric="ycbcr", tiled=True, interleave="pixel")
    found, mask = read(path)
    assert mask.all()
    assert np.abs(found.astype(int) - pixels).mean() < (2.5 if suffix == ".TIF" else 0.5)


VRT = """<VRTDataset rasterXSize="200" rasterYSize="150"><SRS>EPSG:32633</SRS><GeoTransform>{transform}</GeoTransform>
""" + "".join(f"""<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource>{{source}}<SourceBand>{band}</SourceBand>
</SimpleSource></VRTRasterBand>""" for band in (1, 2, 3)) + "</VRTDataset>"


def test_attribution_of_the_files(tmp_path):
    path = orthophoto(tmp_path / "a.tif", tags={"TIFFTAG_COPYRIGHT": "Survey of Somewhere,\n CC BY 4.0"})
    root = build_map([path], tmp_path / "map", MapBuildConfig(attribution="Flown by us"))
    assert (root / "ATTRIBUTION").read_text() == "Flown by us\nSurvey of Somewhere, CC BY 4.0\n"


def test_a_raster_much_finer_than_the_map_is_read_in_parts(tmp_path, monkeypatch):
    """Hundreds of source pixels for one map pixel are averaged, within limited memory."""
    monkeypatch.setattr("justzoomin.imagery.rastermosaic._MAX_WINDOW_PX", 1 << 16)
    path = orthophoto(tmp_path / "a.tif", size=(700, 600))
    piece, = open_imagery(path)
    seen = []
    native = piece._native
    piece._native = lambda *window: seen.append(window[2] * window[3]) or native(*window)
    found, mask = piece.read("epsg:2180", piece.bounds("epsg:2180"), 24, 20)
    assert max(seen) <= 1 << 16 and len(seen) > 4
    assert mask.mean() > 0.9
    whole, _ = piece.read("epsg:2180", piece.bounds("epsg:2180"), 240, 200)
    means = whole.reshape(20, 10, 24, 10, 3).mean((1, 3))
    assert np.abs(found[mask] - means[mask])[30:-30].mean() < 6


def test_errors_helper_can_fail(tmp_path):
    """The tests of geography would see a shift by one pixel."""
    transform = transform_at(CRS, 1.0, 300, 200)
    path = write(tmp_path / "a.tif", painted(CRS, transform, 300, 200), CRS, transform @ rasterio.Affine.translation(1, 0))
    assert errors(build_map([path], tmp_path / "map", MapBuildConfig(tile_px=64))).mean() > 4
