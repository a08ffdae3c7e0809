"""The whole way on real files and on a town with known truth: raster to map, photos to records, training, evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import exports
import fakes
from justzoomin.apps.main import main
from justzoomin.city import CityConfig, build_city
from justzoomin.data import open_dataset
from justzoomin.errors import JustZoomInError
from justzoomin.geometry import haversine_m
from justzoomin.maps import Map

rasterio = pytest.importorskip("rasterio")


def jzi(*words: object) -> int:
    """Exit code of a command, run in this process."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("embreex")
    config = CityConfig(seed=3, size_m=100.0, photos=40, val_photos=8, depth=2, gsd_m=0.25, photo_width=128, photo_height=72,
                        workers=1)
    return build_city(tmp_path_factory.mktemp("town") / "town", config)


@pytest.fixture(scope="module")
def own(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The town as a person has it, GeoTIFF and EXIF photos, imported back with the town's own region."""
    folder = tmp_path_factory.mktemp("own")
    ortho = exports.export_orthophoto(town, folder / "ortho.tif")
    exports.export_photos(town, folder / "photos")
    region = town / "satellite" / "region.yaml"
    assert jzi("map", "build", ortho, folder / "own", "--attribution", "A synthetic town, CC0 1.0", "--region", region) == 0
    assert jzi("photos", "import", folder / "photos", folder / "own", "--map", folder / "own", "--split", "photo",
               "--val-share", 0.2, "--license", "CC0-1.0", "--attribution", "A synthetic town", "--keep-duplicates") == 0
    return folder / "own"


def test_the_map_shows_what_the_town_shows(town: Path, own: Path) -> None:
    """Built from a GeoTIFF, a map draws the views of the map that the GeoTIFF was made from."""
    before, after = Map.open(town), Map.open(own)
    assert after.attribution == before.attribution or "A synthetic town, CC0 1.0" in (after.attribution or "")
    grid, differences = before.grid, []
    for sequence in ((), (0,), (5,), (10,), (15,)):
        cell = grid.cell(sequence)
        views = [each.view(cell.centre.lat, cell.centre.lon, cell.size_m * 0.95, 96) for each in (before, after)]
        assert views[1].no_data == 0.0
        differences.append(np.abs(views[0].pixels.astype(int) - views[1].pixels.astype(int)).mean())
    # Tiles are JPEG twice over: some grey levels differ, places do not (next test of the import has positions).
    assert max(differences) < 8.0, differences


def test_the_map_is_where_the_town_is(town: Path, own: Path) -> None:
    """A shift of a metre makes the views of the two maps differ more than no shift does."""
    before, after = Map.open(town), Map.open(own)
    centre = before.grid.region.centre
    wanted = before.view(*centre, 40.0, 160).pixels.astype(int)

    def difference(north_m: float, east_m: float) -> float:
        lat = centre.lat + north_m / 111_319.49
        lon = centre.lon + east_m / 111_319.49 / np.cos(np.radians(centre.lat))
        return float(np.abs(after.view(lat, lon, 40.0, 160).pixels.astype(int) - wanted).mean())

    still = difference(0, 0)
    assert all(difference(*shift) > 1.5 * still for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)))


def test_the_photos_are_where_they_were_taken(town: Path, own: Path) -> None:
    truth = pl.concat([open_dataset(town).split(name).table.select("image_id", "latitude", "longitude", "sequence")
                       for name in ("train", "val")])
    found = pl.concat([open_dataset(own).split(name).table.select("image_id", "latitude", "longitude", "sequence")
                       for name in ("train", "val")])
    both = found.join(truth, on="image_id", suffix="_true")
    assert len(both) == len(found) == len(truth) == 48
    away = haversine_m(*(both[name].to_numpy() for name in ("latitude", "longitude", "latitude_true", "longitude_true")))
    assert away.max() < 0.02
    same = (both["sequence"] == both["sequence_true"]).mean()
    assert same > 0.95  # a photo on a cell's border may round to the other side


