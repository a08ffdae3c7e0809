"""Priors: weights of cells, multiplied into a posterior."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from justzoomin.errors import ConfigError, GeometryError
from justzoomin.geometry import Region, ZoomGrid, from_local, move
from justzoomin.posterior import (
    Both,
    Circle,
    Polygons,
    Posterior,
    Prior,
    Weights,
    apply,
    coverage,
    last_fix,
    lattice,
    read_polygons,
    weights_from_npy,
)

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
DATELINE = ZoomGrid(Region(10.0, 180.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
CELL_M2 = 25.0


def some_posterior(seed: int = 0, grid: ZoomGrid = TOWN) -> Posterior:
    return Posterior.of(grid, np.random.default_rng(seed).normal(0, 3, grid.actions**grid.depth))


def around(grid: ZoomGrid, east: list[float], north: list[float]) -> list[list[float]]:
    """A closed ring of lon, lat through positions in metres from a region's centre; longitudes go on beyond 180."""
    lat, lon = from_local(*grid.region.centre, np.array(east), np.array(north))
    return [[float(b), float(a)] for a, b in zip(lat, np.unwrap(lon, period=360.0), strict=True)]


def square(size: float, east: float = 0.0, north: float = 0.0, grid: ZoomGrid = TOWN) -> list[list[float]]:
    h = size / 2
    xs, ys = [-h, h, h, -h, -h], [-h, -h, h, h, -h]
    return around(grid, [east + x for x in xs], [north + y for y in ys])


def read(tmp_path: Path, value: Any) -> Polygons:
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(value))
    return read_polygons(path)


def test_a_prior_that_weighs_all_alike_changes_nothing() -> None:
    found = some_posterior()
    for flat in (Circle(54.5, 3.0, 5_000.0), Weights(TOWN, np.full(4096, 7.0)), Both(()), Both((Circle(54.5, 3.0, 1e7),))):
        assert np.array_equal(apply(found, flat).log_probs, found.log_probs)


def test_priors_commute_and_a_result_sums_to_one() -> None:
    found = some_posterior()
    weights = Weights(TOWN, np.random.default_rng(1).uniform(0, 1, 4096))
    priors: list[Prior] = [Circle(54.5, 3.0, 90.0), weights, Circle(54.5005, 3.0, 20.0, 30.0)]
    first = apply(apply(apply(found, priors[0]), priors[1]), priors[2])
    last = apply(apply(apply(found, priors[2]), priors[1]), priors[0])
    together = apply(found, Both(tuple(priors)))
    for other in (last, together):
        np.testing.assert_allclose(other.probs, first.probs, atol=1e-15, rtol=1e-9)
    assert first.probs.sum() == pytest.approx(1.0, abs=1e-12)
    assert 0 < (first.probs > 0).sum() < 4096


def test_a_prior_that_rules_everything_out_is_an_error_that_says_where_the_region_lies() -> None:
    with pytest.raises(GeometryError, match=r"rules out every cell.*54\.500000, 3\.000000"):
        apply(some_posterior(), Circle(55.5, 3.0, 100.0))
    east = apply(some_posterior(), Weights(TOWN, (lattice(TOWN).east_m > 0).astype(float)))
    with pytest.raises(GeometryError, match="posterior allows"):
        apply(east, Weights(TOWN, (lattice(TOWN).east_m < 0).astype(float)))


def test_swapped_latitude_and_longitude_are_named(tmp_path: Path) -> None:
    ring = [[lat, lon] for lon, lat in square(50.0)]
    polygon = read(tmp_path, {"type": "Polygon", "coordinates": [ring]})
    for prior in (Circle(3.0, 54.5, 100.0), last_fix(3.0, 54.5, 1.0, 50.0), polygon, Both((Circle(3.0, 54.5, 9.0), polygon))):
        with pytest.raises(GeometryError, match=r"rules out every cell .*; latitude and longitude look swapped"):
            apply(some_posterior(), prior)
    for other in (Circle(3.0, 53.5, 100.0), Circle(3.0, 120.0, 100.0), Weights(TOWN, np.zeros(4096))):
        with pytest.raises(GeometryError) as caught:
            apply(some_posterior(), other)
        assert "swapped" not in str(caught.value)
    with pytest.raises(ConfigError, match="look swapped"):
        Circle(-122.4, 37.8, 100.0)


@pytest.mark.parametrize(("radius", "east"), [(50.0, 0.0), (50.0, 1.7), (3.0, 2.5), (1.0, 0.0), (140.0, 3.3)])
def test_a_circle_covers_its_area(radius: float, east: float) -> None:
    lat, lon = from_local(54.5, 3.0, east, 0.9)
    shares = np.exp(Circle(float(lat), float(lon), radius).log_weights(TOWN))
    assert shares.sum() * CELL_M2 == pytest.approx(math.pi * radius**2, rel=0.03)
    assert ((shares > 0) & (shares < 1)).any()


