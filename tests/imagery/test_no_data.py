"""Where a raster has data, and how bright its values are, however the file says so."""

from pathlib import Path

import numpy as np
import pytest
from orthophotos import transform_at, write
from PIL import Image
from rasterio.enums import ColorInterp

from justzoomin.errors import TileError
from justzoomin.imagery import MapBuild, MapBuildConfig, build_map, open_imagery
from justzoomin.imagery.rasteropening import open_raster

CRS, WIDTH, HEIGHT = "epsg:32633", 200, 150
PLACE = transform_at(CRS, 1.0, WIDTH, HEIGHT)
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
LEFT = np.broadcast_to(np.arange(WIDTH) < WIDTH // 2, (HEIGHT, WIDTH))


def scene() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def read(path: Path, settings: MapBuildConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    piece, = open_imagery(path, settings)
    return piece.read(CRS, piece.bounds(CRS), WIDTH, HEIGHT)


def vrt(path: Path, bands: str, beside: str = "", width: int = WIDTH) -> Path:
    geo = ", ".join(map(str, PLACE.to_gdal()))
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{HEIGHT}"><SRS>{CRS}</SRS>'
                    f"<GeoTransform>{geo}</GeoTransform>{bands}{beside}</VRTDataset>")
    return path


def source(name: str, band: int, left: int = 0, width: int = WIDTH, kind: str = "SimpleSource", more: str = "") -> str:
    return (f'<{kind}><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>{band}</SourceBand>'
            f'<SrcRect xOff="0" yOff="0" xSize="{WIDTH}" ySize="{HEIGHT}"/>'
            f'<DstRect xOff="{left}" yOff="0" xSize="{width}" ySize="{HEIGHT}"/>{more}</{kind}>')


def three(*sources: str, inner: str = "") -> str:
    """Three bands of the sources; BAND is replaced by the number."""
    return "".join(f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{name}</ColorInterp>'
                   + "".join(sources).replace("BAND", str(band)) + f"{inner}</VRTRasterBand>"
                   for band, name in ((1, "Red"), (2, "Green"), (3, "Blue")))


def sources(name: str, left: int = 0, **settings: str) -> str:
    return source(name, 0, left, **settings).replace("<SourceBand>0", "<SourceBand>BAND")


@pytest.mark.parametrize(("dtype", "bits", "full"), [
    ("uint8", None, 255), ("uint8", None, 1), ("uint16", None, 65535), ("uint16", None, 255), ("uint16", 12, 4095),
    ("uint16", None, 4095), ("uint8", None, 100), ("float32", None, 1), ("float32", None, 255)])
def test_transparency_ends_where_the_file_means_it(dtype, bits, full, tmp_path):
    alpha = np.where(LEFT, 0, full)
    alpha[:, :20] = full // 4 if full > 1 else 0
    pixels = np.dstack([scene(), alpha]).astype(dtype)
    path = write(tmp_path / "a.tif", pixels, CRS, PLACE, interp=(*RGB, ColorInterp.alpha), **({"nbits": bits} if bits else {}))
    for settings in (MapBuildConfig(stretch=True), MapBuildConfig(stretch=True, bands=(1, 2, 3))):
        _, mask = MapBuild([path], tmp_path / "map", settings).imagery[0].read(
            CRS, open_imagery(path)[0].bounds(CRS), WIDTH, HEIGHT)
        assert np.array_equal(mask, ~LEFT)


def test_transparency_of_a_small_island_is_found(tmp_path):
    """A sample without data does not decide which value means full opacity."""
    alpha = np.zeros((2000, 2000, 1), np.uint16)
    alpha[700:760, 1330:1380] = 255
    pixels = np.dstack([np.full((2000, 2000, 3), 900, np.uint16), alpha])
    path = write(tmp_path / "a.tif", pixels, CRS, PLACE, interp=(*RGB, ColorInterp.alpha))
    assert open_raster(path).alpha_full == 255
    nothing = write(tmp_path / "b.tif", pixels[:200, :200], CRS, PLACE, interp=(*RGB, ColorInterp.alpha))
    with pytest.raises(TileError, match="no pixel of any source has data"):
        build_map([nothing], tmp_path / "map", MapBuildConfig(stretch=True))


@pytest.mark.parametrize(("values", "profile", "expected"), [
    ((3, 13), {"nbits": 4}, (51, 221)),
    ((0, 3), {"nbits": 2, "photometric": "rgb"}, (0, 255)),
    ((1, 2), {"nbits": 2}, (85, 170)),
    ((0, 1), {"nbits": 1}, (0, 255)),
    ((0, 1), {"nbits": 1, "photometric": "miniswhite"}, (255, 0)),
    ((20, 220), {"photometric": "miniswhite"}, (235, 35)),
    ((3, 13), {"nbits": 4, "photometric": "miniswhite"}, (204, 34)),
    ((3, 13), {"nbits": 4, "driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES"}, (51, 221)),
    ((20, 220), {}, (20, 220))])
@pytest.mark.parametrize("virtual", [False, True])
def test_few_bits_and_white_first(values, profile, expected, virtual, tmp_path):
    bands = 3 if profile.get("photometric") == "rgb" else 1
    pixels = np.where(LEFT, *values).astype(np.uint8)[..., None].repeat(bands, -1)
    path = write(tmp_path / f"a.{'jp2' if 'driver' in profile else 'tif'}", pixels, CRS, PLACE, **profile)
    if virtual:
        if profile.get("nbits") == 1:
            pytest.skip("a palette is copied into a VRT by what makes it")
        path = vrt(tmp_path / "a.vrt", three(sources(path.name)) if bands == 3 else
                   f'<VRTRasterBand dataType="Byte" band="1">{source(path.name, 1)}</VRTRasterBand>')
    found, mask = read(path)
    assert mask.all() and np.array_equal(found, np.where(LEFT, *expected)[..., None].repeat(3, -1))


def test_a_stretch_knows_what_is_white(tmp_path):
    values = np.where(LEFT, 100, 4000).astype(np.uint16)
    path = write(tmp_path / "a.tif", values, CRS, PLACE, photometric="miniswhite")
    piece = MapBuild([path], tmp_path / "map", MapBuildConfig(stretch=True)).imagery[0]
    found, _ = piece.read(CRS, piece.bounds(CRS), WIDTH, HEIGHT)
    assert found[:, 0].min() == 255 and found[:, -1].max() == 0


def test_a_vrt_of_files_that_mean_different_brightness_is_refused(tmp_path):
    write(tmp_path / "a.tif", np.full((HEIGHT, WIDTH), 3, np.uint8), CRS, PLACE, nbits=4)
    write(tmp_path / "b.tif", np.full((HEIGHT, WIDTH), 3, np.uint8), CRS, PLACE)
    band = f'<VRTRasterBand dataType="Byte" band="1">{source("a.tif", 1)}{source("b.tif", 1, WIDTH)}</VRTRasterBand>'
    with pytest.raises(TileError, match=r"mixes files with values of different brightness \(a\.tif, b\.tif\)"):
        open_raster(vrt(tmp_path / "a.vrt", band, width=2 * WIDTH))


def test_a_vrt_has_no_data_where_no_file_fills_it(tmp_path):
    pixels = scene()
    write(tmp_path / "a.tif", pixels, CRS, PLACE)
    row = vrt(tmp_path / "row.vrt", three(sources("a.tif", 2 * WIDTH)), width=4 * WIDTH)
    nested = f'<SimpleSource><SourceFilename relativeToVRT="1">row.vrt</SourceFilename><SourceBand>BAND</SourceBand>' \
        f'<SrcRect xOff="{2 * WIDTH - 50}" yOff="0" xSize="{WIDTH}" ySize="{HEIGHT}"/>' \
        f'<DstRect xOff="0" yOff="0" xSize="{WIDTH}" ySize="{HEIGHT}"/></SimpleSource>'
    found, mask = read(vrt(tmp_path / "nested.vrt", three(nested)))
    assert not mask[:, :50].any() and mask[:, 50:].all() and np.array_equal(found[:, 50:], pixels[:, :-50])
    write(tmp_path / "a.tif", np.full_like(pixels, 120), CRS, PLACE)
    root = build_map([row], tmp_path / "map", MapBuildConfig(tile_px=64))
    tiles = [np.asarray(Image.open(path)) for path in (root / "satellite" / "0").rglob("*.jpg")]
    assert min(tile.min() for tile in tiles) > 90
    assert len(tiles) <= (WIDTH // 64 + 2) * (HEIGHT // 64 + 2)  # none of those without data


def test_a_vrt_that_leaves_pixels_out(tmp_path):
    """Sources with a no-data value of their own in a band without one: GDAL gives 0 there."""
    pixels = scene()
    pixels[:40] = 7
    write(tmp_path / "a.tif", pixels, CRS, PLACE)
    path = vrt(tmp_path / "a.vrt", three(sources("a.tif", kind="ComplexSource", more="<NODATA>7</NODATA>")))
    _, mask = read(path)
    assert not mask[:40].any() and mask[40:].all()
    assert any("0 in all bands counts as no data" in remark for remark in MapBuild([path], tmp_path / "map").remarks())


@pytest.mark.parametrize(("full", "dtype"), [(255, "uint8"), (1, "uint8")])
@pytest.mark.parametrize("masked", ["dataset", "bands", "one band"])
def test_masks_of_a_vrt(masked, full, dtype, tmp_path):
    pixels = scene()
    write(tmp_path / "a.tif", pixels, CRS, PLACE)
    write(tmp_path / "m.tif", np.where(LEFT, full, 0).astype(dtype), CRS, PLACE)
    mask = ('<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename relativeToVRT="1">m.tif</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>")
    bands = three(sources("a.tif"), inner=mask if masked == "bands" else "")
    if masked == "one band":
        bands = bands[::-1].replace("</VRTRasterBand>"[::-1], (mask + "</VRTRasterBand>")[::-1], 1)[::-1]
    found, there = read(vrt(tmp_path / "a.vrt", bands, mask if masked == "dataset" else ""))
    assert np.array_equal(there, LEFT) and np.array_equal(found[there], pixels[there])
