"""The output of `jzi photos import`."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from walks import record, street

import fakes
from justzoomin.apps.main import main


@pytest.fixture
def jzi(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run `jzi` with words; return exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        got = capsys.readouterr()
        return int(stop.value.code or 0), got.out, got.err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos with EXIF positions, one of them broken."""
    for number in range(12):
        record(tmp_path / "walk", number)
    return tmp_path / "walk"


SMALL = ("--val-share", 0.3, "--pixels", 32)


def test_from_exif_to_a_dataset(jzi, folder: Path, town: Path, tmp_path: Path) -> None:
    code, out, err = jzi("photos", "import", folder, tmp_path / "data", "--map", town, *SMALL, "--license", "CC0-1.0",
                         "--attribution", "The Walkers")
    assert (code, err) == (0, "")
    assert f"{tmp_path / 'data'}: " in out
    assert "of 12 photos found" in out
    assert "nothing copied" in out
    assert "Street photos: The Walkers (12 photos, licence CC0-1.0)." in out
    assert jzi("data", "verify", tmp_path / "data")[0] == 0
    told = jzi("data", "info", tmp_path / "data", "--json")[1]
    assert "The Walkers" in json.loads(told)["attribution"]


def test_broken_photos_make_it_exit_with_1_and_are_listed(jzi, folder: Path, town: Path, tmp_path: Path) -> None:
    (folder / "p03.jpg").write_bytes((folder / "p03.jpg").read_bytes()[:2000])
    report = tmp_path / "r" / "report.json"
    code, out, _ = jzi("photos", "import", folder, tmp_path / "data", "--map", town, *SMALL, "--report", report)
    assert code == 1
    assert "dropped: 1 broken" in out
    assert "p03.jpg" in out
    assert json.loads(report.read_text())["dropped"] == {"broken": 1}
    code, out, _ = jzi("photos", "import", folder, tmp_path / "again", "--map", town, *SMALL, "--json")
    assert code == 1
    assert json.loads(out)["items"][0]["kind"] == "broken"
    assert json.loads(out)["found"] == 12


def test_a_table_a_camera_and_splits(jzi, folder: Path, town: Path, tmp_path: Path) -> None:
    rows = [record(folder, k, fakes.encoded(street(k))) for k in range(12)]
    pl.DataFrame({"file": [r.path.name for r in rows], "N": [r.lat for r in rows], "E": [r.lon for r in rows],
                  "road": [f"road{k // 3}" for k in range(12)]}).write_csv(folder / "where.csv")
    words = ("--map", town, "--pixels", 32, "--columns", "image=file,lat=N,lon=E,sequence_id=road", "--camera",
             "fisheye,0.5,0.02", "--split", "sequence", "--val-share", 0.4)
    code, out, err = jzi("photos", "import", folder / "where.csv", tmp_path / "data", *words)
    assert code == 0, (out, err)
    table = pl.read_parquet(tmp_path / "data" / "streetview" / "metadata_satellite_covered.parquet")
    assert table["treatment"].unique().to_list() == ["undistorted"]
    assert table["camera_k1"].unique().to_list() == [0.02]
    assert table.group_by("sequence_id").agg(pl.col("split").n_unique())["split"].sum() == 4


def test_a_table_whose_images_are_elsewhere_says_so_and_names_the_option(jzi, folder: Path, town: Path, tmp_path: Path) -> None:
    """The positions exist; only the images are missing."""
    rows = [record(folder, k, fakes.encoded(street(k))) for k in range(12)]
    (tmp_path / "lists").mkdir()
    table = tmp_path / "lists" / "where.csv"
    pl.DataFrame({"file": [r.path.name for r in rows], "lat": [r.lat for r in rows],
                  "lon": [r.lon for r in rows]}).write_csv(table)
    code, out, err = jzi("photos", "import", table, tmp_path / "data", "--map", town, *SMALL)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {table}: 12 of its images were not found, and no photo is left (12 missing file). "
                          f"The first: {rows[0].path.name}: ")
    assert err.endswith("Give the folder of the images with --images.\n")
    assert "no photo with a position" not in err
    assert jzi("photos", "import", table, tmp_path / "data", "--map", town, *SMALL, "--images", folder)[0] == 0


@pytest.mark.parametrize(("words", "wanted"), [
    (("--split", "street"), "--split: "), (("--val-share", 0), "--val-share: "), (("--quality", 101), "--quality: "),
    (("--guard-m", 5), "--guard-m: it has no effect with"), (("--block-m", 5), "--block-m: it has no effect with"),
    (("--pixels", 1), "--pixels: "), (("--camera", "round"), "--camera: 'round' does not describe a camera"),
    (("--camera", "fisheye,x"), "--camera: 'fisheye,x' holds"), (("--columns", "lat"), "--columns: 'lat' is not a list"),
    (("--keep-blurred", "--min-sharpness", 1), "--keep-blurred: "), (("--kind", "film"), "--kind: "),
    (("--views-per-panorama", 0), "--views-per-panorama: ")])
def test_wrong_options(jzi, folder: Path, town: Path, tmp_path: Path, words: tuple[object, ...], wanted: str) -> None:
    code, out, err = jzi("photos", "import", folder, tmp_path / "data", "--map", town, *words)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {wanted}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["walk"]


def test_off_the_map(jzi, shared: Path, town: Path, tmp_path: Path) -> None:
    """The real walk in Lund, off this map; then on a map made around it."""
    lund = shared / "data" / "lund"
    code, out, err = jzi("photos", "import", lund, tmp_path / "data", "--map", town)
    assert (code, out) == (1, "")
    assert "none of its 6 photos is on the map: 6 are outside the region, the nearest 662 km away from it" in err
    there = fakes.make_repository(tmp_path / "lund", lat=55.6982, lon=13.1952, crs="epsg:32633", train=1, val=1, pixels=32)
    shutil.rmtree(there / "metadata")
    words = ("--map", there, "--pixels", 32, "--license", "BSD-2-Clause")
    code, out, err = jzi("photos", "import", lund, tmp_path / "data", *words)
    assert (code, err) == (0, "")
    assert "dropped" not in out
    assert jzi("data", "verify", tmp_path / "data")[0] == 0