def test_a_soft_circle_falls_like_a_gaussian() -> None:
    weights = Circle(54.5, 3.0, 0.0, 20.0).log_weights(TOWN)
    cells = lattice(TOWN)
    squared = cells.east_m**2 + cells.north_m**2
    np.testing.assert_allclose(weights, -squared / 800, rtol=1e-3)
    flat = Circle(54.5, 3.0, 60.0, 20.0).log_weights(TOWN)
    assert (flat[squared < 59**2] == 0).all() and (flat[squared > 61**2] < 0).all()


def test_a_last_fix_reaches_as_far_as_the_speed_lets() -> None:
    assert last_fix(54.5, 3.0, 10.0, 4.0, radius_m=5.0) == Circle(54.5, 3.0, 45.0)
    assert last_fix(54.5, 3.0, 0.0, 4.0, sigma_m=8.0) == Circle(54.5, 3.0, 0.0, 8.0)
    for wrong in ((-1.0, 4.0), (math.nan, 1.0), (1.0, math.inf), (0.0, 5.0)):
        with pytest.raises(ConfigError):
            last_fix(54.5, 3.0, *wrong)


@pytest.mark.parametrize("grid", [TOWN, DATELINE])
@pytest.mark.parametrize(("size", "east", "north"), [(100.0, 0.0, 0.0), (33.3, 41.7, -20.1), (1.0, 12.0, 12.0)])
def test_a_polygon_covers_its_area(tmp_path: Path, grid: ZoomGrid, size: float, east: float, north: float) -> None:
    ring = square(size, east, north, grid)
    shares = np.exp(read(tmp_path, {"type": "Polygon", "coordinates": [ring]}).log_weights(grid))
    assert shares.sum() * CELL_M2 == pytest.approx(size**2, rel=2e-3)
    turned = np.exp(read(tmp_path, {"type": "Polygon", "coordinates": [ring[::-1]]}).log_weights(grid))
    np.testing.assert_allclose(turned, shares, atol=1e-9)


def test_half_a_cell_is_half_a_weight(tmp_path: Path) -> None:
    ring = around(TOWN, [0.0, 2.5, 2.5, 0.0, 0.0], [0.0, 0.0, 5.0, 5.0, 0.0])
    shares = np.exp(read(tmp_path, {"type": "Polygon", "coordinates": [ring]}).log_weights(TOWN))
    assert shares.max() == pytest.approx(0.5, abs=1e-4)
    assert lattice(TOWN).east_m[shares.argmax()] == lattice(TOWN).north_m[shares.argmax()] == 2.5


def test_holes_parts_and_collections(tmp_path: Path) -> None:
    holed = {"type": "Polygon", "coordinates": [square(200.0), square(100.0)]}
    shares = np.exp(read(tmp_path, holed).log_weights(TOWN))
    assert shares.sum() * CELL_M2 == pytest.approx(200.0**2 - 100.0**2, rel=2e-3)
    island = {"type": "Polygon", "coordinates": [square(50.0)]}
    both = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": None, "geometry": holed},
        {"type": "Feature", "properties": {}, "geometry": {"type": "GeometryCollection", "geometries": [island]}}]}
    shares = np.exp(read(tmp_path, both).log_weights(TOWN))
    assert shares.sum() * CELL_M2 == pytest.approx(200.0**2 - 100.0**2 + 50.0**2, rel=2e-3)
    multi = {"type": "MultiPolygon", "coordinates": [[square(60.0)], [square(60.0)]]}
    assert np.exp(read(tmp_path, multi).log_weights(TOWN)).max() <= 1.0 + 1e-12  # what two cover counts once


