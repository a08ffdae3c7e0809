"""A built map has the right colours at the right places, for any projection of the source and of the map."""

import numpy as np
import pyproj
import pytest
import rasterio
from orthophotos import LAT, LON, colours, errors, grid, level_pixels, orthophoto, painted, transform_at, whole_tiles, write
from rasterio.control import GroundControlPoint

from justzoomin.errors import TileError
from justzoomin.geometry import save_grid
from justzoomin.imagery import MapBuild, MapBuildConfig, build_map
from justzoomin.maps import Map


def close(found: np.ndarray) -> None:
    """JPEG and resampling leave a little; a shift by one pixel leaves much more than this."""
    assert found.mean() < 2.0
    assert np.quantile(found, 0.99) < 8.0


@pytest.mark.parametrize(("source", "pixel", "turn_deg", "target"), [
    ("epsg:32633", 1.0, 0.0, None),
    ("epsg:32633", 1.0, 30.0, None),
    ("epsg:32633", 1.0, 155.0, "epsg:2180"),
    ("epsg:3857", 1.6, 0.0, None),
    ("epsg:4326", 1.2e-5, 0.0, None),
    ("epsg:2180", 1.0, 0.0, "EPSG:2180"),
    ("epsg:4326", 1.2e-5, 0.0, "2180"),
    ("epsg:25833", 1.0, 0.0, "epsg:31469"),
    ("epsg:32633", 1.0, 0.0, "epsg:3857"),
    ("epsg:32633", 1.0, 0.0, "epsg:2263+"),
])
def test_projections(source, pixel, turn_deg, target, tmp_path):
    if target == "epsg:2263+":  # feet: a projection of this place
        target = f"+proj=tmerc +lat_0={LAT} +lon_0={LON} +k=1 +x_0=100000 +y_0=100000 +datum=WGS84 +units=us-ft +no_defs"
    path = orthophoto(tmp_path / "a.tif", source, pixel, turn_deg=turn_deg)
    root = build_map([path], tmp_path / "map", MapBuildConfig(crs=target, gsd_m=1.0, tile_px=32, quality=95, format="tar"))
    for level in (0, -1) if Map.open(root, grid()).layout.min_zoom < 0 else (0,):
        close(errors(root, level))
    _values, _places, white = level_pixels(root)
    assert (~white).sum() == pytest.approx(400 * 300 * (1.0 if "epsg:4326" not in source else 1.12)
                                           * (1.0 if source != "epsg:3857" else 0.965), rel=0.06)


def test_views_show_the_place(tmp_path):
    """From source to view: a view's middle has the colour of its position."""
    root = build_map([orthophoto(tmp_path / "a.tif", "epsg:4326", 1.2e-5)], tmp_path / "map",
                     MapBuildConfig(crs="epsg:2180", gsd_m=0.5, tile_px=64))
    opened = Map.open(root, grid())
    rng = np.random.default_rng(0)
    for lat, lon in np.array([LAT, LON]) + rng.uniform(-8e-4, 8e-4, (20, 2)):
        view = opened.view(lat, lon, 32.0, 32)
        assert view.no_data == 0.0
        assert np.abs(view.pixels[16, 16] - colours(lat, lon)).max() < 10


