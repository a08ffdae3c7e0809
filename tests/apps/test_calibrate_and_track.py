"""`jzi calibrate`, `jzi track` and the options of priors."""

from __future__ import annotations

import json
import shutil
import sqlite3
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from PIL import Image
from running import Jzi

import fakes
from justzoomin.apps.shared.prior_options import DEFAULT_SPEED, prior_from_options
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, PhotoError
from justzoomin.geometry import move
from justzoomin.posterior import CALIBRATION_FILE, Calibration, Circle, lattice
from justzoomin.search import Alone, Localizer, exact, photo_posteriors, track_points

GPX = "{http://www.topografix.com/GPX/1/1}"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with enough photos to calibrate on, in a split of their own."""
    root = fakes.make_repository(tmp_path_factory.mktemp("many") / "many", train=8, val=24, pixels=32)
    table = root / "metadata" / "large_area_val_map.csv"
    shutil.copy(table, root / "metadata" / "large_area_held_out_map.csv")
    return root


@pytest.fixture(scope="module")
def taught(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says it was trained on the split `train`."""
    extra = {"train_split_hash": open_dataset(many).split_hash("train")}
    return fakes.tiny_model().save_pretrained(tmp_path_factory.mktemp("taught") / "model", fakes.grid_of(many), extra)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos with EXIF times two seconds apart, their names not in the order of the times."""
    folder = tmp_path_factory.mktemp("drive") / "drive"
    folder.mkdir()
    for k, name in enumerate("ebacd"):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: f"2024:05:01 10:00:{2 * k:02d}", 0x9011: "+02:00"})
        (folder / f"{name}.jpg").write_bytes(fakes.encoded(fakes.picture(160, 90, k), exif=exif))
    return folder


def test_calibrate_writes_a_file_that_is_found(jzi: Jzi, many: Path, taught: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(taught, tmp_path / "model"))
    ran = jzi("calibrate", model, "--data", many, "--split", "held_out", "--report", tmp_path / "r.json", "--figure",
              tmp_path / "r.png")
    assert (ran.code, ran.err) == (0, "")
    found = Calibration.load(model / CALIBRATION_FILE).one_map
    assert found is not None and (found.photos, len(found.temperatures)) == (24, 2)
    assert found.look is not None and len(found.look) == 96
    assert found.figures["after"]["nll"] <= found.figures["before"]["nll"] + 1e-6
    assert "before   after" in ran.out
    curves = json.loads((tmp_path / "r.json").read_text())["curves"]
    assert sum(curves["after"]["top_cell"]["photos"]) == 24
    assert Image.open(tmp_path / "r.png").format == "PNG"
    use = ("calibrate", model, "--data", many, "--split", "held_out")
    assert jzi(*use, "--out", tmp_path / "again.json", "--batch-size", "5").code == 0
    other = Calibration.load(tmp_path / "again.json").one_map
    assert other is not None and other.temperatures == pytest.approx(found.temperatures, rel=1e-3)


def test_many_maps_at_once(jzi: Jzi, many: Path, taught: Path, tmp_path: Path) -> None:
    """Their calibration goes beside that of one map, and holds on another map like them."""
    model, towns = Path(shutil.copytree(taught, tmp_path / "model")), tmp_path / "towns"
    for seed in range(1, 6):
        fakes.make_repository(towns / f"{seed}", train=4, val=8, pixels=32, seed=seed, size_m=300.0 + 20 * seed)
    other = fakes.make_repository(tmp_path / "other", train=4, val=4, pixels=32, seed=9, size_m=390.0)
    assert jzi("calibrate", model, "--data", many, "--split", "held_out").code == 0
    before = Calibration.load(model / CALIBRATION_FILE)
    ran = jzi("calibrate", model, "--data", towns, "--split", "val", "--limit", "6", "--report", tmp_path / "r.json")
    assert "unknown" not in ran.err
    assert "fitted on 30 photos of 5 maps" in ran.out and "kept from the file: the calibration of one map" in ran.out
    assert [line.split()[:2] for line in ran.out.splitlines() if " m " in line and "->" in line] == [
        [f"{300 + 20 * k}", "m"] for k in range(1, 6)]
    both = Calibration.load(model / CALIBRATION_FILE)
    assert both.one_map == before.one_map and both.many_maps is not None
    assert len(both.many_maps.laws) == 2  # a zoomer without a matcher is calibrated step by step
    assert both.many_maps.sizes["area_m2"] == (320.0**2, 400.0**2)
    assert json.loads((tmp_path / "r.json").read_text())["calibration"]["many_maps"]["photos"] == 30
    dataset = open_dataset(other)
    fix = Localizer.load(model, other, search="posterior").localize(dataset.photos.read(dataset.split("val").image_ids[0]))
    assert (fix.calibrated, fix.not_calibrated, fix.on_map) == (True, None, None)
    use = ("calibrate", model, "--data", towns, "--out", tmp_path / "c.json")
    assert "trained on this map" in jzi(*use, "--data", many, "--split", "val").refusal()
    assert "no split called 'held_out'" in jzi(*use, "--split", "held_out").refusal()
    assert "--index" in jzi(*use, "--split", "val", "--index", tmp_path).err
    assert "2 maps are too few" in jzi("calibrate", model, "--data", towns / "1", "--data", towns / "2", "--split", "val",
                                       "--out", tmp_path / "c.json").refusal()


def test_scored_and_trained_photos_are_refused(jzi: Jzi, many: Path, taught: Path, tmp_path: Path) -> None:
    use = ("calibrate", taught, "--data", many, "--out", tmp_path / "c.json")
    assert "--split val" in jzi(*use, "--split", "val").refusal()
    assert "trained on these photos" in jzi(*use, "--split", "train").refusal()
    missing = jzi(*use, "--split", "nope").refusal()
    assert "--split nope: there is no split called 'nope'; existing splits: held_out, train, val. Make one" in missing
    assert "--after 24" in jzi(*use, "--split", "held_out", "--after", "24").refusal()
    assert "too few" in jzi(*use, "--split", "held_out", "--limit", "3").refusal()
    assert "--keep" in jzi(*use, "--split", "held_out", "--keep", "1.5").refusal()
    assert not (tmp_path / "c.json").exists()


def test_the_photos_behind_those_of_the_training(many: Path, taught: Path, tmp_path: Path) -> None:
    from justzoomin.evaluation import NotHeldOutWarning
    from justzoomin.evaluation.calibrating import held_out

    root = Path(shutil.copytree(many, tmp_path / "more"))
    train, val = (root / "metadata" / f"large_area_{name}_map.csv" for name in ("train", "val"))
    train.write_text(train.read_text() + "".join(val.read_text().splitlines(keepends=True)[1:]))
    dataset, trained = open_dataset(root), {"train_split_hash": open_dataset(many).split_hash("train")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = held_out(dataset, "train", 8, trained)
    assert found.ids == open_dataset(many).split("val").image_ids
    with pytest.warns(NotHeldOutWarning):
        held_out(dataset, "train", 7, trained)
    with pytest.warns(NotHeldOutWarning):
        held_out(dataset, "held_out", 0, {})
    train.write_text(train.read_text().splitlines(keepends=True)[0] + "".join(val.read_text().splitlines(keepends=True)[1:5]))
    mixed = open_dataset(root)
    with pytest.raises(ConfigError, match="4 of its photos"):
        held_out(mixed, "held_out", 0, {"train_split_hash": mixed.split_hash("train")})


def test_track_of_exif_times(jzi: Jzi, drive: Path, model: Path, credited: Path, tmp_path: Path) -> None:
    gpx, points, package = (tmp_path / "new" / f"out.{ending}" for ending in ("gpx", "geojson", "gpkg"))
    ran = jzi("track", drive, "--model", model, "--map", credited, "--gpx", gpx, "--geojson", points, "--gpkg",
              package, "--json")
    assert ran.code == 0
    assert [Path(row["photo"]).stem for row in ran.json] == list("ebacd")
    assert [row["time"] for row in ran.json][:2] == ["2024-05-01T08:00:00+00:00", "2024-05-01T08:00:02+00:00"]
    found = ElementTree.parse(gpx).getroot()
    assert (found.tag, found.get("version")) == (f"{GPX}gpx", "1.1")
    placed = found.findall(f"{GPX}trk/{GPX}trkseg/{GPX}trkpt")
    assert placed[0].findtext(f"{GPX}time") == "2024-05-01T08:00:00Z"
    assert [(float(p.get("lat")), float(p.get("lon"))) for p in placed] == [
        (pytest.approx(row["lat"], abs=1e-6), pytest.approx(row["lon"], abs=1e-6)) for row in ran.json]
    assert [child.tag.removeprefix(GPX) for child in placed[0]] == ["time", "name", "extensions"]  # the schema's order
    collection, credit = json.loads(points.read_text()), "Survey of \u00c5s & Bj\u00f6rk, CC BY 4.0"
    assert found[0].tag == f"{GPX}metadata"  # before the track, as the schema wants
    assert [mark.get("author") for mark in found.findall(f"{GPX}metadata/{GPX}copyright")] == [credit]
    assert collection["attribution"] == credit
    line, *singles = collection["features"]
    assert line["geometry"]["coordinates"] == [p["geometry"]["coordinates"] for p in singles]
    database = sqlite3.connect(package)
    assert database.execute("SELECT lat, lon, radius_m FROM answers").fetchall() == [
        (row["lat"], row["lon"], row["radius_m"]) for row in ran.json]
    assert database.execute("SELECT time FROM answers").fetchone() == ("2024-05-01T08:00:00.000Z",)
    track = shapely.from_wkb(database.execute("SELECT geom FROM track").fetchone()[0][40:])
    assert shapely.get_coordinates(track).tolist() == line["geometry"]["coordinates"]
    assert database.execute("SELECT count(*), count(DISTINCT percent) FROM regions").fetchone() == (15, 3)
    assert all(row["radius_m"] <= row["radius_90_m"] and row["on_map"] is None for row in ran.json)
    text = jzi("track", drive, "--model", model, "--map", credited).out
    assert text.count("90 % within") == 5


def test_our_own_gpx_reader_reads_it(drive: Path, jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    from justzoomin.photos.readers.gpx import read_gpx

    jzi("track", drive, "--model", model, "--map", repository, "--gpx", tmp_path / "out.gpx")
    (segment,) = read_gpx(tmp_path / "out.gpx", "out.gpx")
    assert len(segment.seconds) == 5


def test_track_of_a_table_and_of_odometry(jzi: Jzi, drive: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    use = ("track", drive, "--model", model, "--map", repository, "--json")
    table = tmp_path / "times.csv"
    table.write_text("photo,time\n" + "".join(f"{n}.jpg,2024-05-01 10:00:{k:02d}\n" for k, n in enumerate("abcde")))
    timed = jzi(*use, "--times", table, "--gpx", tmp_path / "o.gpx")
    assert [Path(row["photo"]).stem for row in timed.json] == list("abcde")
    assert "no times" in timed.err and b"<time>" not in (tmp_path / "o.gpx").read_bytes()
    zoned = jzi(*use, "--times", table, "--gpx", tmp_path / "o.gpx", "--time-zone", "Europe/Stockholm")
    assert zoned.json[0]["time"] == "2024-05-01T08:00:00+00:00" and b"<time>" in (tmp_path / "o.gpx").read_bytes()
    table.write_text("photo,time,east_m,north_m\n" + "".join(
        f"{n}.jpg,2024-05-01 10:00:{k:02d},{'' if k == 0 else 7},{'' if k == 0 else 0}\n" for k, n in enumerate("abcde")))
    moved = jzi(*use, "--times", table).json
    from justzoomin.geometry import to_local

    east, north = to_local(moved[0]["lat"], moved[0]["lon"], moved[-1]["lat"], moved[-1]["lon"])
    assert float(east) == pytest.approx(28.0, abs=6.0) and float(north) == pytest.approx(0.0, abs=6.0)


def test_track_passes_over_what_it_cannot_use(jzi: Jzi, drive: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(drive, tmp_path / "drive"))
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:1200])
    rows = "".join(f"{n}.jpg,2024-05-01T10:00:{k:02d}Z\n" for k, n in enumerate(["a", "b", "broken", "c", "d", "e"]))
    (tmp_path / "t.csv").write_text("photo,time\n" + rows)
    ran = jzi("track", folder, "--model", model, "--map", repository, "--times", tmp_path / "t.csv", "--json")
    assert ran.code == 1 and len(ran.json) == 5 and "broken.jpg" in ran.err


@pytest.mark.parametrize(("words", "table"), [
    ("photo", "photo\na.jpg\n"), ("no row for", "photo,time\nzz.jpg,2024-05-01T10:00:00Z\n"),
    ("'soon' cannot be read as a time", "photo,time\na.jpg,soon\n"),
    ("'2024-05-01' cannot be read", "photo,time\na.jpg,2024-05-01\n"),
    ("twice", "photo,time\na.jpg,2024-05-01T10:00\na.jpg,2024-05-01T10:00\n"),
    ("not a displacement", "photo,time,east_m,north_m\na.jpg,2024-05-01T10:00,x,1\n"),
    ("is not one of the photos", "photo,time,east_m,north_m\nzz.jpg,2024-05-01,1,1\n")])
def test_tables_of_times_that_are_none(jzi: Jzi, drive: Path, model: Path, repository: Path, tmp_path: Path, words: str,
                                       table: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    assert words in jzi("track", drive, "--model", model, "--map", repository, "--times", tmp_path / "t.csv").refusal()


def test_track_refuses_what_makes_no_sense(jzi: Jzi, drive: Path, photos: Path, model: Path, repository: Path) -> None:
    use = ("--model", model, "--map", repository)
    assert "EXIF has no time" in jzi("track", photos, *use).refusal()
    assert "--speed" in jzi("track", drive, *use, "--speed", "0").refusal()
    assert "--tempering" in jzi("track", drive, *use, "--tempering", "-1").refusal()


def test_a_calibration_beside_the_model_is_used(jzi: Jzi, many: Path, taught: Path, drive: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(taught, tmp_path / "model"))
    before = jzi("track", drive, "--model", model, "--map", many, "--json").json
    assert jzi("calibrate", model, "--data", many, "--split", "held_out").code == 0
    after = jzi("track", drive, "--model", model, "--map", many, "--json").json
    assert {row["on_map"] for row in before} == {None} and {row["on_map"] for row in after} <= {True, False}
    values = json.loads((model / CALIBRATION_FILE).read_text())
    (model / CALIBRATION_FILE).write_text(json.dumps({**values, "model": "0" * 64}))
    assert "fitted for model 0000" in jzi("track", drive, "--model", model, "--map", many).refusal()


def test_one_photo_is_its_own_posterior(drive: Path, model: Path, repository: Path) -> None:
    localizer = Localizer.load(model, repository, device="cpu")
    photo = drive / "a.jpg"
    (alone,) = photo_posteriors(localizer, [photo])
    assert isinstance(alone, Alone) and alone.headings is None
    probs = np.exp(alone.log_probs.astype(np.float64))
    assert float(probs.sum()) == pytest.approx(1.0, abs=1e-5)
    now = datetime(2024, 5, 1, tzinfo=UTC)

    def never(first: int, second: int) -> Any:
        raise AssertionError

    one, = track_points(localizer, [(photo, now)], [alone], never)
    p, cells = probs, lattice(localizer.grid)
    from justzoomin.geometry import haversine_m

    def expected(lat: float, lon: float) -> float:
        return float(p @ haversine_m(cells.lat, cells.lon, lat, lon) / p.sum())

    best = expected(*one.position)
    assert all(best <= expected(float(a), float(b)) + 1e-3 for a, b in zip(*move(*one.position, np.arange(0, 360, 45), 3.0),
                                                                           strict=True))
    with pytest.raises(PhotoError):
        track_points(localizer, [(photo, now)], [PhotoError("a", "b", "c")], never)


def test_exact_is_the_sum_along_paths(model: Path, repository: Path) -> None:
    import torch

    from justzoomin.search import along_path

    localizer = Localizer.load(model, repository, device="cpu")
    grid = localizer.grid
    photos = torch.randn(3, localizer.model.encoder.width, generator=torch.Generator().manual_seed(0))
    found = exact(localizer.model, photos, localizer.vectors, grid.depth)
    np.testing.assert_allclose(np.exp(found.astype(np.float64)).sum(1), 1.0, atol=1e-5)
    cells = np.array([0, 17, 255])
    paths = torch.from_numpy(grid.unflatten(cells, grid.depth))
    one_by_one = along_path(localizer.model, photos, localizer.vectors, paths).gather(-1, paths.unsqueeze(-1)).sum((1, 2))
    np.testing.assert_allclose(found[np.arange(3), cells], one_by_one.numpy(), atol=1e-4)


def test_options_of_priors(repository: Path, tmp_path: Path) -> None:
    grid = fakes.grid_of(repository)
    lat, lon = grid.region.centre
    nothing: tuple[None, ...] = (None,) * 5
    assert prior_from_options(grid, *nothing, DEFAULT_SPEED) is None  # type: ignore[arg-type]
    circle = prior_from_options(grid, f"{lat},{lon},50", None, None, None, None, 15.0)
    assert circle == Circle(lat, lon, 50.0)
    np.save(tmp_path / "w.npy", np.ones((16, 16)))
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [
        [[lon, lat], [lon + 1, lat], [lon + 1, lat + 1], [lon, lat]]]}))
    every = prior_from_options(grid, f"{lat},{lon},90", tmp_path / "a.geojson", tmp_path / "w.npy", f"{lat},{lon}", 4.0, 10.0)
    assert every is not None
    weights, cells = np.exp(every.log_weights(grid)), lattice(grid)
    allowed = weights > 0
    assert allowed.any() and not allowed.all()
    assert np.hypot(cells.east_m, cells.north_m)[allowed].max() < 40 + cells.cell_m * 2
    assert cells.east_m[allowed].min() > 0 and cells.north_m[allowed].min() > -1
    for wrong in (("1,2", None, None, None, None), ("a,b,c", None, None, None, None), (None, None, None, "1,2", None),
                  (None, None, None, None, 3.0), (None, None, None, "1", 3.0)):
        with pytest.raises(ConfigError):
            prior_from_options(grid, *wrong, 15.0)
