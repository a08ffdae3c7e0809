"""Headings in fixes: where they come from, what they are told, and how they are written."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from shapely.geometry import Point, shape

import fakes
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import move
from justzoomin.models import MatcherConfig, ZoomModel
from justzoomin.posterior import Calibration, HeadingPrior, OneMapCalibration, Within, apply_heading, heading_of
from justzoomin.search import ExifHeadings, Fix, HeadingSource, Localizer, heading_along, localize_to_file, wedge


@pytest.fixture(scope="module")
def matching():
    """A tiny model whose matcher answers alone."""
    plain = fakes.tiny_model(grid=3)
    config = plain.config.model_copy(update={"matcher": MatcherConfig(
        metres_per_pixel=1.0, channels=4, ranges=4, nearest_m=3.0, reach_m=20.0, headings=4, tried=16, width=8, window_m=64.0,
        margin_m=16.0, zoom_weight=0.0)})
    model = ZoomModel(config, pretrained=False, seed=3).eval()
    with torch.no_grad():
        model.matcher.log_scale.fill_(3.0)
    return model


@pytest.fixture(scope="module")
def photo(dataset):
    return dataset.photos.read(dataset.split("val").image_ids[1])


def pictured(gps: dict[int, object] | None) -> bytes:
    exif = Image.Exif()
    if gps:
        exif.get_ifd(0x8825).update(gps)
    return fakes.encoded(fakes.picture(96, 54, 4), exif=exif)


def test_a_fix_has_the_heading_of_its_posterior(matching, dataset, photo):
    localizer = Localizer(matching, dataset.map, search="posterior", decision="within:25")
    fix, whole = localizer.localize(photo), localizer.localize_posterior(photo)
    assert whole.headings.shape == (729, 16)
    np.testing.assert_allclose(np.exp(whole.headings).sum(1), 1.0, rtol=1e-5)
    expected = whole.heading(Within(25.0), fix.lat, fix.lon)
    assert (fix.heading_deg, fix.heading_sigma_deg) == pytest.approx(expected[:2], abs=1e-6)
    assert sum(fix.heading_probs) == pytest.approx(1.0) and len(fix.heading_probs) == 16
    assert fix.heading_deg == pytest.approx(heading_of(fix.heading_probs).deg, abs=1e-9)
    assert fix.heading_prior is None
    plain = Localizer(fakes.tiny_model(grid=3), dataset.map, search="posterior").localize(photo)
    assert (plain.heading_deg, plain.heading_sigma_deg, plain.heading_probs) == (None, None, None)


def test_a_calibration_flattens_bearings_too(matching, dataset, photo):
    flat = Calibration(matching.fingerprint(), OneMapCalibration("b" * 64, 100, (1e3,) * 3, (0.0,) * 3, "entropy", -100.0, 0.95,
                                                                 {}))
    own = Localizer(matching, dataset.map, search="posterior").localize_posterior(photo).headings
    found = Localizer(matching, dataset.map, search="posterior", calibration=flat).localize_posterior(photo).headings
    np.testing.assert_allclose(found, own / 1e3 - np.log(np.exp(own / 1e3).sum(1, keepdims=True)), atol=1e-5)


def test_a_known_heading_is_multiplied_in_and_said(matching, dataset, photo):
    alone = Localizer(matching, dataset.map, search="posterior")
    prior = HeadingPrior(250.0, 15.0)
    told = Localizer(matching, dataset.map, headings=HeadingSource(prior))
    assert str(told.search) == "posterior"
    expected = apply_heading(alone.localize_posterior(photo), prior)
    np.testing.assert_allclose(told.localize_posterior(photo).log_probs, expected.log_probs, atol=1e-6)
    fix = told.localize(photo)
    assert fix.heading_prior == "250 degrees, sigma 15, floor 0.05, given"
    assert fix.heading_deg == pytest.approx(expected.heading(told.decision, fix.lat, fix.lon).deg, abs=1e-3)
    even = Localizer(matching, dataset.map, headings=HeadingSource(HeadingPrior(250.0, floor=1.0))).localize(photo)
    unnamed = {"seconds": 0.0, "heading_prior": None}
    assert dataclasses.replace(even, **unnamed) == dataclasses.replace(alone.localize(photo), **unnamed)


def test_a_heading_that_cannot_be_used_is_refused(dataset, matching):
    with pytest.raises(ConfigError, match="does not say which way"):
        Localizer(fakes.tiny_model(grid=3), dataset.map, headings=HeadingSource(HeadingPrior(0.0)))
    with pytest.raises(ConfigError, match="needs the whole posterior"):
        Localizer(matching, dataset.map, search="greedy", headings=HeadingSource(HeadingPrior(0.0)))


@pytest.mark.parametrize(("gps", "declination", "heading", "words"), [
    ({16: "T", 17: 118.5}, None, 118.5, "118.5 degrees, sigma 20, floor 0.05, EXIF GPSImgDirection"),
    ({16: "M", 17: 118.5}, 4.0, 122.5, "EXIF GPSImgDirection, declination 4"),
    ({16: "M", 17: 358.0}, 4.0, 2.0, "declination 4"),
    ({16: "T", 17: 118.5}, 4.0, 118.5, "EXIF GPSImgDirection"),
    ({16: "M", 17: 118.5}, None, None, "not used: EXIF GPSImgDirection refers to magnetic north; give --declination"),
    ({17: 118.5}, 4.0, None, "does not say which north"), ({16: "T", 17: 400.0}, None, None, "GPSImgDirection is 400"),
    ({16: "T"}, None, None, "no GPSImgDirection"), (None, None, None, "no GPSImgDirection")])
def test_headings_in_exif(gps, declination, heading, words):
    found = ExifHeadings(declination_deg=declination).of(pictured(gps))
    assert (None if found.prior is None else found.prior.heading_deg) == (None if heading is None else pytest.approx(heading))
    assert words in found.words


def test_the_nearest_source_of_a_heading_counts(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(pictured({16: "T", 17: 10.0}))
    every, listed = HeadingPrior(1.0), HeadingPrior(2.0)
    assert HeadingSource(every, {str(path): listed}, ExifHeadings()).of(path).prior is listed
    assert HeadingSource(every, {}, ExifHeadings()).of(str(path)).prior.heading_deg == 10.0
    assert HeadingSource(every).of(path).prior is every
    assert HeadingSource(every, {}, ExifHeadings()).of(pictured(None)).prior is every
    assert HeadingSource(None, {"x": listed}).renamed(lambda name: name + "y").stated == {"xy": listed}
    sources = [HeadingSource(every), HeadingSource(listed), HeadingSource(every, {"x": listed}),
               HeadingSource(every, {}, ExifHeadings()), HeadingSource(every, {}, ExifHeadings(declination_deg=1.0))]
    assert len({source.fingerprint for source in sources}) == len(sources)


def test_the_way_gives_a_heading():
    found = heading_along((10.0, 0.0), (0.0, 10.0), 20.0, 0.0)
    assert found.heading_deg == pytest.approx(45.0)
    assert found.sigma_deg == pytest.approx(np.hypot(20.0, np.degrees(np.arctan(1 / np.sqrt(200)))))
    assert heading_along(None, (-5.0, 0.0), 20.0, 0.0).heading_deg == pytest.approx(270.0)
    assert heading_along(None, (0.1, 0.1), 20.0, 0.0) is None
    assert heading_along(None, None, 20.0, 0.0) is None


def test_every_format_holds_headings(matching, dataset, tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(pictured(None))
    localizer = Localizer(matching, dataset.map, headings=HeadingSource(HeadingPrior(30.0)))
    fix = localizer.localize(photo)
    for name in ("f.parquet", "f.jsonl", "f.csv", "f.geojson"):
        localize_to_file(localizer, [photo], tmp_path / name)
    row = pl.read_parquet(tmp_path / "f.parquet").row(0, named=True)
    assert (row["heading_deg"], row["heading_prior"]) == (pytest.approx(fix.heading_deg), fix.heading_prior)
    assert row["heading_probs"] == pytest.approx(list(fix.heading_probs))
    line = json.loads((tmp_path / "f.jsonl").read_text())
    again = Fix.from_dict(line, dataset.grid)
    assert dataclasses.replace(again, seconds=0.0) == dataclasses.replace(fix, seconds=0.0)
    with (tmp_path / "f.csv").open() as file:
        assert [float(v) for v in next(csv.DictReader(file))["heading_probs"].split()] == pytest.approx(list(fix.heading_probs))
    features = json.loads((tmp_path / "f.geojson").read_text())["features"]
    assert [f["properties"]["kind"] for f in features] == ["position", "cell", "region_90", "heading"]
    ahead = move(fix.lat, fix.lon, fix.heading_deg, 20.0)
    assert shape(features[3]["geometry"]).contains(Point(float(ahead[1]), float(ahead[0])))
    older = {k: v for k, v in line.items() if not k.startswith("heading")}
    assert Fix.from_dict(older, dataset.grid) == dataclasses.replace(again, heading_deg=None, heading_sigma_deg=None,
                                                                     heading_probs=None, heading_prior=None)


def test_a_job_with_other_headings_or_of_an_older_version_is_refused(matching, dataset, tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(pictured(None))
    told = [Localizer(matching, dataset.map, headings=HeadingSource(HeadingPrior(heading))) for heading in (30.0, 40.0)]

    def stop(todo):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        localize_to_file(told[0], [photo], tmp_path / "f.jsonl", localize=stop)
    with pytest.raises(DataError, match="the interrupted job differs in headings"):
        localize_to_file(told[1], [photo], tmp_path / "f.jsonl")
    journal = tmp_path / ".f.jsonl.jzi-work" / "journal.jsonl"
    journal.write_text('{"format": "justzoomin-journal/3"}\n')
    with pytest.raises(DataError, match=r"another version of justzoomin wrote it \(justzoomin-journal/3, not"):
        localize_to_file(told[0], [photo], tmp_path / "f.jsonl")


@pytest.mark.parametrize(("lat", "lon", "heading", "sigma"), [
    (54.5, 3.0, 120.0, 15.0), (54.5, 3.0, 0.0, 90.0), (-33.0, 179.9999, 90.0, 30.0), (10.0, -179.9999, 275.0, 20.0),
    (0.0, 0.0, 200.0, 180.0), (-33.0, -180.0, 3.0, 25.0)])
def test_a_wedge_is_closed_and_counter_clockwise_on_either_side_of_180_degrees(lat, lon, heading, sigma):
    found = wedge(lat, lon, heading, sigma)
    polygons = [found["coordinates"]] if found["type"] == "Polygon" else found["coordinates"]
    whole = shape(found)
    assert whole.is_valid
    assert len(polygons) == (2 if abs(lon) > 179.99 else 1)
    for (ring,) in polygons:
        assert ring[0] == ring[-1]
        assert shape({"type": "Polygon", "coordinates": [ring]}).exterior.is_ccw
        assert all(abs(x) <= 180.0 for x, _ in ring)
    for off, inside in ((0.0, True), (0.9, True), (-0.9, True), (1.1, False), (-1.1, False)):
        if abs(off * sigma) < 175:
            at = move(lat, lon, heading + off * sigma, 15.0)
            assert whole.contains(Point(float(at[1]), float(at[0]))) == inside
    square = np.radians(2 * min(sigma, 179.0)) / 2 * 30.0**2
    metre = np.radians(6378137.0) ** 2 * np.cos(np.radians(lat))
    assert whole.area * metre == pytest.approx(square, rel=0.01)


def test_a_path_has_no_heading(matching, dataset, photo):
    assert Localizer(matching, dataset.map, search="greedy").localize(photo).heading_deg is None