def test_same_raster_is_not_resampled(tmp_path):
    """If the map has the file's raster, level 0 equals the file except for JPEG."""
    rng = np.random.default_rng(0)
    transform = transform_at("epsg:32633", 0.3, 300, 200)
    noise = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    root = build_map([write(tmp_path / "a.tif", noise, "epsg:32633", transform)], tmp_path / "map",
                     MapBuildConfig(tile_px=64, quality=100))
    opened = Map.open(root, grid())
    assert opened.layout.crs == "epsg:32633" and opened.layout.tile_shape_crs == pytest.approx((19.2, 19.2))
    tiles = opened.source.table(0).tiles
    top = tiles[:, 1].max()
    tile = opened.tile(0, 0, int(top))  # the north-western one begins where the raster does
    grey = [image.astype(float) @ (0.299, 0.587, 0.114) for image in (tile, noise[:64, :64])]  # colour is coarser in a JPEG
    assert np.corrcoef(grey[0].ravel(), grey[1].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("gsd_m", [2.0, 3.7])
@pytest.mark.parametrize("crs", [None, "epsg:2180"])
def test_downsampling_averages(gsd_m, crs, tmp_path):
    """A fine checkerboard becomes its mean, not one of its colours."""
    rows, columns = np.indices((800, 800))
    board = np.where((rows + columns) % 2, 200, 40).astype(np.uint8)[..., None].repeat(3, -1)
    transform = transform_at("epsg:32633", 0.5, 800, 800)
    path = write(tmp_path / "a.tif", board, "epsg:32633", transform, overviews=[2, 4])  # smaller copies by nearest pixel
    root = build_map([path], tmp_path / "map", MapBuildConfig(gsd_m=gsd_m, crs=crs, tile_px=32))
    values, _, white = level_pixels(root)
    assert np.abs(values[whole_tiles(root, white)].astype(int) - 120).max() <= 25
    assert np.abs(values[whole_tiles(root, white)].astype(int) - 120).mean() < 7


def test_levels_are_means_of_four(tmp_path):
    path = orthophoto(tmp_path / "a.tif", size=(1500, 1100))
    root = build_map([path], tmp_path / "map", MapBuildConfig(tile_px=64, quality=100, format="tar"))
    opened = Map.open(root, grid())
    assert opened.layout.min_zoom == -2  # 375 x 275 px show all of it
    looked_at = 0
    for level in (-1, -2):
        finer = {tuple(t) for t in opened.source.table(level + 1).tiles.tolist()}
        for x, y in opened.source.table(level).tiles.tolist():
            four = [(2 * x + i, 2 * y + j) for i in (0, 1) for j in (1, 0)]
            if not all(tile in finer for tile in four):
                continue
            nw, sw, ne, se = (opened.tile(level + 1, *tile).astype(float) for tile in four)
            whole = np.concatenate([np.concatenate([nw, ne], 1), np.concatenate([sw, se], 1)])
            mean = whole.reshape(64, 2, 64, 2, 3).mean((1, 3))
            if not (whole >= 250).all(-1).any():
                assert np.abs((mean - opened.tile(level, x, y)) @ (0.299, 0.587, 0.114)).mean() < 1.0  # colour is coarser
                looked_at += 1
    assert looked_at > 10


def test_control_points(tmp_path):
    """Four corners can replace an affine transform if they fit one."""
    transform = transform_at("epsg:32633", 1.0, 200, 200, 20.0)
    pixels = painted("epsg:32633", transform, 200, 200)
    points = [GroundControlPoint(row=r, col=c, x=transform.a * c + transform.b * r + transform.c,
                                 y=transform.d * c + transform.e * r + transform.f)
              for r in (0, 200) for c in (0, 200)]
    path = write(tmp_path / "a.tif", pixels, "epsg:32633", None, gcps=points)
    close(errors(build_map([path], tmp_path / "map", MapBuildConfig(gsd_m=1.0, tile_px=64, quality=95))))


def test_control_points_off_a_plane(tmp_path):
    points = [GroundControlPoint(row=r, col=c, x=500_000 + c, y=5_780_000 - r + (30 if r == c == 200 else 0))
              for r in (0, 200) for c in (0, 200)]
    path = write(tmp_path / "bent.tif", np.full((200, 200, 3), 90, np.uint8), "epsg:32633", None, gcps=points)
    with pytest.raises(TileError, match=r"bent\.tif: its control points are not on a regular grid.*gdalwarp -tps"):
        MapBuild([path], tmp_path / "map")


def test_seams_of_a_folder(tmp_path):
    """A raster and the same cut into files give the same tiles, resampled too."""
    rng = np.random.default_rng(1)
    transform = transform_at("epsg:32633", 1.0, 400, 300)
    noise = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    whole = write(tmp_path / "whole.tif", noise, "epsg:32633", transform)
    for i, (row, column) in enumerate((r, c) for r in (0, 150) for c in (0, 130, 260)):
        part = noise[row:row + 150, column:min(column + 130, 400) if column < 260 else 400]
        moved = transform @ rasterio.Affine.translation(column, row)
        write(tmp_path / "parts" / f"deep{i % 2}" / f"{i}.tif", part, "epsg:32633", moved)
    for crs in (None, "epsg:2180"):
        config = MapBuildConfig(crs=crs, gsd_m=1.3, tile_px=64)
        roots = [build_map([source], tmp_path / f"{name}-{crs}", config)
                 for name, source in (("whole", whole), ("parts", tmp_path / "parts"))]
        assert Map.open(roots[0], grid()).fingerprint() == Map.open(roots[1], grid()).fingerprint()


def test_the_antimeridian_is_no_border(tmp_path):
    """Files on both sides of it, and one across, give one map with neither gap nor seam."""
    sources = []
    for name, west, pixels in (("west", 179.997, 300), ("east", -180.0, 300), ("across", 179.9985, 300)):
        transform = rasterio.transform.from_origin(west, -16.0 if name != "across" else -16.002, 1e-5, 1e-5)
        sources.append(write(tmp_path / f"{name}.tif", np.full((200, pixels, 3), 120, np.uint8), "epsg:4326", transform))
    build = MapBuild(sources, tmp_path / "map", MapBuildConfig(gsd_m=1.0, tile_px=32, format="tar"))
    assert build.plan.crs in {"epsg:32760", "epsg:32701"}
    assert abs(abs(build.plan.centre.lon) - 180.0) < 0.01
    assert build.plan.bounds[2] - build.plan.bounds[0] < 700
    _values, places, white = level_pixels(build.run())
    lon = places[:, 1] % 360
    for south, half in ((-16.0018, 0.0028), (-16.0038, 0.0013)):
        inside = (places[:, 0] > south) & (places[:, 0] < south + 0.0016) & (np.abs(lon - 180.0) < half)
        assert inside.sum() > 10_000 * half / 0.0028 and not white[inside].any()


def country(tmp_path, west, south, east, north, lat=LAT, lon=LON, crs="epsg:4326", pixel=1e-4, size=200):
    """A VRT of a large rectangle that holds one small file around a place, of known colours."""
    columns, rows = round((east - west) / pixel), round((north - south) / pixel)
    x, y = pyproj.Transformer.from_crs("epsg:4326", crs, always_xy=True).transform(lon, lat)
    left, top = round((x - west) / pixel) - size // 2, round((north - y) / pixel) - size // 2
    transform = rasterio.Affine(pixel, 0, west + left * pixel, 0, -pixel, north - top * pixel)
    write(tmp_path / "part.tif", painted(crs, transform, size, size), crs, transform)
    bands = "".join(f'''<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource>
        <SourceFilename relativeToVRT="1">part.tif</SourceFilename><SourceBand>{band}</SourceBand>
        <SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/><DstRect xOff="{left}" yOff="{top}" xSize="{size}"
        ySize="{size}"/></SimpleSource></VRTRasterBand>''' for band in (1, 2, 3))
    (tmp_path / "large.vrt").write_text(f'''<VRTDataset rasterXSize="{columns}" rasterYSize="{rows}"><SRS>{crs}</SRS>
        <GeoTransform>{west}, {pixel}, 0, {north}, 0, {-pixel}</GeoTransform>{bands}</VRTDataset>''')
    return tmp_path / "large.vrt"


def around(degrees, lat=LAT, lon=LON):
    return lat - degrees, lon - degrees, lat + degrees, lon + degrees


@pytest.mark.parametrize(("extent", "crs", "pixel", "expected"), [
    ((-180, -90, 180, 90), "epsg:4326", 1e-5, "epsg:32633"),
    ((14, 41, 180, 82), "epsg:4326", 1e-5, "epsg:32633"),
    ((-20037508, -20037508, 20037508, 20037508), "epsg:3857", 1.5, "epsg:32633"),
    ((-7e6, 4e6, 2e6, 9e6), "epsg:32645", 1.0, "epsg:32633"),  # one grid for all of a large country
    ((1e5, 5e6, 9e5, 7e6), "epsg:32633", 1.0, "epsg:32633")])
@pytest.mark.parametrize("wanted", [1e-3, 3.0])
def test_the_area_decides_the_projection_and_the_resolution(extent, crs, pixel, expected, wanted, tmp_path):
    """A source of a country or the world is drawn in a projection of the area, wherever the source's middle is."""
    source = country(tmp_path, *extent, crs=crs, pixel=pixel)
    if wanted > 1:  # an area larger than a UTM zone still uses the zone of its middle
        assert MapBuild([source], tmp_path / "map", MapBuildConfig(area=around(wanted), gsd_m=50.0)).plan.crs == expected
        return
    build = MapBuild([source], tmp_path / "map", MapBuildConfig(area=around(wanted), tile_px=32, format="tar",
                                                                          quality=95))
    assert build.plan.crs == expected
    assert build.plan.gsd_m == pytest.approx({"epsg:4326": 0.88, "epsg:3857": 0.92, "epsg:32645": 0.8}.get(crs, 1.0),
                                             rel=0.05)
    assert not any("does not fit" in remark for remark in build.remarks())
    found = errors(build.run())
    assert found.mean() < 3.0 and np.quantile(found, 0.97) < 12.0  # some are at the file's border
    if extent[0] != -180:
        with pytest.raises(TileError, match="--area: no source is in this area"):
            MapBuild([source], tmp_path / "other", MapBuildConfig(area=around(1e-3, -86.0, -100.0)))


def test_a_projection_that_does_not_fit_is_said(tmp_path):
    source = country(tmp_path, 14, 41, 180, 82, pixel=1e-5)
    build = MapBuild([source], tmp_path / "map", MapBuildConfig(area=around(1e-3), crs="epsg:32638", gsd_m=1.0))
    [remark] = [remark for remark in build.remarks() if "does not fit" in remark]
    assert "a view of 1,000 m" in remark and "--crs EPSG:32633" in remark


def test_the_region_decides_where_there_is_no_area(tmp_path):
    save_grid(grid(), tmp_path / "region.yaml")
    source = country(tmp_path, 14, 51, 24, 53, pixel=1e-4)
    settings = {"max_gigapixels": 1000.0, "gsd_m": 50.0}
    assert MapBuild([source], tmp_path / "map", MapBuildConfig(**settings)).plan.crs == "epsg:32634"
    assert MapBuild([source], tmp_path / "map", MapBuildConfig(region=str(tmp_path / "region.yaml"), **settings)).plan.crs \
        == "epsg:32633"


def test_naip(shared, tmp_path):
    """Real imagery, four bands, no data 0: our pixels are rasterio's own at the transformed positions."""
    path = next((shared / "data" / "naip").glob("*.tif"))
    root = build_map([path.parent], tmp_path / "map", MapBuildConfig(quality=95))
    resampled = build_map([path], tmp_path / "utm", MapBuildConfig(crs="epsg:3857", gsd_m=20.0, quality=95))
    opened = Map.open(root, grid())
    assert opened.layout.crs == "epsg:26914" and opened.layout.tile_shape_crs == (1280.0, 1280.0)
    with rasterio.open(path) as raster:
        pixels = raster.read([1, 2, 3]).transpose(1, 2, 0)
        inverse, crs = ~raster.transform, raster.crs
    # Only pixels without any of the three colours are missing, not those that lack one.
    values, places, white = level_pixels(root)
    empty = (pixels == 0).all(-1)
    assert abs((~white).sum() - (~empty).sum()) < 0.004 * empty.size
    to_raster = pyproj.Transformer.from_crs("epsg:4326", crs.to_wkt(), always_xy=True)
    rng = np.random.default_rng(3)
    for folder, block in ((root, 1), (resampled, 4)):
        values, places, white = level_pixels(folder)
        pick = rng.choice(np.flatnonzero(~white), 4000)
        columns, rows = inverse @ np.array(to_raster.transform(places[pick, 1], places[pick, 0]))
        inside = (columns > block) & (rows > block) & (columns < pixels.shape[1] - block) & (rows < pixels.shape[0] - block)
        if block == 1:
            theirs = pixels[rows[inside].astype(int), columns[inside].astype(int)].astype(float)
        else:  # the mean of the same ground
            half = 20.0 / 5.0 / 2
            theirs = np.array([pixels[round(r - half):round(r + half), round(c - half):round(c + half)].reshape(-1, 3).mean(0)
                               for r, c in zip(rows[inside], columns[inside], strict=True)])
        found = np.abs(values[pick][inside] - theirs)
        assert found.mean() < 3.5 and np.corrcoef(values[pick][inside].ravel(), theirs.ravel())[0, 1] > 0.98
        assert np.abs(values[pick][inside].mean(0) - theirs.mean(0)).max() < 0.7  # colours true
