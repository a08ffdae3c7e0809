"""`jzi localize`: positions for people, for programs and for maps; photos that cannot be used."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Jzi

from fakes import encoded, make_repository, picture, tiny_model, with_exif
from justzoomin.apps.shared import console
from justzoomin.apps.shared.console import metres, percent
from justzoomin.geometry import haversine_m
from justzoomin.search import Localizer


def test_for_people(jzi: Jzi, photos: Path, model: Path, repository: Path) -> None:
    ran = jzi("localize", photos / "b.jpg", "--model", model, "--map", repository)
    assert (ran.code, ran.err) == (0, "")
    fix = Localizer.load(model, repository, device="cpu").localize(photos / "b.jpg")
    lat, lon, path = f"{fix.lat:.6f}", f"{fix.lon:.6f}", ",".join(map(str, fix.sequence))
    short = [str(photos / "b.jpg"), f"  {lat} {lon}   90 % within {metres(fix.radius_90_m)}",
             f"  https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=18/{lat}/{lon}",
             f"  {percent(fix.expected)} within 40 m (not calibrated: the model has no calibration)"]
    assert ran.out.splitlines() == short
    for option in ("--verbose", "-v"):
        more = jzi("localize", photos / "b.jpg", "--model", model, "--map", repository, option)
        assert (more.code, more.err) == (0, "")
        lines = more.out.splitlines()
        assert lines[:4] == short
        steps = " ".join(f"{p:.2f}" for p in fix.probabilities)
        assert lines[4].startswith(f"  cell of 25 m: {path}   steps {steps}   50 % within {metres(fix.credible_radius_m)}   ")
        assert lines[5] == f"  geo:{lat},{lon};u={fix.radius_90_m:.0f}"
        assert lines[6].startswith("  90 % in ") and lines[6].endswith("posterior, within:40") and len(lines) == 7


def test_what_is_calibrated_for_the_map_is_said_so(jzi: Jzi, photos: Path, model: Path, tmp_path: Path) -> None:
    """The same model and photo: fitted on this map, or on another one."""
    own, other = (make_repository(tmp_path / str(seed), train=24, val=2, pixels=32, seed=seed) for seed in (0, 9))
    folder, claims = tmp_path / "model", {}
    shutil.copytree(model, folder)
    for name, data in (("elsewhere", other), ("itself", own)):
        assert jzi("calibrate", folder, "--data", data, "--split", "train").code == 0
        claims[name] = jzi("localize", photos / "b.jpg", "--model", folder, "--map", own).out.splitlines()[3]
    assert claims["elsewhere"].endswith("(not calibrated: the model's calibration is for another map)")
    assert claims["itself"].endswith("% within 40 m (calibrated)") or "does not look like" in claims["itself"]


def test_many_views_before_the_first_photo_are_said(jzi: Jzi, photos: Path, model: Path, repository: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_MANY_VIEWS", 17)
    words = ("localize", photos / "b.jpg", "--model", model, "--map", repository, "--search")
    assert jzi(*words, "greedy").err == ""
    assert "the posterior needs 17 views" in jzi(*words, "posterior").err


def test_for_programs_photos_that_fail_do_not_stop_the_others(jzi: Jzi, photos: Path, unusable: Path, model: Path,
                                                              repository: Path, tmp_path: Path) -> None:
    empty, missing = tmp_path / "empty", tmp_path / "none.jpg"
    empty.mkdir()
    ran = jzi("localize", empty, unusable, missing, photos, "--model", model, "--map", repository, "--json")
    assert (ran.code, ran.err) == (1, "")
    bad = ("empty.jpg", "huge.png", "one.png", "text.jpg", "truncated.jpg", "wide.png")
    names = [str(empty), *(str(unusable / name) for name in bad), str(missing), str(photos / "a.PNG"), str(photos / "b.jpg")]
    assert [row["photo"] for row in ran.json] == names
    for row in ran.json[:-2]:
        assert set(row) == {"photo", "error"}
        assert row["error"].startswith(row["photo"] + ": ")
    for row in ran.json[-2:]:
        assert {"photo", "lat", "lon", "sequence", "probabilities", "cell_size_m"} <= set(row)
        assert 54 < row["lat"] < 55
        assert 2 < row["lon"] < 4
        assert len(row["sequence"]) == len(row["probabilities"]) == 2


def test_errors_for_people_go_to_standard_error(jzi: Jzi, photos: Path, unusable: Path, model: Path, repository: Path) -> None:
    ran = jzi("localize", unusable / "text.jpg", photos, "--model", model, "--map", repository)
    assert ran.code == 1
    assert ran.err == (f"error: {unusable / 'text.jpg'}: it cannot be read as an image: it looks like a text. "
                       "Give a JPEG or PNG photo.\n")
    assert ran.out.count("90 % within ") == ran.out.count("openstreetmap.org") == 2


def test_geojson_and_figure(jzi: Jzi, photos: Path, unusable: Path, model: Path, credited: Path, tmp_path: Path) -> None:
    points, drawn, package = (tmp_path / "new" / name for name in ("points.geojson", "paths.png", "points.gpkg"))
    ran = jzi("localize", photos / "b.jpg", unusable / "one.png", "--model", model, "--map", credited, "--json",
              "--geojson", points, "--figure", drawn, "--gpkg", package)
    assert ran.code == 1
    good, bad = ran.json
    collection = json.loads(points.read_text())
    point, cell, region = collection["features"]
    assert collection["type"] == "FeatureCollection"
    assert point["geometry"] == {"type": "Point", "coordinates": [good["lon"], good["lat"]]}  # GeoJSON alone: lon first
    assert (cell["geometry"]["type"], region["geometry"]["type"]) == ("Polygon", "MultiPolygon")
    assert region["properties"]["area_m2"] == good["regions"]["90"]
    assert str(drawn) in ran.err
    assert Image.open(drawn).format == "PNG"
    assert sorted(p.name for p in drawn.parent.iterdir()) == ["paths.png", "points.geojson", "points.gpkg"]
    credit = "Survey of \u00c5s & Bj\u00f6rk, CC BY 4.0"
    assert collection["attribution"] == credit
    database = sqlite3.connect(package)
    assert database.execute("SELECT lat, lon FROM answers").fetchall() == [(good["lat"], good["lon"])]
    assert {str(percent): area for percent, area in database.execute("SELECT percent, area_m2 FROM regions")} == good["regions"]
    assert json.loads(database.execute("SELECT metadata FROM gpkg_metadata").fetchone()[0])["rights"] == credit
    assert "error" in bad


def test_searches_and_decisions(jzi: Jzi, photos: Path, model: Path, repository: Path) -> None:
    use = ("localize", photos / "b.jpg", "--model", model, "--map", repository)
    (greedy,), (beam,), (whole,), (auto,), (far,) = (jzi(*use, "--json", *more).json for more in (
        ("--search", "greedy"), ("--search", "beam:1"), ("--search", "posterior"), (), ("--decide", "distance")))
    assert [row["searched"] for row in (greedy, beam, whole, auto, far)] == ["greedy", "beam:1", *3 * ["posterior"]]
    assert [row["decision"] for row in (greedy, beam, whole, auto, far)] == ["top", "top", "within:40", "within:40", "distance"]
    assert (greedy["sequence"], greedy["lat"]) == (beam["sequence"], beam["lat"])
    assert greedy["regions"] is None
    assert {**auto, "seconds": 0} == {**whole, "seconds": 0}
    printed = jzi(*use, "--decide", "within:55").out.splitlines()
    assert "% within 55 m (not calibrated" in printed[-1]
    printed = jzi(*use, "--verbose").out.splitlines()
    assert "90 % in " in printed[-1]
    assert f"most probable cell {','.join(map(str, whole['top_cells'][0]['sequence']))} (" in printed[-1]
    assert "m off on average" in jzi(*use, "--decide", "distance").out
    assert "% in this cell" in jzi(*use, "--search", "posterior", "--decide", "top").out
    assert "90 % in" not in jzi(*use, "--search", "greedy", "--verbose").out
    assert "beam:K" in jzi(*use, "--search", "best").refusal()
    assert "within:METRES" in jzi(*use, "--decide", "best").refusal()
    assert "a decision needs the whole posterior" in jzi(*use, "--search", "greedy", "--decide", "distance").refusal()


def test_priors(jzi: Jzi, photos: Path, model: Path, repository: Path) -> None:
    use = ("localize", photos / "b.jpg", "--model", model, "--map", repository)
    free, near = jzi(*use, "--json").json[0], jzi(*use, "--json", "--prior-circle", "54.501,3.001,30").json[0]
    assert free["prior"] is None
    assert "within 30 m" in near["prior"]
    assert haversine_m(near["lat"], near["lon"], 54.501, 3.001) < 50
    assert near["entropy_bits"] < free["entropy_bits"]
    assert "rules out every cell" in jzi(*use, "--prior-circle", "0,0,30").err
    assert "a prior needs" in jzi(*use, "--search", "greedy", "--prior-circle", "54.5,3,30").refusal()


def test_heat_maps(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    use = ("localize", photos / "b.jpg", "--model", model, "--map", repository)
    raster, drawn = tmp_path / "new" / "heat.TIF", tmp_path / "heat.png"
    ran = jzi(*use, "--heatmap", raster)
    assert (ran.code, str(raster) in ran.err) == (0, True)
    with rasterio.open(raster) as file:
        assert file.crs.to_epsg() == 32631
        values = file.read(1)
        assert np.nansum(values.astype(float)) * file.transform.a**2 == pytest.approx(1.0, abs=0.02)
    assert jzi(*use, "--search", "greedy", "--heatmap", drawn).code == 0
    assert Image.open(drawn).format == "PNG"
    assert "there are 2 photos" in jzi("localize", photos, *use[2:], "--heatmap", drawn).refusal()
    assert ".gif" in jzi(*use, "--heatmap", tmp_path / "x.gif").refusal()
    assert "--heatmap" in jzi(*use, "--heatmap", tmp_path).refusal()
    assert "--heatmap" in jzi(*use, "--out", tmp_path / "x.csv", "--heatmap", drawn).refusal()


def test_no_figure_of_nothing(jzi: Jzi, unusable: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "paths.png"
    ran = jzi("localize", unusable / "text.jpg", "--model", model, "--map", repository, "--figure", drawn)
    assert ran.code == 1
    assert "so the figure" in ran.err
    assert not drawn.exists()


def test_exif_turns_the_photo_and_never_places_it(jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    image = picture(160, 90, 3)
    (tmp_path / "here.jpg").write_bytes(with_exif(image, 1, (54.5, 3.0)))
    (tmp_path / "there.jpg").write_bytes(with_exif(image, 1, (-33.9, 151.2)))
    (tmp_path / "turned.jpg").write_bytes(with_exif(image[::-1, ::-1], 3))
    here, there, turned = jzi("localize", tmp_path, "--model", model, "--map", repository, "--json").json
    for key in ("lat", "lon", "sequence", "probabilities"):
        assert here[key] == there[key]
    assert turned["probabilities"] == pytest.approx(here["probabilities"], abs=5e-3)


def test_refusals_come_before_the_work(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    use = ("localize", photos, "--model", model, "--map", repository)
    (tmp_path / "file").write_text("")
    assert "--geojson" in jzi(*use, "--geojson", tmp_path).refusal()
    assert "--figure" in jzi(*use, "--figure", tmp_path / "file" / "x.png").refusal()
    assert ".gif" in jzi(*use, "--figure", tmp_path / "x.gif").refusal()
    assert "Presets: dc" in jzi(*use, "--region", "nope").refusal()
    assert "device 'foo'" in jzi(*use, "--device", "foo").refusal()


def test_models_and_maps_that_do_not_fit(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    other = tiny_model(grid=3).save_pretrained(tmp_path / "three")
    assert "3 x 3" in jzi("localize", photos, "--model", other, "--map", repository).refusal()
    assert "no such model folder" in jzi("localize", photos, "--model", tmp_path / "none", "--map", repository).refusal()
    assert "config.json" in jzi("localize", photos, "--model", photos, "--map", repository).refusal()
    assert "layout.yaml" in jzi("localize", photos, "--model", model, "--map", photos).refusal()
    deeper = make_repository(tmp_path / "deeper", depth=3, train=1, val=1, pixels=32)
    ran = jzi("localize", photos, "--model", model, "--map", deeper, "--json")
    assert ran.code == 0
    assert ran.err.startswith("warning: the model was not trained on this depth")
    assert [len(row["sequence"]) for row in ran.json] == [3, 3]


def test_a_read_only_map(jzi: Jzi, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = make_repository(tmp_path / "map", train=1, val=1, pixels=32)
    before = sorted(root.rglob("*"))
    folders = [root, *(p for p in before if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert jzi("localize", photos, "--model", model, "--map", root).code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_photo_with_a_name_like_markup(jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    photo = tmp_path / "[red]ä b.jpg"
    photo.write_bytes(encoded(picture(64, 48)))
    assert str(photo) in jzi("localize", photo, "--model", model, "--map", repository).out
    assert jzi("localize", photo, "--model", model, "--map", repository, "--json").json[0]["photo"] == str(photo)


def test_real_photos(jzi: Jzi, shared: Path, tmp_path: Path) -> None:
    """Photos off the benchmark, turned by EXIF, with an EXIF position, on the real map: an answer for each."""
    from justzoomin.geometry import preset

    model = tiny_model(pixels=64).save_pretrained(tmp_path / "model", preset("dc"))
    data = shared / "data"
    ran = jzi("localize", data / "exif", data / "lund" / "01.jpg", *sorted((data / "photos").iterdir())[:1],
              "--model", model, "--map", data / "dc-mini", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.json) == 5
    assert all(38.84 < row["lat"] < 38.94 and -77.05 < row["lon"] < -76.93 for row in ran.json)


def test_an_exported_encoder_gives_the_same_answers(jzi: Jzi, photos: Path, model: Path, repository: Path,
                                                   tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    use = ("localize", photos, "--model", model, "--map", repository, "--json", "--search", "greedy")
    assert "jzi export MODEL" in jzi(*use, "--runtime", "onnx").refusal()
    assert "--format" in jzi("export", model, "--format", "coreml").refusal()
    file = tmp_path / "exported" / "encoder.onnx"
    ran = jzi("export", model, "--out", file.parent)
    assert (ran.code, ran.err) == (0, "") and file.is_file() and f"--runtime {file}" in ran.out
    ours, torchs = jzi(*use, "--runtime", file).json, jzi(*use).json
    assert [row["sequence"] for row in ours] == [row["sequence"] for row in torchs] and len(ours) == 2
    for a, b in zip(ours, torchs, strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-4) and a["model"] == b["model"]
    assert "cuda" in jzi(*use, "--runtime", file, "--device", "cuda").refusal()


@pytest.mark.parametrize(("share", "said"), [(0.0002, "0.02 %"), (0.09, "9 %"), (0.734, "73 %"), (0.9987, "99.9 %"),
                                             (1.0, "100 %")])
def test_shares_are_said_for_people(share: float, said: str) -> None:
    assert percent(share) == said
