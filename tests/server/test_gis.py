"""What GDAL reads through WMTS and XYZ is what a view of the same square shows."""

import shutil
import subprocess
import threading
import time

import numpy as np
import pytest

from justzoomin.maps import Map, WebTiles, metres_per_pixel, position_of, world_of
from map_builders import UTM, UTM_PLACE, build

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
import uvicorn
from fastapi import FastAPI

from justzoomin.apps.server.problems import add_problem_handlers
from justzoomin.apps.server.running import listen
from justzoomin.apps.server.tile_routes import tile_routes

HALF_WORLD_M = np.pi * 6_378_137.0
XYZ = """<GDAL_WMS><Service name="TMS"><ServerUrl>{base}/tiles/{layer}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>-20037508.342789244</UpperLeftX><UpperLeftY>20037508.342789244</UpperLeftY>
<LowerRightX>20037508.342789244</LowerRightX><LowerRightY>-20037508.342789244</LowerRightY><TileLevel>{z}</TileLevel>
<TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow><Projection>EPSG:3857</Projection>
<BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>4</BandsCount></GDAL_WMS>"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Map.open(build(tmp_path_factory.mktemp("gis") / "map", UTM, *UTM_PLACE, radius_m=160.0, seed=1))


@pytest.fixture(scope="module")
def base(source):
    """Address of a server with the tiles, on a free port of the loopback."""
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(tile_routes(source, source.grid, name="town"))
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    """GDAL without proxies, and its cache in the folder of the test."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GDAL_DEFAULT_WMS_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def square(source):
    """A square of the map: zoom level, its corner in metres of web mercator, and the view of it."""
    z = WebTiles(source).max_zoom - 1
    lat, lon = source.grid.region.centre
    x, y = (int(float(v) * 2**z * 256) for v in world_of(lat, lon))  # the pixel at the centre
    edge = 2 * HALF_WORLD_M / 2**z / 256
    corner = -HALF_WORLD_M + (x - 128) * edge, HALF_WORLD_M - (y - 128) * edge
    lat, lon = (float(v) for v in position_of((x + 0.5) / 2**z / 256, (y + 0.5) / 2**z / 256))
    size = 256 * metres_per_pixel(z, lat)
    # Pixels of a view show their corner, those of GIS their middle; the same holds for the pixels of the map's level.
    level = source.view(lat, lon, size, 256).level
    native = source.projection.tile_to_pixel(source.projection.position_to_tile(lat, lon, level)) - 0.5
    lat, lon = source.projection.to_latlon(source.projection.tile_to_crs(source.projection.pixel_to_tile(native), level))
    return z, corner, edge, source.view(float(lat), float(lon), size, 256).pixels.astype(int)


def close(read, view):
    """A view has one scale for both axes, a thousandth off at this latitude: compare the middles."""
    middle = np.s_[96:160, 96:160]
    return np.abs(read[..., :3].astype(int) - view)[middle].mean() < 2.0 and (read[..., 3] == 255).all() \
        and np.abs(np.roll(read[..., :3].astype(int), 1, 0) - view)[middle].mean() > 3.0


def test_gdal_reads_wmts_and_xyz(base, source, square, quiet):
    rasterio = pytest.importorskip("rasterio", reason="rasterio, with the WMTS driver of GDAL, is not installed")
    z, (left, top), edge, view = square
    address = f"WMTS:{base}/wmts/1.0.0/WMTSCapabilities.xml,layer=map,tilematrix={z}"
    for path in (address, XYZ.format(base=base, layer="map", z=z)):
        with rasterio.open(path) as found:
            assert found.crs.to_epsg() == 3857 and found.count == 4
            assert found.transform.a == pytest.approx(edge, rel=1e-9)
            column, row = ~found.transform @ (left, top)
            assert abs(column - round(column)) < 0.01 and abs(row - round(row)) < 0.01
            window = rasterio.windows.Window(round(column), round(row), 256, 256)
            read = np.moveaxis(found.read(window=window), 0, -1)
        assert close(read, view), path
    with rasterio.open(address) as found:
        left, bottom, right, top = (0.5 + v / HALF_WORLD_M / 2 for v in found.bounds)
        south, north = (float(v) for v in position_of([left, right], [1 - bottom, 1 - top])[0])
        assert np.allclose((left * 360 - 180, south, right * 360 - 180, north), WebTiles(source).bounds, atol=1e-5)
        left, top = square[1]
    outside = XYZ.format(base=base, layer="map", z=z)
    with rasterio.open(outside) as found:
        assert not found.read(window=rasterio.windows.Window(0, 0, 256, 256)).any()
    with rasterio.open(f"WMTS:{base}/wmts/1.0.0/WMTSCapabilities.xml,layer=grid-2,tilematrix={z}") as found:
        column, row = ~found.transform @ (left, top)
        lines = found.read(4, window=rasterio.windows.Window(round(column), round(row), 256, 256))
        assert 0.001 < (lines > 100).mean() < 0.3


def test_the_commands_of_gdal_read_them_too(base, square, quiet, tmp_path):
    if shutil.which("gdal_translate") is None:
        pytest.skip("GDAL's commands are not installed (Debian: gdal-bin)")
    import cv2

    z, (left, top), edge, view = square
    (tmp_path / "xyz.xml").write_text(XYZ.format(base=base, layer="map", z=z))
    for name in (f"WMTS:{base}/wmts/1.0.0/WMTSCapabilities.xml,layer=map,tilematrix={z}", "xyz.xml"):
        window = [left, top, left + 256 * edge, top - 256 * edge]
        subprocess.run(["gdal_translate", "-q", "-of", "PNG", "-projwin", *map(repr, map(float, window)), name, "out.png"],
                       check=True, timeout=60)
        read = cv2.imread("out.png", cv2.IMREAD_UNCHANGED)
        assert read.shape == (256, 256, 4) and close(read[..., [2, 1, 0, 3]], view), name
    listed = subprocess.run(["gdalinfo", f"WMTS:{base}/wmts/1.0.0/WMTSCapabilities.xml"], check=True, timeout=60,
                            capture_output=True, text=True).stdout
    assert all(f"layer={name}" in listed for name in ("map", "grid-0", "grid-1", "grid-2"))
