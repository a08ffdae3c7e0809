"""From a photo's file to a Fix."""

import dataclasses
import itertools
import json
import math
import os
import warnings

import numpy as np
import pytest
import torch

import fakes
from justzoomin.errors import JustZoomInError, ModelError, PhotoError
from justzoomin.geometry import Region, ZoomGrid, haversine_m, save_grid
from justzoomin.maps import Map
from justzoomin.search import (
    Fix,
    Localizer,
    NotTrainedHereWarning,
    build_index,
    check_fits,
    credible_radius_m,
    greedy,
    read_photo,
)
from justzoomin.search import photo_loading as module


@pytest.fixture(scope="session")
def localizer(model, dataset):
    return Localizer(model, dataset.map, search="greedy")


@pytest.fixture
def photo(dataset, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(dataset.photos.read(dataset.split("val").image_ids[0]))
    return path


def test_the_views_of_a_posterior_are_counted_before_the_first_photo(localizer, model, dataset, tmp_path):
    assert localizer.views_ahead == 0
    assert Localizer(model, dataset.map, search="posterior").views_ahead == 91
    build_index(model, dataset.map, tmp_path / "i")
    assert Localizer(model, dataset.map, index=tmp_path / "i", search="posterior").views_ahead == 0


def answer(fix):
    return fix.lat, fix.lon, fix.sequence, fix.probabilities


def test_a_fix_says_where_and_how(localizer, photo, dataset, model, vectors, pairs):
    fix = localizer.localize(photo)
    expected = greedy(model, model.encode_photos(pairs[:1]), vectors, 3)
    assert list(fix.sequence) == expected.sequences[0].tolist()
    assert fix.probabilities == pytest.approx(expected.probabilities[0].tolist(), abs=1e-5)
    assert fix.position == dataset.grid.cell(fix.sequence).centre and fix.cell.size_m == fix.cell_size_m
    assert fix.cell_size_m == pytest.approx(400 / 27) and fix.photo == str(photo) and fix.no_data == (0.0, 0.0, 0.0)
    assert fix.map_hash == dataset.map.fingerprint() and fix.model_hash == model.fingerprint() and fix.seconds > 0


def test_bytes_and_paths_are_the_same_photo(localizer, photo):
    assert answer(localizer.localize(photo)) == answer(localizer.localize(str(photo)))
    fix = localizer.localize(photo.read_bytes())
    assert answer(fix) == answer(localizer.localize(photo)) and fix.photo is None


def test_the_three_lines(model, repository, photo, tmp_path, localizer):
    folder = model.save_pretrained(tmp_path / "model")
    fix = Localizer.load(folder, repository, device="cpu", search="greedy").localize(str(photo))
    assert answer(fix) == answer(localizer.localize(photo))


def vector_of(localizer, data):
    return localizer.encode(localizer.load_photo(data).pair.unsqueeze(0))


def test_orientation_is_respected_and_the_exif_position_never_used(localizer):
    picture = fakes.picture(160, 90, seed=4)
    plain = localizer.localize(fakes.with_exif(picture, 1))
    for gps in ((54.5, 3.0), (54.4999, 2.9999), (-33.0, 151.0)):
        assert answer(localizer.localize(fakes.with_exif(picture, 1, gps))) == answer(plain)
    upside_down = localizer.localize(fakes.with_exif(picture[::-1, ::-1], 3))
    assert upside_down.probabilities == pytest.approx(plain.probabilities, abs=5e-3)
    with torch.inference_mode():
        vector = vector_of(localizer, fakes.with_exif(picture, 1))
        turned = vector_of(localizer, fakes.with_exif(np.rot90(picture, 1), 6))  # 6: turn right to see it upright
        wrong = vector_of(localizer, fakes.with_exif(np.rot90(picture, 1), 1))
    assert (vector - turned).norm() < 0.2 * (vector - wrong).norm()


def test_the_rest_go_on_after_a_photo_that_cannot_be_used(localizer, photo, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photo.read_bytes()[:900])
    results = list(localizer.localize_many([bad, photo, tmp_path / "none.jpg", tmp_path, str(photo)]))
    assert [isinstance(r, JustZoomInError) for r in results] == [True, False, True, True, False]
    assert [str(bad) in str(results[0]), "none.jpg" in str(results[2])] == [True, True]
    assert answer(results[1]) == answer(results[4])


def test_files_that_are_no_photos(tmp_path, monkeypatch):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    for path, words in ((empty, "0 bytes"), (tmp_path, "not a file"), (tmp_path / "none.jpg", "cannot be read")):
        with pytest.raises(PhotoError, match=words):
            read_photo(path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(PhotoError, match="not a file"):
        read_photo(pipe)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    empty.write_bytes(b"x" * 11)
    with pytest.raises(PhotoError, match="11 bytes"):
        read_photo(empty)


def test_a_model_on_a_grid_of_another_size_is_refused(model, dataset):
    with pytest.raises(ModelError, match="3 x 3"):
        Localizer(model, dataset.map, ZoomGrid(dataset.grid.region, 4, 2))


def test_another_place_or_depth_warns_and_works(dataset, photo):
    model = fakes.tiny_model(grid=3)
    region = dataset.grid.region
    model.grid = dataset.grid
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_fits(model, dataset.grid)
        check_fits(fakes.tiny_model(grid=3), dataset.grid)  # nobody knows where it was trained
    with pytest.warns(NotTrainedHereWarning, match="this depth"):
        deeper = Localizer(model, dataset.map, ZoomGrid(region, 3, 2))
    assert len(deeper.localize(photo).sequence) == 2
    elsewhere = ZoomGrid(Region(region.reference_lat, region.reference_lon, (-100, 150), (-100, 150)), 3, 2)
    with pytest.warns(NotTrainedHereWarning, match="this region"):
        assert Localizer(model, dataset.map, elsewhere).localize(photo).cell_size_m == pytest.approx(250 / 9)


def test_a_grid_from_a_file(repository, dataset, model, photo, tmp_path):
    grid = ZoomGrid(dataset.grid.region, 3, 1)
    path = save_grid(grid, tmp_path / "region.yaml")
    from justzoomin.geometry import load_grid

    fix = Localizer(model, Map.open(repository, grid=load_grid(path))).localize(photo)
    assert fix.grid == grid and fix.cell_size_m == pytest.approx(400 / 3)


def test_plain_values_and_geojson(localizer, photo, dataset):
    fix = localizer.localize(photo)
    values = json.loads(json.dumps(fix.to_dict()))
    assert {"photo", "lat", "lon", "sequence", "probabilities", "cell_size_m"} <= values.keys()
    point, cell = json.loads(json.dumps(fix.to_geojson()))
    assert point["geometry"] == {"type": "Point", "coordinates": [fix.lon, fix.lat]}
    ring = cell["geometry"]["coordinates"][0]
    assert len(ring) == 5 and ring[0] == ring[-1] and len({tuple(c) for c in ring}) == 4
    assert all(haversine_m(lat, lon, fix.lat, fix.lon) < fix.cell_size_m * 0.72 for lon, lat in ring)
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
    assert area > 0  # counter-clockwise, as the format asks
    assert "lat" not in point["properties"] and point["properties"]["sequence"] == list(fix.sequence)


def test_a_cell_across_the_antimeridian_is_cut_in_two(localizer, photo):
    grid = ZoomGrid(Region(0.0, 180.0, (-200, 200), (-200, 200)), 3, 1)
    fix = dataclasses.replace(localizer.localize(photo), grid=grid, sequence=(4,), lat=0.0, lon=-180.0)
    geometry = fix.to_geojson()[1]["geometry"]
    assert geometry["type"] == "MultiPolygon"
    for (ring,), low, high in zip(geometry["coordinates"], (179.999, -180.0), (180.0, -179.999), strict=True):
        lons = [lon for lon, _ in ring]
        assert min(lons) == pytest.approx(low, abs=0.001) and max(lons) == pytest.approx(high, abs=0.001)
        assert min(lons) < max(lons) and ring[0] == ring[-1]


@pytest.mark.parametrize(("probabilities", "level"), [
    ((0.4, 1.0, 1.0), 0), ((0.5, 0.9, 1.0), 1), ((0.9, 0.9, 0.5), 2), ((0.9, 0.9, 0.9), 3), ((1.0, 0.49, 1.0), 1)])
def test_the_credible_radius_reaches_round_the_smallest_cell_that_holds_half(dataset, probabilities, level):
    assert credible_radius_m(dataset.grid, probabilities) == pytest.approx(400 / 3**level / math.sqrt(2))


def test_a_fix_is_a_value(localizer, photo):
    fix = localizer.localize(photo)
    assert isinstance(fix, Fix)
    with pytest.raises(AttributeError):
        fix.lat = 0.0


@pytest.mark.parametrize("name", ["01.jpg", "03.jpg"])
def test_real_photos_run_through(localizer, shared, name):
    fix = localizer.localize(shared / "data" / "lund" / name)
    assert len(fix.sequence) == 3 and all(0 < p <= 1 for p in fix.probabilities)
