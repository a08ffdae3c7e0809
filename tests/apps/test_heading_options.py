"""The command line with headings: what is printed, options that do not fit, lists, drives and evaluations."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from running import Jzi

import fakes
from justzoomin.data import open_dataset
from justzoomin.models import MatcherConfig, ZoomModel

OWN = "{urn:justzoomin:gpx:1}"


@pytest.fixture(scope="module")
def matching(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose matcher answers alone."""
    config = fakes.tiny_model().config.model_copy(update={"matcher": MatcherConfig(
        window_m=64, margin_m=16, reach_m=16, channels=4, ranges=4, headings=4, tried=16, symmetries=1, width=8,
        zoom_weight=0.0)})
    model = ZoomModel(config, pretrained=False, seed=3).eval()
    with torch.no_grad():
        model.matcher.log_scale.fill_(0.0)  # what is known of headings outweighs the photo
    return model.save_pretrained(tmp_path_factory.mktemp("matching") / "model", fakes.grid_of(repository))


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos whose EXIF states times and headings from true, magnetic and no north."""
    folder = tmp_path_factory.mktemp("shots") / "shots"
    folder.mkdir()
    for k, (name, north) in enumerate((("a", "T"), ("b", "M"), ("c", None))):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: f"2024:05:01 10:00:0{k}", 0x9011: "+02:00"})
        exif.get_ifd(0x8825).update({17: 40.0 + k, **({16: north} if north else {})})
        (folder / f"{name}.jpg").write_bytes(fakes.encoded(fakes.picture(160, 90, k), exif=exif))
    return folder


def test_localize_says_where_a_photo_faces(jzi: Jzi, matching: Path, repository: Path, shots: Path) -> None:
    use = ("localize", shots / "a.jpg", "--model", matching, "--map", repository)
    plain = jzi(*use, "--search", "posterior")
    assert "\n  facing " in plain.out and "heading known before" not in plain.out
    told = jzi(*use, "--heading", "120", "--heading-sigma", "10")
    assert "heading known before: 120 degrees, sigma 10, floor 0.05, given" in told.out
    row = jzi(*use, "--heading", "120", "--heading-sigma", "10", "--json").json[0]
    assert abs((row["heading_deg"] - 120 + 180) % 360 - 180) < 20 and row["searched"] == "posterior"
    assert f"facing {row['heading_deg']:.0f} degrees (ESE), plus or minus {row['heading_sigma_deg']:.0f}" in told.out


def test_headings_from_exif_are_used_on_request_and_said(jzi: Jzi, matching: Path, repository: Path, shots: Path) -> None:
    use = ("localize", shots, "--model", matching, "--map", repository, "--json")
    assert [row["heading_prior"] for row in jzi(*use).json] == [None] * 3
    words = [row["heading_prior"] for row in jzi(*use, "--heading-from", "exif").json]
    assert words[0] == "40 degrees, sigma 20, floor 0.05, EXIF GPSImgDirection"
    assert "magnetic north; give --declination" in words[1] and "does not say which north" in words[2]
    words = [row["heading_prior"] for row in jzi(*use, "--heading-from", "exif", "--declination", "-3").json]
    assert words[1].startswith("38 degrees") and "not used" in words[2]


def test_a_list_gives_headings_and_compass_values(jzi: Jzi, matching: Path, repository: Path, shots: Path,
                                                    tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([["photo", "heading", "heading_sigma", "compass"], [shots / "a.jpg", 10, 5, ""],
                                    [shots / "b.jpg", "", "", 200], [shots / "c.jpg", "", "", ""]])
    use = ("localize", listed, "--model", matching, "--map", repository, "--json")
    assert [row["heading_prior"] for row in jzi(*use).json] == ["10 degrees, sigma 5, floor 0.05, listed", None, None]
    told = jzi(*use, "--heading-from", "compass", "--heading", "90", "--heading-sigma", "30").json
    assert [row["heading_prior"] for row in told] == ["10 degrees, sigma 5, floor 0.05, listed",
                                                      "200 degrees, sigma 30, floor 0.05, compass",
                                                      "90 degrees, sigma 30, floor 0.05, given"]
    listed.write_text("photo,heading\na.jpg,north\n")
    assert "row 2, heading: 'north' is not a number" in jzi(*use).out


@pytest.mark.parametrize(("words", "error"), [
    (["--heading", "400"], "--heading 400"), (["--heading", "nan"], "--heading nan"),
    (["--heading", "1", "--heading-sigma", "0"], "--heading-sigma 0"),
    (["--heading-sigma", "10"], "there is no heading"), (["--heading-from", "stars"], "Choose one of: exif, compass"),
    (["--heading-from", "compass"], "no photo has a compass value"), (["--declination", "3"], "--heading-from exif"),
    (["--heading-from", "exif", "--declination", "999"], "--declination 999"),
    (["--heading", "1", "--search", "greedy"], "needs the whole posterior")])
def test_options_that_do_not_fit(jzi: Jzi, matching: Path, repository: Path, shots: Path, words: list[str], error: str) -> None:
    assert error in jzi("localize", shots / "a.jpg", "--model", matching, "--map", repository, *words).refusal()


def test_a_model_without_a_matcher_refuses_headings(jzi: Jzi, model: Path, repository: Path, shots: Path) -> None:
    use = ("localize", shots / "a.jpg", "--model", model, "--map", repository)
    assert "does not say which way a photo faces" in jzi(*use, "--heading", "3").refusal()
    assert "facing" not in jzi(*use, "--search", "posterior").out


def test_track_uses_turns_headings_and_the_way(jzi: Jzi, matching: Path, model: Path, repository: Path, shots: Path,
                                               tmp_path: Path) -> None:
    gpx, points, times = tmp_path / "d.gpx", tmp_path / "d.geojson", tmp_path / "times.csv"
    use = ("track", shots, "--map", repository, "--model")
    plain = jzi(*use, matching, "--json", "--gpx", gpx, "--geojson", points)
    assert plain.code == 0 and all(0 <= row["heading_deg"] < 360 for row in plain.json)
    extensions = [e.text for e in ElementTree.parse(gpx).getroot().iter(f"{OWN}heading_deg")]
    assert [float(text) for text in extensions] == pytest.approx([row["heading_deg"] for row in plain.json], abs=0.06)
    kinds = [f["properties"]["kind"] for f in json.loads(points.read_text())["features"]]
    assert kinds == ["track", *["photo"] * 3, *["heading"] * 3]
    times.write_text("photo,time,east_m,north_m,turn_deg,heading,heading_sigma\n"
                     "a.jpg,2024-05-01T10:00:00Z,,,,90,3\nb.jpg,2024-05-01T10:00:01Z,8,0,0,,\nc.jpg,2024-05-01T10:00:02Z,0,8,-90,,\n")
    told = jzi(*use, matching, "--times", times, "--turn-sigma", "1", "--json").json
    for row, heading in zip(told, (90.0, 90.0, 0.0), strict=True):
        assert abs((row["heading_deg"] - heading + 180) % 360 - 180) < 15 and row["heading_sigma_deg"] < 60
    along = jzi(*use, matching, "--times", times, "--heading-from", "track", "--json").json
    assert abs((along[2]["heading_deg"] + 180) % 360 - 180) < 25
    assert "facing" in jzi(*use, matching, "--times", times).out
    without = jzi(*use, model, "--times", times, "--json")
    assert "its turns and headings are not used" in without.err
    assert {row["heading_deg"] for row in without.json} == {None}
    assert "--heading-from track" in jzi(*use, matching, "--heading-from", "track").refusal()
    times.write_text("photo,time,turn_deg\na.jpg,2024-05-01T10:00:00Z,\nb.jpg,2024-05-01T10:00:01Z,left\nc.jpg,2024-05-01T10:00:02Z,\n")
    assert "row 3, turn_deg" in jzi(*use, matching, "--times", times).refusal()


def test_evaluate_with_a_compass_scores_headings(jzi: Jzi, matching: Path, model: Path, tmp_path: Path) -> None:
    root = fakes.make_repository(tmp_path / "town", train=2, val=6, pixels=32)
    ids = open_dataset(root).split("val").image_ids
    use = ("evaluate", matching, "--data", root, "--json", tmp_path / "r.json")
    compass = ("--heading-from", "compass", "--heading-sigma", "5")
    assert "its tables state no headings" in jzi(*use, *compass).refusal()
    (root / "streetview").mkdir(exist_ok=True)
    (root / "streetview" / "metadata_bearings.csv").write_text(
        "image_id,bearing_deg\n" + "".join(f"{i},{60 * k}\n" for k, i in enumerate(ids)))
    plain = jzi(*use)
    assert "headings of 6 photos: median error" in plain.out
    before = json.loads((tmp_path / "r.json").read_text())["headings"]["median_deg"]["value"]
    told = jzi(*use, *compass, "--predictions", tmp_path / "p.parquet")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["headings"]["median_deg"]["value"] < min(before, 12.0)
    assert "with known headings (bearing_deg with an error of 0 degrees, taken as 5 degrees)" in report["protocol"]["decoding"]
    assert "R@(10 m, 10 deg)" in told.out
    scored = jzi("score", tmp_path / "p.parquet", "--json", tmp_path / "s.json")
    assert "R@(40 m, 20 deg)" in scored.out
    assert json.loads((tmp_path / "s.json").read_text())["headings"] == report["headings"]
    assert np.isfinite(before)
    assert "there is no heading" in jzi(*use, "--heading-noise", "3").refusal()
    other = ("evaluate", model, "--data", root, "--json", tmp_path / "o.json")
    assert "headings of" not in jzi(*other, "--search", "posterior").out
    assert "does not say which way" in jzi(*other, "--search", "posterior", *compass).refusal()
    assert "cannot use what is known of headings" in jzi(*other, *compass).refusal()