def test_trained_for_a_moment_and_evaluated(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jzi("data", "verify", own) == 0
    assert jzi("train", "--data", own, "--out", tmp_path / "run", "--preset", "small", "--set", "epochs=1",
               "--set", "batch_size=8", "--set", "workers=0", "--set", "accelerator=cpu") == 0
    assert jzi("evaluate", tmp_path / "run", "--data", own, "--json", tmp_path / "report.json", "--device", "cpu") == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["n"] == len(open_dataset(own).split("val"))
    assert report["hashes"]["split"] == json.loads((own / "metadata" / "split.json").read_text())["splits"]["val"]["sha256"]
    assert "A synthetic town" in report["attribution"]
    capsys.readouterr()
    photo = sorted((own.parent / "photos").iterdir())[0]
    assert jzi("localize", photo, "--model", tmp_path / "run" / "models" / "last", "--map", own, "--json") == 0
    fix = json.loads(capsys.readouterr().out)[0]
    assert Map.open(own).grid.encode([fix["lat"]], [fix["lon"]])[0].tolist() == fix["sequence"]


def test_real_photos_off_the_map_are_refused(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real orthophoto of North Dakota; photos of Sweden and Italy."""
    raster = shared / "data" / "naip" / "m_4709963_se_14_1_20190904.tif"
    assert jzi("map", "build", raster, tmp_path / "naip", "--attribution", "NAIP 2019, USDA, public domain") == 0
    assert jzi("region", "fit", tmp_path / "naip", "--write") == 0
    for source in ("lund", "exif"):
        capsys.readouterr()
        assert jzi("photos", "import", shared / "data" / source, tmp_path / "out", "--map", tmp_path / "naip") == 1
        said = capsys.readouterr().err
        assert "km away" in said
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("source", "count"), [("lund", 6), ("exif", 1)])
def test_real_photos_on_a_map_around_them(shared: Path, tmp_path: Path, source: str, count: int,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    """The same photos on a map made around where EXIF says they are: six of a walk in Lund, one of Arezzo."""
    lat, lon = {"lund": (55.69825, 13.19525), "exif": (43.46745, 11.88513)}[source]
    ortho = exports.write_geotiff_around(tmp_path / "around.tif", fakes.picture(800, 800, 5), lat, lon, 0.25)
    assert jzi("map", "build", ortho, tmp_path / "own", "--attribution", "generated") == 0
    assert jzi("region", "fit", tmp_path / "own", "--pixels", 64, "--cell-m", 10, "--write") == 0
    capsys.readouterr()
    words = ("photos", "import", shared / "data" / source, tmp_path / "own", "--map", tmp_path / "own", "--val-share", 0.34)
    code = jzi(*words, "--seed", 0)
    if count == 1:  # one photo cannot fill two splits: said, and nothing written
        assert code == 1
        assert "split" in capsys.readouterr().err
        assert not (tmp_path / "own" / "metadata").exists()
        return
    if code:  # an empty split is refused with the next seed that fills both
        seed = int(capsys.readouterr().err.split("--seed ")[1].split()[0].rstrip(".,"))
        assert jzi(*words, "--seed", seed) == 0
    dataset = open_dataset(tmp_path / "own")
    splits = [dataset.split(name) for name in ("train", "val")]
    assert sum(map(len, splits)) == count
    away = haversine_m(np.concatenate([s.lat for s in splits]), np.concatenate([s.lon for s in splits]), lat, lon)
    assert away.max() < 25.0
    for split in splits:
        for image_id in split.image_ids:
            assert b"Exif" not in dataset.photos.read(image_id)[:4096]
    assert jzi("data", "verify", tmp_path / "own") == 0


def test_errors_are_of_one_family(tmp_path: Path) -> None:
    """What the commands of this page raise is for the reader: a family of errors with a place and a remedy."""
    (tmp_path / "town.tif").write_text("no raster")
    from justzoomin.imagery import MapBuildConfig, build_map

    with pytest.raises(JustZoomInError, match=r"town\.tif"):
        build_map([str(tmp_path / "town.tif")], tmp_path / "map", MapBuildConfig())
