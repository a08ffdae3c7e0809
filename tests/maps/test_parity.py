"""Our views equal the reference renderer's, pixel for pixel up to rounding."""

from dataclasses import replace

import numpy as np
import pytest

from justzoomin.maps import Map
from map_builders import UTM, UTM_PLACE, XYZ_PLACE, build

PHOTOS = ((38.890329, -77.025813), (38.921112, -77.021982), (38.874304, -76.974917), (38.886635, -76.976998))


def differences(tile_map, loader, views) -> np.ndarray:
    """Absolute differences of views (lat, lon, size_m, pixels, bearing_deg), all in one row."""
    found = []
    for lat, lon, size_m, pixels, bearing in views:
        theirs = loader.load(latlon=np.array([lat, lon]), bearing=bearing, meters_per_pixel=size_m / pixels,
                             shape=np.array([pixels, pixels]))
        ours = tile_map.view(lat, lon, size_m, pixels, bearing).pixels
        found.append(np.abs(ours.astype(np.int16) - theirs).ravel())
        assert found[-1].mean() <= 0.5, (lat, lon, size_m, pixels, bearing)
    return np.concatenate(found)


def agree(found: np.ndarray) -> None:
    assert found.mean() <= 0.5
    assert np.mean(found <= 4) >= 0.999


@pytest.mark.parametrize("bearing", [0.0, 77.0])
def test_tile_numbers_below_zero(bearing, tmp_path):
    """A map with its origin outside it is drawn completely; the reference rounds such numbers to the wrong side."""
    folder = build(tmp_path, UTM, 52.05, 12.1, radius_m=90.0)
    shifted = build(tmp_path / "shifted", replace(UTM, origin_crs=(200_000.0, 5.7e6), size_crs=(4e5, 8e4)), 52.05, 12.1,
                    radius_m=90.0)
    views = [Map.open(path).view(52.05, 12.1, 96.0, 120, bearing) for path in (folder, shifted)]
    assert views[0].no_data == 0.0
    assert min(int(path.parent.name) for path in folder.glob("-1/*/*.jpg")) < 0
    assert np.array_equal(views[0].pixels, views[1].pixels)  # the same seed, the same tiles, other numbers


def test_real_map(extracted, reference):
    rng = np.random.default_rng(0)
    views = []
    for index in range(60):
        size_m = (10_000, 2_500, 625, 156.25)[index % 4]
        lat, lon = PHOTOS[index // 4 % 4] if size_m < 10_000 else (38.8936, -76.9885)
        bearing = 0.0 if index < 16 else float(rng.uniform(-180, 360))
        shift = rng.uniform(-2e-6, 2e-6, 2) * size_m
        views.append((lat + shift[0], lon + shift[1], size_m, 384, bearing))
    agree(differences(Map.open(extracted), reference(extracted / "satellite" / "layout.yaml"), views))


@pytest.mark.parametrize(("name", "place", "sizes"), [
    ("utm_map", UTM_PLACE, (60.0, 100.0, 150.0, 200.0)), ("xyz_map", XYZ_PLACE, (60.0, 180.0, 300.0, 500.0))])
def test_other_projections(name, place, sizes, reference, request):
    folder = request.getfixturevalue(name)
    rng = np.random.default_rng(5)
    reach = sizes[0] / 3e6
    views = [(place[0] + rng.uniform(-reach, reach), place[1] + rng.uniform(-reach, reach), sizes[k % 4],
              (96, 160, 250)[k % 3], 0.0 if k < 4 else float(rng.uniform(-180, 360))) for k in range(36)]
    tile_map = Map.open(folder)
    agree(differences(tile_map, reference(folder / "layout.yaml"), views))
    assert len({tile_map.view(*view).level for view in views}) >= 3


def test_turned_projection_has_no_black_corners(tmp_path, reference):
    """Where north of the map is not true north, the reference leaves wedges black; ours are drawn."""
    layout = replace(UTM, origin_crs=(200_000.0, 5.7e6), size_crs=(4e5, 8e4))  # tile numbers above zero
    folder = build(tmp_path, layout, 52.05, 12.1, radius_m=90.0)  # 2.3 degrees of convergence
    tile_map, loader = Map.open(folder), reference(folder / "layout.yaml")
    black = 0
    for step in range(12):
        lat = 52.05 + step * 2e-5
        theirs = loader.load(latlon=np.array([lat, 12.1]), bearing=0.0, meters_per_pixel=0.8, shape=np.array([120, 120]))
        ours = tile_map.view(lat, 12.1, 96.0, 120)
        wedge = (theirs == 0).all(-1)
        assert ours.no_data == 0.0
        assert not (ours.pixels == 0).all(-1)[wedge].any()
        inner = np.s_[8:-8, 8:-8]  # nearer to its edge, the reference's mirrored blur is wrong as well
        agree(np.abs(ours.pixels.astype(int) - theirs)[inner])
        black += int(wedge.sum())
    assert black > 0


@pytest.mark.parametrize("crs", ["epsg:31467", "epsg:2180"])
def test_north_first_projections_are_drawn_upright(crs, tmp_path):
    """A projection whose first axis is north gives the same picture as its mirror image with east first."""
    from justzoomin.tiles import TileLayout, TileProjection

    layout = TileLayout(crs=crs, tile_shape_crs=(20.0, 20.0), tile_axes=("east", "north"), min_zoom=-2, max_zoom=0)
    projection = TileProjection(layout)
    lat, lon = 51.0, 10.5 if crs == "epsg:31467" else 20.5
    assert projection.convergence_rad(lat, lon) == pytest.approx(np.radians(1.5 * np.sin(np.radians(lat))), rel=2e-3)