def test_the_whole_world_is_a_flat_prior_and_another_country_none(tmp_path: Path) -> None:
    world = {"type": "Polygon", "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]]}
    for grid in (TOWN, DATELINE):
        np.testing.assert_allclose(apply(some_posterior(3, grid), read(tmp_path, world)).log_probs,
                                   some_posterior(3, grid).log_probs, atol=1e-9)
    lat, lon = move(54.5, 3.0, np.array([0.0, 120.0, 240.0, 0.0]), 3e5)
    far = [[float(x), float(y) - 8] for x, y in zip(lon, lat, strict=True)]
    with pytest.raises(GeometryError, match=r"area\.geojson"):
        apply(some_posterior(), read(tmp_path, {"type": "Polygon", "coordinates": [far]}))


def triangles(count: int, reach: float, size: float) -> tuple[list[list[list[float]]], float]:
    """Rings of triangles in TOWN, and the sum of their areas in m2."""
    rng = np.random.default_rng(5)
    east, north = (rng.uniform(-reach, reach, (count, 1)) + rng.uniform(-size, size, (count, 3)) for _ in range(2))
    cross = (east[:, 1] - east[:, 0]) * (north[:, 2] - north[:, 0]) - (east[:, 2] - east[:, 0]) * (north[:, 1] - north[:, 0])
    rings = [around(TOWN, [*e, e[0]], [*n, n[0]]) for e, n in zip(east.tolist(), north.tolist(), strict=True)]
    return rings, float(np.abs(cross).sum() / 2)


def test_many_polygons_weigh_what_each_does_alone(tmp_path: Path) -> None:
    rings, area = triangles(400, 140.0, 4.0)
    alone = sum(np.exp(read(tmp_path, {"type": "Polygon", "coordinates": [ring]}).log_weights(TOWN)) for ring in rings)
    together = np.exp(read(tmp_path, {"type": "MultiPolygon", "coordinates": [[r] for r in rings]}).log_weights(TOWN))
    np.testing.assert_allclose(together, np.minimum(alone, 1.0), atol=1e-12)
    assert np.array_equal(together > 0, alone > 0)  # what no polygon touches is ruled out
    assert alone.sum() * CELL_M2 == pytest.approx(area, rel=2e-3)
    holed = read(tmp_path, {"type": "Polygon", "coordinates": [square(310.0), *rings[:40]]})
    left = np.exp(holed.log_weights(TOWN)).sum() * CELL_M2
    assert 310.0**2 - 40 * 32 < left < 310.0**2


def test_polygons_that_would_take_minutes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rings, _ = triangles(40, 0.0, 150.0)
    large = read(tmp_path, {"type": "MultiPolygon", "coordinates": [[r] for r in rings]})
    assert np.exp(large.log_weights(TOWN)).max() == pytest.approx(1.0)
    monkeypatch.setattr(coverage, "_MOST", 10_000)
    with pytest.raises(ConfigError, match=r"area\.geojson: its 40 polygons .* fewer levels"):
        large.log_weights(TOWN)


@pytest.mark.parametrize("text", [
    "", "{", "[]", "{}", "[" * 100_000, '{"type": "Point", "coordinates": [1, 2]}', '{"type": "Polygon"}',
    '{"type": "Polygon", "coordinates": []}', '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}',
    '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}',
    '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 95], [0, 0]]]}',
    '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1e999, 1], [0, 0]]]}',
    '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [NaN, 1], [0, 0]]]}',
    '{"type": "Polygon", "coordinates": [7]}', '{"type": "FeatureCollection", "features": []}',
    '{"type": "Feature", "geometry": null}', '{"type": "FeatureCollection", "features": {}}',
])
def test_polygon_files_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"area\.geojson"):
        read_polygons(path)


def test_pictures_of_weights(tmp_path: Path) -> None:
    image = np.zeros((64, 64), np.float32)
    image[0, 63] = 2.0  # the north-east corner
    np.save(tmp_path / "w.npy", image)
    shares = apply(some_posterior(), weights_from_npy(tmp_path / "w.npy", TOWN)).probs
    cells = lattice(TOWN)
    assert shares[(cells.row == 0) & (cells.col == 63)] == pytest.approx([1.0])
    for name, wrong in (("shape", np.zeros((3, 3))), ("sign", image - 1), ("kind", image.astype("U3")), ("nan", image + np.nan),
                        ("pickled", np.array([[{}]], dtype=object))):
        np.save(tmp_path / f"{name}.npy", wrong, allow_pickle=True)
        with pytest.raises(ConfigError, match=name):
            weights_from_npy(tmp_path / f"{name}.npy", TOWN)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "w.npy").read_bytes()[:-9])
    (tmp_path / "text.npy").write_text("no picture")
    for name in ("cut", "text", "missing"):
        with pytest.raises(ConfigError, match=name):
            weights_from_npy(tmp_path / f"{name}.npy", TOWN)


def test_wrong_circles() -> None:
    for wrong in ((91.0, 3.0, 5.0), (54.5, math.nan, 5.0), (54.5, 3.0, 0.0), (54.5, 3.0, -1.0), (54.5, 3.0, math.inf)):
        with pytest.raises(ConfigError):
            Circle(*wrong)
    with pytest.raises(ConfigError):
        Weights(TOWN, np.ones(3))
    with pytest.raises(ConfigError, match="another grid"):
        Weights(TOWN, np.ones(4096)).log_weights(DATELINE)
