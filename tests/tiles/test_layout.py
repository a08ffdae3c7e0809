"""layout.yaml: what is read, and which errors name the wrong field."""

import pytest
import yaml

from justzoomin.errors import LayoutError
from justzoomin.tiles import CARD_LAYOUT, TileLayout, TileProjection

CARD = {"crs": "epsg:26985", "max_zoom": 0, "min_zoom": -9, "origin_crs": [600.0, 200.0], "path": "{zoom}/{x}/{y}.jpg",
        "tile_axes": ["east", "north"], "tile_shape_crs": [20.0, 20.0], "tile_shape_px": [250, 250]}


def test_the_card_is_read_and_written_back(tmp_path, mini):
    assert TileLayout.load(mini / "satellite" / "layout.yaml") == CARD_LAYOUT == TileLayout.from_mapping(CARD)
    path = CARD_LAYOUT.save(tmp_path / "layout.yaml")
    assert yaml.safe_load(path.read_text()) == CARD
    assert [p.name for p in tmp_path.iterdir()] == ["layout.yaml"]


def test_presets_and_defaults():
    layout = TileLayout.from_mapping({"preset": "XYZ", "min_zoom": 0, "max_zoom": 19, "url": "https://x/{zoom}"})
    tile = TileProjection(layout).position_to_tile(51.5, -0.12, 10)
    assert tile.astype(int).tolist() == [511, 340]  # the web map's own numbers for London
    assert TileLayout.from_mapping(layout.to_mapping()) == layout
    with pytest.raises(LayoutError, match="cannot be combined with crs"):
        TileLayout.from_mapping({"preset": "XYZ", "crs": "epsg:3857", "min_zoom": 0, "max_zoom": 1})
    assert TileLayout.from_mapping({**CARD, "path": "tiles"}).path == "tiles/{zoom}/{x}/{y}.jpg"


@pytest.mark.parametrize(("field", "value"), [
    ("crs", 26985), ("crs", ""), ("tile_shape_px", [250, 200]), ("tile_shape_px", [250.0, 250.0]), ("tile_shape_px", 250),
    ("tile_shape_px", [0, 0]), ("tile_shape_px", [10**6, 10**6]), ("tile_shape_crs", [20, 10]),
    ("tile_shape_crs", [-1, -1]), ("tile_shape_crs", [float("nan")] * 2), ("origin_crs", ["a", "b"]),
    ("origin_crs", [1, 2, 3]), ("origin_crs", [True, False]), ("tile_axes", ["east", "west"]), ("tile_axes", "east"),
    ("tile_axes", ["east", "up"]), ("min_zoom", -1.5), ("min_zoom", 5), ("max_zoom", 10**9), ("path", "../{zoom}/{x}/{y}"),
    ("path", "/{zoom}/{x}/{y}.jpg"), ("path", "{zoom}/{x}.jpg"), ("path", "{zoom}/{x}/{y}/{quad}"), ("path", 3),
    ("url", 3), ("preset", "TMS"), ("size_crs", [1]), ("misspelt", 1)])
def test_wrong_fields_are_named(field, value):
    with pytest.raises(LayoutError, match=field):
        TileLayout.from_mapping({**CARD, field: value}, "map/layout.yaml")


def test_south_needs_a_size():
    with pytest.raises(LayoutError, match="size_crs"):
        TileLayout.from_mapping({**CARD, "tile_axes": ["east", "south"]})


@pytest.mark.parametrize("missing", ["min_zoom", "max_zoom"])
def test_missing_levels(missing):
    with pytest.raises(LayoutError, match=missing):
        TileLayout.from_mapping({k: v for k, v in CARD.items() if k != missing})


@pytest.mark.parametrize("text", [
    "a: &a [1, 1]\nb: *a\n", "x: !!python/object/apply:os.system ['true']\n", "[1, 2]\n", "", "a: [", "\0", "a: 1\na: 2\n",
    "a: " + "[" * 50 + "]" * 50, "a: " + "b" * 100_000, "min_zoom: 2024-01-01\nmax_zoom: 1\n"])
def test_tricks_are_refused(tmp_path, text):
    path = tmp_path / "layout.yaml"
    path.write_text(text)
    with pytest.raises(LayoutError, match=r"layout\.yaml"):
        TileLayout.load(path)


