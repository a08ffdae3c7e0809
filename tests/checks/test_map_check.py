"""The map check: missing tiles are counted and listed; blank, broken or enlarged ones are reported."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from justzoomin.checks import MapCheck, check_map
from justzoomin.checks.tilequality import ENLARGED, octave_energy
from justzoomin.errors import ConfigError
from justzoomin.geometry import Region, ZoomGrid, preset
from justzoomin.maps import Map
from justzoomin.tiles import TileProjection
from map_builders import UTM, UTM_PLACE, build, texture

PIXELS = 64
"""Views of 320 m and 80 m at this size are drawn from levels -3 and -1."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("whole"), UTM, *UTM_PLACE, radius_m=160.0, seed=6)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of the map to damage."""
    return Path(shutil.copytree(whole, tmp_path / "map"))


def checked(folder: Path, **settings: object) -> MapCheck:
    return check_map(Map.open(folder), pixels=PIXELS, **settings)  # type: ignore[arg-type]


def inner(folder: Path, level: int) -> Path:
    """A tile of a level near the middle of the region."""
    source = Map.open(folder)
    x, y = np.floor(TileProjection(source.layout).position_to_tile(*UTM_PLACE, level)).astype(int)
    return folder / str(level) / str(x) / f"{y}.jpg"


def write(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels, np.uint8), quality=90))


def test_a_whole_map_is_good(whole: Path) -> None:
    found = checked(whole)
    assert (found.verdict, found.problems, found.warnings) == ("good", (), ())
    assert [level.need.map_level for level in found.levels] == [-3, -1]
    assert all(level.coverage == 1.0 and level.tiles_missing == level.empty == level.partly == 0 for level in found.levels)
    assert [level for level, _, _ in found.unused] == [-2, 0]
    size = sum(p.stat().st_size for p in (whole / "0").rglob("*.jpg"))
    assert found.unused[1][2] == size
    assert all(np.array_equal(cover.picture, np.ones((64, 64))) for cover in found.covers)


def test_a_projection_of_another_place_is_measured(whole: Path, tmp_path: Path) -> None:
    """Views of a map in a UTM zone far away show more ground than they should; the number is that of the ground shown."""
    assert abs(checked(whole).scale.error) < 0.004
    far = build(tmp_path / "far", replace(UTM, crs="epsg:32636"), *UTM_PLACE, radius_m=160.0, seed=6)
    found = checked(far)
    # North is turned by g, and the rule takes the mean of both axes of a turned step: cos g / cos 2g.
    turned = abs(np.radians(found.convergence_deg))
    assert found.scale.error == pytest.approx(np.cos(turned) / np.cos(2 * turned) - 1, abs=0.005) and found.scale.error > 0.1
    [warning] = [text for text in found.warnings if "does not fit this place" in text]
    assert f"scale error +{found.scale.error:.1%}" in warning and "--crs EPSG:32633" in warning
    assert found.to_dict()["scale"]["error"] == found.scale.error


def test_a_missing_tile_is_counted_and_placed(folder: Path) -> None:
    gone = inner(folder, -1)
    gone.unlink()
    found = checked(folder)
    coarse, fine = found.levels
    assert (coarse.tiles_missing, fine.tiles_missing, fine.empty) == (0, 1, 0)
    (x, y, lat, lon), = fine.first_missing
    assert (str(x), str(y)) == (gone.parent.name, gone.stem)
    projection = TileProjection(Map.open(folder).layout)
    np.testing.assert_allclose(projection.position_to_tile(lat, lon, -1), (x + 0.5, y + 0.5), atol=0.01)
    tile_m = 40.0
    np.testing.assert_allclose(1 - fine.coverage, (tile_m / 320) ** 2, rtol=0.05)
    assert fine.partly >= 1
    assert np.nanmin(found.covers[1].picture) == 0.0
    assert found.verdict == "usable with warnings"
    assert any("map level -1" in w and "of the region has tiles" in w and "smaller region" in w for w in found.warnings)


def test_empty_cells_and_photos_without_tiles(folder: Path) -> None:
    for column in sorted((folder / "-1").iterdir())[:4]:
        shutil.rmtree(column)
    lat = np.array([UTM_PLACE[0], UTM_PLACE[0]])
    lon = np.array([UTM_PLACE[1] - 0.002, UTM_PLACE[1] + 0.002])
    found = checked(folder, places=(lat, lon))
    fine = found.levels[1]
    assert fine.empty == 4
    assert (fine.places_without, found.levels[0].places_without, found.places) == (1, 0, 2)
    assert found.verdict == "usable with warnings"
    assert any("1 of 2 photos are where it has no tile" in warning for warning in found.warnings)


