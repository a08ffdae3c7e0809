"""Very many photos into a file: every format, order, failures apart, and jobs that are cut off."""

import csv
import json
import sqlite3

import polars as pl
import pytest
import shapely
from pyproj import CRS

from justzoomin.data import read_noted_parquet
from justzoomin.errors import ConfigError, DataError, PhotoError
from justzoomin.posterior import Circle
from justzoomin.search import Fix, Localizer, localize_to_file


@pytest.fixture(scope="session", params=["greedy", "posterior"])
def localizer(request, model, dataset):
    return Localizer(model, dataset.map, search=request.param)


@pytest.fixture
def photos(dataset, tmp_path):
    """Seven files, of which the third is not a photo and the sixth is missing."""
    data = [dataset.photos.read(i) for i in dataset.split("val").image_ids]
    paths = [tmp_path / "photos" / f"{k} ä.jpg" for k in range(7)]
    paths[0].parent.mkdir()
    for k, path in enumerate(paths):
        if k != 5:
            path.write_bytes(b"no photo" if k == 2 else data[k % len(data)])
    return paths


def plain(fix):
    return {k: v for k, v in fix.to_dict().items() if k != "seconds"}


def rows_of(path):
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lists = {"sequence": int, "probabilities": float, "no_data": float, "region_90": int}
    words = {"photo", "map", "model", "searched", "decision", "not_calibrated"}

    def value(key, text):
        if key in words:
            return text
        if key in lists:
            return [lists[key](v) for v in text.split()] or None
        return {"": None, "True": True, "False": False}[text] if text in {"", "True", "False"} else json.loads(text)

    return [{k: value(k, text) for k, text in r.items()} for r in rows]