def test_doubled_fields_are_named(tmp_path):
    path = tmp_path / "layout.yaml"
    path.write_text(yaml.safe_dump(CARD) + "tile_axes: [east, south]\n")
    with pytest.raises(LayoutError, match=r"tile_axes.*twice"):
        TileLayout.load(path)


@pytest.mark.parametrize("crs", [
    "+proj=utm +zone=33 +nadgrids=/dev/stdin", "+proj=utm +zone=33 +NadGrids = @/tmp/pipe", "+init=/dev/stdin:x",
    "+proj=pipeline +step +proj=vgridshift +grids=/dev/stdin", "+proj=pipeline +step +proj=tinshift +file=/dev/stdin",
    'BOUNDCRS[ABRIDGEDTRANSFORMATION["x",PARAMETERFILE["f","/dev/stdin"]]]'])
def test_a_projection_opens_no_files(crs):
    with pytest.raises(LayoutError, match=r"crs: it names a file for PROJ to open"):
        TileProjection(TileLayout.from_mapping({**CARD, "crs": crs}))


def test_the_grid_that_is_none_is_no_file():
    web = ("+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +wktext +no_defs")
    place = TileProjection(TileLayout.from_mapping({**CARD, "crs": web})).to_crs(48.0, 11.0)
    assert place == pytest.approx(TileProjection(TileLayout.from_mapping({**CARD, "crs": "epsg:3857"})).to_crs(48.0, 11.0))


@pytest.mark.parametrize("crs", ["epsg:999999", "nonsense", "epsg:4979", "epsg:4978"])
def test_unknown_projections(crs):
    with pytest.raises(LayoutError, match="crs"):
        TileProjection(TileLayout.from_mapping({**CARD, "crs": crs}))


AXES = [(one, other) for one in ("north", "south", "east", "west") for other in ("north", "south", "east", "west")
        if (one in {"north", "south"}) != (other in {"north", "south"})]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(("crs", "first"), [("epsg:32633", "east"), ("epsg:2180", "north")])
def test_tile_numbers_begin_in_a_corner_of_the_tiled_area(crs, first, axes):
    """For any axis order of the projection and any tile axes, numbers in the area go from 0 to its size."""
    east, north, wide, high = 300_000.0, 400_000.0, 8_000.0, 2_000.0
    order = (lambda e, n: (n, e)) if first == "north" else (lambda e, n: (e, n))
    layout = TileLayout(crs=crs, tile_shape_crs=(20.0, 20.0), origin_crs=order(east, north), size_crs=order(wide, high),
                        tile_axes=axes)
    corners = [order(e, n) for e in (east, east + wide) for n in (north, north + high)]
    tiles = TileProjection(layout).crs_to_tile(corners, 0)
    sizes = [wide if axis in {"east", "west"} else high for axis in axes]
    assert tiles.min(0).tolist() == [0.0, 0.0] and tiles.max(0).tolist() == [size / 20.0 for size in sizes]


@pytest.mark.parametrize("axes", [("east", "north"), ("east", "south"), ("west", "north"), ("north", "west"),
                                  ("south", "east")])
def test_tiles_and_pixels_go_there_and_back(axes):
    projection = TileProjection(TileLayout(crs="epsg:32633", tile_shape_crs=(20.0, 20.0), size_crs=(1e5, 1e5),
                                           tile_axes=axes, min_zoom=-3))
    for level in (-3, 0):
        tile = projection.position_to_tile([52.0, 52.1], [15.0, 15.1], level)
        again = projection.pixel_to_tile(projection.tile_to_pixel(tile))
        assert abs(again - tile).max() < 1e-6
        place = projection.to_latlon(projection.tile_to_crs(again, level))
        assert abs(place - [[52.0, 15.0], [52.1, 15.1]]).max() < 1e-9
    pixels = projection.tile_to_pixel(projection.position_to_tile([52.0, 52.01, 52.0], [15.0, 15.0, 15.01], 0))
    assert pixels[1, 0] < pixels[0, 0] and pixels[2, 1] > pixels[0, 1]  # rows grow south, columns east