def test_a_missing_level_forbids_training(folder: Path) -> None:
    shutil.rmtree(folder / "-1")
    found = checked(folder)
    assert found.verdict == "cannot be trained on"
    assert found.levels[1].need.service == "missing"
    assert any("drawn from map level -1, which has no tile" in problem for problem in found.problems)


def test_a_region_elsewhere_forbids_training(whole: Path) -> None:
    grid = ZoomGrid(Region(52.2, 15.3, (-160, 160), (-160, 160)), 4, 2)
    found = check_map(Map.open(whole, grid), pixels=PIXELS)
    assert found.verdict == "cannot be trained on"
    assert any("jzi region fit" in problem for problem in found.problems)
    assert all(np.nanmax(cover.picture) == 0.0 for cover in found.covers)


@pytest.mark.parametrize(("value", "kind"), [(0, "black"), (255, "white")])
def test_silent_blank_tiles(folder: Path, value: int, kind: str) -> None:
    blank = inner(folder, -1)
    write(blank, np.full((100, 100, 3), value))
    found = checked(folder)
    quality = next(q for q in found.qualities if q.level == -1)
    there = ((int(blank.parent.name), int(blank.stem)),)
    assert (quality.solid_black if kind == "black" else quality.solid_white) == there
    assert any(f"completely {kind}" in w and f"-1/{blank.parent.name}/{blank.stem}" in w for w in found.warnings)


def test_a_broken_tile_forbids_training(folder: Path) -> None:
    broken = inner(folder, -3)
    broken.write_bytes(broken.read_bytes()[:50])
    found = checked(folder)
    assert found.verdict == "cannot be trained on"
    assert any("broken" in problem and str(broken) in problem for problem in found.problems)


def test_enlarged_imagery_is_seen(folder: Path) -> None:
    for path in (folder / "-1").rglob("*.jpg"):
        small = cv2.imread(str(path))[:25, :25]
        write(path, cv2.resize(small, (100, 100), interpolation=cv2.INTER_CUBIC))
    found = checked(folder)
    quality = next(q for q in found.qualities if q.level == -1)
    assert quality.enlarged > 0.8 * quality.judged > 0
    assert any("looks enlarged" in warning for warning in found.warnings)


@pytest.mark.parametrize("how", [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
def test_octaves_tell_enlarged_from_sharp(how: int) -> None:
    rng = np.random.default_rng(3)
    sharp = texture(rng, 256)
    own = octave_energy(sharp)
    enlarged = octave_energy(cv2.resize(sharp[:128, :128], (256, 256), interpolation=how))
    assert own[0] / own.max() > 3 * ENLARGED
    assert enlarged[0] / enlarged.max() < ENLARGED < enlarged[1] / enlarged.max()


def test_views_the_map_is_too_coarse_for(whole: Path) -> None:
    found = check_map(Map.open(whole), pixels=1024)
    assert found.levels[1].need.service == "enlarged"
    assert any("they are enlarged and show no more" in warning for warning in found.warnings)


def test_coarse_levels_that_are_missing(tmp_path: Path) -> None:
    layout = type(UTM)(**{**UTM.__dict__, "min_zoom": 0})
    folder = build(tmp_path / "fine", layout, *UTM_PLACE, radius_m=40.0)
    grid = ZoomGrid(Region(*UTM_PLACE, (-5000, 5000), (-5000, 5000)), 4, 2)
    found = check_map(Map.open(folder, grid), pixels=PIXELS)
    assert found.levels[0].need.service == "too_large"
    assert any("Build coarser levels" in problem for problem in found.problems)


def test_the_sample_is_seeded_and_bounded(whole: Path) -> None:
    one, again, other = (checked(whole, tiles=5, seed=seed) for seed in (1, 1, 2))
    assert one.to_dict() == again.to_dict()
    assert one.qualities[1].sampled == 5
    assert one.qualities[1].tiles > 60
    assert one.to_dict() != other.to_dict()


@pytest.mark.parametrize("wrong", [{"pixels": 4}, {"tiles": 0}])
def test_settings_that_cannot_be(whole: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        check_map(Map.open(whole), **wrong)


def test_a_server_cannot_be_counted() -> None:
    with pytest.raises(ConfigError, match="jzi map build"):
        check_map(Map.open("https://tiles.example.org/{z}/{x}/{y}.png", preset("dc")))


def test_the_real_map(shared: Path) -> None:
    found = check_map(Map.open(shared / "data" / "dc-mini"), tiles=60)
    assert found.verdict == "usable with warnings"
    assert [level.need.map_level for level in found.levels] == [-7, -5, -3, -1]
    assert [round(100 * level.coverage) for level in found.levels] == [100, 97, 8, 1]
    assert any("map level -1" in w and "looks enlarged" in w for w in found.warnings)  # it was, outside the photos
    assert found.qualities[0].enlarged <= 1  # the overview is sharp