def close(value):
    """A plain value whose numbers are compared as those of another batch of photos."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-4, abs=1e-5)
    if isinstance(value, dict):
        return {k: close(v) for k, v in value.items()}
    return [close(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_row_for_each_photo_and_failures_apart(localizer, photos, tmp_path, suffix):
    out = tmp_path / "new" / f"fixes{suffix}"
    calls = []
    report = localize_to_file(localizer, [*photos, photos[0]], out, batch_size=3, progress=lambda *now: calls.append(now))
    assert (report.localized, report.failed, report.resumed, report.out) == (5, 2, 0, out)
    good = [p for k, p in enumerate(photos) if k not in {2, 5}]
    found = rows_of(out)
    assert [row["photo"] for row in found] == [str(p) for p in good]
    for row, path in zip(found, good, strict=True):
        alone = plain(localizer.localize(path))
        assert {k: row[k] for k in alone} == close(alone)
        assert row.keys() == alone.keys() | {"seconds"} | ({"geometry"} if suffix == ".parquet" else set())
    with report.failures.open(newline="", encoding="utf-8") as file:
        failed = list(csv.DictReader(file))
    assert [row["photo"] for row in failed] == [str(photos[2]), str(photos[5])]
    assert "cannot be read as an image" in failed[0]["error"]
    assert calls[0] == (0, 0, 7) and calls[-1] == (7, 0, 7)
    assert {p.name for p in out.parent.iterdir()} == {f"{out.name}.failed.csv", out.name}


def test_geojson_is_what_single_fixes_give(localizer, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(localizer.map, "attribution", 'Survey "\u00c5s"')
    out = tmp_path / "fixes.geojson"
    localize_to_file(localizer, photos[:2], out)
    collection = json.loads(out.read_text())
    assert collection["type"] == "FeatureCollection" and collection["attribution"] == 'Survey "\u00c5s"'
    assert len(collection["features"]) == (4 if str(localizer.search) == "greedy" else 6)
    fixes = [localizer.localize(p) for p in photos[:2]]
    wanted = [f["geometry"] for fix in fixes for f in json.loads(json.dumps(fix.to_geojson()))]
    for feature, geometry in zip(collection["features"], wanted, strict=True):
        assert feature["geometry"] == close(geometry)


def test_parquet_is_geoparquet(localizer, photos, tmp_path, monkeypatch):
    """Read without a library for it, and by ours that distrusts files; the credit of the map is there."""
    monkeypatch.setattr(localizer.map, "attribution", "Survey \u00c5s")
    out = tmp_path / "fixes.parquet"
    localize_to_file(localizer, photos[:2], out)
    table, note = read_noted_parquet(out, "geo")
    geo, points = json.loads(note), shapely.from_wkb(table["geometry"].to_list())
    assert shapely.get_coordinates(points).tolist() == [list(row) for row in table.select("lon", "lat").rows()]
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], geo["primary_column"], column["encoding"], column["geometry_types"]) == (
        "1.1.0", "geometry", "WKB", ["Point"])
    assert CRS.from_json_dict(column["crs"]) == CRS("OGC:CRS84")
    assert column["bbox"] == shapely.total_bounds(points).tolist()
    assert pl.read_parquet_metadata(out)["attribution"] == "Survey \u00c5s"


def test_geopandas_reads_the_parquet_as_points(localizer, photos, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    pytest.importorskip("pyarrow")
    out = tmp_path / "fixes.parquet"
    localize_to_file(localizer, photos[:2], out)
    found = geopandas.read_parquet(out)
    assert found.crs == "OGC:CRS84"
    assert (list(found.geometry.x), list(found.geometry.y)) == (list(found["lon"]), list(found["lat"]))


def test_a_geopackage_of_a_job_has_all_regions(localizer, photos, tmp_path):
    """Of an interrupted job too: the journal keeps the cells of the regions."""
    out = tmp_path / "fixes.gpkg"
    broken_off(localizer, photos[:2], out, 1)
    assert localize_to_file(localizer, photos[:2], out).resumed == 1
    database = sqlite3.connect(out)
    assert database.execute("SELECT photo FROM answers").fetchall() == [(str(photo),) for photo in photos[:2]]
    fixes = [localizer.localize(photo) for photo in photos[:2]]
    wanted = [(str(fix.photo), percent, pytest.approx(area, rel=1e-6)) for fix in fixes
              for percent, area in sorted((fix.regions or {}).items(), reverse=True)]
    assert len(wanted) == (0 if str(localizer.search) == "greedy" else 6)
    assert database.execute("SELECT photo, percent, area_m2 FROM regions").fetchall() == wanted


class StopError(RuntimeError):
    pass


def broken_off(localizer, photos, out, after):
    """A job that ends at once after so many photos, as a killed one does."""
    def some(todo):
        for number, result in enumerate(localizer.localize_many(todo, 2)):
            if number == after:
                raise StopError
            yield result

    with pytest.raises(StopError):
        localize_to_file(localizer, photos, out, localize=some)


def test_an_interrupted_job_goes_on_and_gives_the_same(localizer, photos, tmp_path):
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    localize_to_file(localizer, photos, whole)
    broken_off(localizer, photos, parts, 4)
    assert not parts.exists()
    journal = tmp_path / ".parts.jsonl.jzi-work" / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"photo": "cut o')  # what a crash leaves of a line
    asked = []

    def spy(todo):
        asked.extend(todo)
        return localizer.localize_many(todo)

    report = localize_to_file(localizer, photos, parts, localize=spy)
    assert report.resumed == 3 and asked == [photos[2], *photos[4:]]  # what failed is tried again
    for row, other in zip(rows_of(parts), rows_of(whole), strict=True):
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)  # batches of other photos
        assert {k: row[k] for k in ("photo", "sequence", "lat")} == {k: other[k] for k in ("photo", "sequence", "lat")}
    assert not journal.parent.exists()


@pytest.mark.parametrize("links", [True, False])
def test_an_output_that_appears_meanwhile_is_not_overwritten(localizer, photos, tmp_path, monkeypatch, links):
    out = tmp_path / "fixes.jsonl"

    def late(todo):
        yield from localizer.localize_many(todo)
        out.write_text("somebody's")

    if not links:
        monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "Operation not permitted")))
    with pytest.raises((DataError, OSError)) as told:
        localize_to_file(localizer, photos, out, localize=late)
    assert out.read_text() == "somebody's"
    assert "a file of this name appeared while the job ran. Move it away and run the same command again" in str(told.value)
    out.unlink()
    again = localize_to_file(localizer, photos, out)
    assert again.resumed == again.localized and len(rows_of(out)) == again.localized


def test_photos_that_changed_since_or_are_not_asked_for_any_more(localizer, photos, tmp_path):
    out = tmp_path / "fixes.jsonl"
    broken_off(localizer, photos, out, 4)
    photos[0].write_bytes(photos[3].read_bytes())
    report = localize_to_file(localizer, [photos[3], photos[0]], out)
    assert report.resumed == 1
    found = rows_of(out)
    assert [row["photo"] for row in found] == [str(photos[3]), str(photos[0])] and found[0]["sequence"] == found[1]["sequence"]


def test_a_job_of_another_model_is_not_gone_on_with(localizer, photos, dataset, tmp_path):
    import fakes

    out = tmp_path / "fixes.csv"
    broken_off(localizer, photos, out, 2)
    with pytest.raises(DataError, match="differs in model"):
        localize_to_file(Localizer(fakes.tiny_model(grid=3, seed=5), dataset.map), photos, out)
    other = "posterior" if str(localizer.search) == "greedy" else "greedy"
    with pytest.raises(DataError, match="differs in search and decision"):
        localize_to_file(Localizer(localizer.model, dataset.map, search=other), photos, out)
    if other == "greedy":
        with pytest.raises(DataError, match="differs in decision"):
            localize_to_file(Localizer(localizer.model, dataset.map, search="posterior", decision="top"), photos, out)
        known = Localizer(localizer.model, dataset.map, prior=Circle(54.5, 3.0, 100.0))
        with pytest.raises(DataError, match="differs in prior"):
            localize_to_file(known, photos, out)
    (tmp_path / ".fixes.csv.jzi-work" / "journal.jsonl").write_text("hello\n")
    with pytest.raises(DataError, match="not the journal"):
        localize_to_file(localizer, photos, out)


def test_refusals(localizer, photos, tmp_path):
    with pytest.raises(ConfigError, match=r"\.parquet, \.jsonl, \.geojson, \.csv"):
        localize_to_file(localizer, photos, tmp_path / "fixes.txt")
    (tmp_path / "there.csv").touch()
    with pytest.raises(DataError, match="exists"):
        localize_to_file(localizer, photos, tmp_path / "there.csv")
    with pytest.raises(ConfigError, match="no photo was given"):
        localize_to_file(localizer, [], tmp_path / "fixes.csv")
    report = localize_to_file(localizer, photos[2:3], tmp_path / "fixes.csv")
    assert (report.out, report.localized, report.failed) == (None, 0, 1) and not (tmp_path / "fixes.csv").exists()


def test_batches_give_what_single_photos_give_in_order(localizer, photos):
    together = list(localizer.localize_many([str(p) for p in photos], batch_size=3))
    assert [isinstance(r, PhotoError) for r in together] == [False, False, True, False, False, True, False]
    for path, result in zip(photos, together, strict=True):
        if isinstance(result, Fix):
            alone = localizer.localize(path)
            assert plain(result) == close(plain(alone))


def test_a_fix_comes_back_from_its_values(localizer, photos):
    fix = localizer.localize(photos[0])
    assert Fix.from_dict(json.loads(json.dumps(fix.to_dict())), fix.grid) == fix
    assert isinstance(hash(fix), int)


def test_values_from_before_there_were_other_searches_still_read(localizer, photos):
    fix = localizer.localize(photos[0])
    known = ("photo", "lat", "lon", "sequence", "probabilities", "cell_size_m", "credible_radius_m", "no_data", "seconds",
             "map", "model")
    old = {k: v for k, v in fix.to_dict().items() if k in known}
    read = Fix.from_dict(old, fix.grid)
    assert (read.searched, read.decision, read.top_cells, read.regions) == ("greedy", "top", None, None)
    assert read.to_dict() == {**dict.fromkeys(fix.to_dict()), **old, "searched": "greedy", "decision": "top",
                              "calibrated": False}


def test_memory_does_not_grow_with_the_number_of_photos(localizer, photos, monkeypatch):
    alive, most = [0], [0]
    load = localizer.load_photo

    def counted(photo):
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        return load(photo)

    monkeypatch.setattr(localizer, "load_photo", counted)
    for _ in localizer.localize_many([photos[0]] * 100, batch_size=4):
        alive[0] -= 1
    assert most[0] < 40
