"""Sessions: a photo, corrections, undo and redo, and what is kept."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from justzoomin.data import Frame, framed_photo, open_dataset, stated_camera
from justzoomin.errors import ConfigError, GeometryError, PhotoError
from justzoomin.geometry import from_local, haversine_m
from justzoomin.posterior import Circle, HeadingPrior, Not, apply, apply_heading
from justzoomin.search import HeadingSource, Localizer
from justzoomin.service import (
    ConflictError,
    Session,
    Sessions,
    UnknownSessionError,
    corrections_from_json,
    read_corrections,
    thumbnail_of,
    top_places,
)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("sessions") / "town", pixels=32, depth=3, grid=3, train=1,
                                              val=2, lat=47.0, lon=8.0, crs="epsg:32632"))


@pytest.fixture(scope="module")
def localizer(town):
    model = fakes.tiny_matching_model(grid=3)
    with torch.no_grad():
        model.matcher.log_scale.fill_(3.0)
    return Localizer(model, town.map)


@pytest.fixture(scope="module")
def photo(town):
    return town.photos.read(town.split("val").image_ids[1])


def circle(grid, east: float, north: float, radius_m: float, here: bool = False) -> dict[str, object]:
    lat, lon = from_local(*grid.region.centre, east, north)
    return {"kind": "circle", "lat": float(lat), "lon": float(lon), "radius_m": radius_m, "here": here}


def correct(session: Session, *values: dict[str, object]) -> Session:
    for one in corrections_from_json(list(values)):
        session.correct(one)
    return session


def without_time(state: dict[str, object]) -> dict[str, object]:
    fix = {**state["fix"], "seconds": 0.0}
    return {**state, "fix": fix, "version": 0, "id": ""}


@pytest.fixture
def session(localizer, photo):
    return Session(localizer, photo, "a.jpg")


def test_without_corrections_the_fix_is_that_of_the_localizer(localizer, session, photo):
    fix = localizer.localize(photo)
    assert dataclasses.replace(session.opinion.fix, seconds=0.0) == dataclasses.replace(fix, seconds=0.0, photo="a.jpg")
    np.testing.assert_array_equal(session.opinion.posterior.log_probs, localizer.localize_posterior(photo).log_probs)


def test_a_session_knows_what_its_localizer_knows(localizer, photo):
    lat, lon = localizer.grid.region.centre
    told = localizer.asking(prior=Circle(lat, lon, 150.0), headings=HeadingSource(HeadingPrior(90.0)), decision="distance")
    found = Session(told, photo, "a.jpg").opinion.fix
    assert dataclasses.replace(found, seconds=0.0) == dataclasses.replace(told.localize(photo), seconds=0.0, photo="a.jpg")
    both = correct(Session(told, photo, "a.jpg"), circle(localizer.grid, 0, 0, 20.0)).opinion.fix
    assert both.prior == f"{told.prior} and not within 20 m of {lat:.6f}, {lon:.6f}"


def test_a_search_along_paths_is_replaced_by_the_posterior(town, photo):
    paths = Localizer(fakes.tiny_model(grid=3), town.map, search="greedy")
    session = Session(paths, photo, "a.jpg")
    same = paths.asking(search="posterior").localize(photo)
    assert dataclasses.replace(session.opinion.fix, seconds=0.0) == dataclasses.replace(same, seconds=0.0, photo="a.jpg")
    with pytest.raises(ConfigError, match="which way"):
        correct(session, {"kind": "heading", "deg": 90.0})
    with pytest.raises(ConfigError, match="squeezes"):
        correct(session, {"kind": "camera", "fov_deg": 70.0})
    assert session.state()["corrections"] == []


def test_ruled_out_cells_have_no_mass_and_the_rest_sums_to_one(localizer, session):
    cells, before = session.opinion.posterior.lattice, session.opinion.posterior.probs
    correct(session, circle(localizer.grid, 30.0, 10.0, 60.0), {"kind": "cell", "sequence": [2], "here": False})
    found = session.opinion.posterior.probs
    inside = np.hypot(cells.east_m - 30.0, cells.north_m - 10.0) < 60.0 - cells.cell_m
    assert inside.any() and not found[inside].any() and before[inside].all()
    assert not found[2 * 81:3 * 81].any() and before[2 * 81:3 * 81].all()
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    correct(session, {"kind": "cell", "sequence": [4, 1], "here": True})
    found = session.opinion.posterior.probs
    assert found[4 * 81 + 9:4 * 81 + 18].sum() == pytest.approx(1.0, abs=1e-12)
    left = before[4 * 81 + 9:4 * 81 + 18] * np.exp(Not(Circle(*from_centre(localizer, 30.0, 10.0), 60.0)).log_weights(
        localizer.grid))[4 * 81 + 9:4 * 81 + 18]
    np.testing.assert_allclose(found[4 * 81 + 9:4 * 81 + 18], left / left.sum(), atol=1e-6)


def from_centre(localizer, east: float, north: float) -> tuple[float, float]:
    return tuple(float(v) for v in from_local(*localizer.grid.region.centre, east, north))


def test_corrections_of_places_commute_with_each_other_and_with_a_heading(localizer, photo):
    three = [circle(localizer.grid, -40.0, 0.0, 50.0), {"kind": "heading", "deg": 200.0, "sigma_deg": 30.0},
             {"kind": "cell", "sequence": [0], "here": False}]
    one, other = (correct(Session(localizer, photo, "a"), *order).opinion for order in (three, three[::-1]))
    np.testing.assert_allclose(one.posterior.probs, other.posterior.probs, atol=1e-12)
    assert one.fix.heading_deg == pytest.approx(other.fix.heading_deg)


def test_the_last_heading_counts(localizer, session, photo):
    correct(session, {"kind": "heading", "deg": 10.0}, {"kind": "heading", "deg": -90.0, "sigma_deg": 25.0})
    expected = apply_heading(localizer.localize_posterior(photo), HeadingPrior(270.0, 25.0))
    np.testing.assert_allclose(session.opinion.posterior.log_probs, expected.log_probs, atol=1e-9)
    assert session.opinion.fix.heading_prior.startswith("270 degrees, sigma 25")


def test_undo_then_redo_changes_nothing_and_a_new_correction_ends_redoing(localizer, session):
    states = [without_time(session.state())]
    steps = [circle(localizer.grid, 0.0, 0.0, 30.0), {"kind": "heading", "deg": 90.0}, {"kind": "cell", "sequence": [8],
                                                                                       "here": False}]
    for step in steps:
        states.append(without_time(correct(session, step).state()))
    versions = {session.opinion.version}
    for expected in states[-2::-1]:
        session.undo()
        versions.add(session.opinion.version)
        assert without_time(session.state()) == {**expected, "can_redo": True}
    with pytest.raises(ConflictError, match="undo"):
        session.undo()
    for k, expected in enumerate(states[1:], 1):
        session.redo()
        versions.add(session.opinion.version)
        assert without_time(session.state()) == {**expected, "can_redo": k < 3}
    assert len(versions) == 7  # none is used again, so that a picture may be kept by its version
    session.undo()
    correct(session, circle(localizer.grid, 0.0, 0.0, 10.0))
    with pytest.raises(ConflictError, match="redo"):
        session.redo()


def test_what_rules_everything_out_is_refused_and_changes_nothing(localizer, session):
    correct(session, {"kind": "cell", "sequence": [4], "here": True})
    before = session.state()
    for wrong, error in (({"kind": "cell", "sequence": [4], "here": False}, ConflictError),
                         ({"kind": "cell", "sequence": [3], "here": True}, ConflictError),
                         (circle(localizer.grid, 0.0, 0.0, 1e5), ConflictError),
                         (circle(localizer.grid, 1e4, 0.0, 10.0, here=True), GeometryError),
                         ({"kind": "cell", "sequence": [9], "here": True}, GeometryError),
                         ({"kind": "cell", "sequence": [0, 0, 0, 0], "here": True}, GeometryError),
                         ({"kind": "cell", "lat": 0.0, "lon": 0.0, "level": 1, "here": True}, GeometryError)):
        with pytest.raises(error):
            correct(session, wrong)
        assert session.state() == before


def test_the_state(localizer, session):
    correct(session, {"kind": "cell", "lat": localizer.grid.region.centre.lat, "lon": localizer.grid.region.centre.lon,
                      "level": 2, "here": False})
    state = json.loads(json.dumps(session.state(), allow_nan=False))
    assert state["corrections"] == [{"kind": "cell", "sequence": [4, 4], "here": False, "words": "not in the cell 4,4"}]
    assert (state["can_undo"], state["can_redo"]) == (True, False)
    assert state["photo"] == {"name": "a.jpg", "width": 160, "height": 90}
    posterior = session.opinion.posterior
    for level, best in enumerate(state["levels"], 1):
        assert best["level"] == level and len(best["sequence"]) == level
        masses = posterior.at_level(level)
        assert best["probability"] == masses.max() == masses[localizer.grid.flatten([best["sequence"]])[0]]
        cell = localizer.grid.cell(best["sequence"])
        west, south, east, north = best["bounds"]
        assert west < cell.centre.lon < east and south < cell.centre.lat < north
        assert haversine_m(south, west, south, east) == pytest.approx(cell.size_m, rel=1e-3)
    again = read_corrections(state["link"])
    assert without_time(Session(localizer, fakes.encoded(fakes.picture(160, 90)), "a.jpg", again).state())[
        "corrections"] == state["corrections"]


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), sharp=st.floats(0.5, 40.0))
def test_places_are_distinct_and_count_mass_once(localizer, seed, sharp):
    from justzoomin.posterior import Posterior

    grid = localizer.grid
    posterior = Posterior.of(grid, np.random.default_rng(seed).normal(0.0, sharp, grid.actions**grid.depth))
    best = tuple(grid.unflatten(posterior.probs.argmax(), grid.depth)[0].tolist())
    places = top_places(posterior, best)
    probs = [place["probability"] for place in places]
    assert probs == sorted(probs, reverse=True) and 0 < sum(probs) <= 1 + 1e-9 and len(places) <= 8
    for k, one in enumerate(places):
        assert all(haversine_m(one["lat"], one["lon"], other["lat"], other["lon"]) > 59.0 for other in places[:k])
    first = next(place for place in places if tuple(place["sequence"]) == best)
    assert first["probability"] >= posterior.probs.max()


def test_a_photo_is_not_kept_and_its_thumbnail_says_nothing_of_its_place(localizer):
    data = fakes.with_exif(fakes.picture(1500, 900, 3), orientation=6, gps=(47.0, 8.0))
    session = Session(localizer, data, "a.jpg")
    thumbnail = session.thumbnail
    assert (thumbnail.width, thumbnail.height) == (614, 1024)
    assert b"Exif" in data and b"Exif" not in thumbnail.jpeg
    assert not any(value is data for value in vars(session).values())
    assert session._plain[0].pair.numel() == 0
    with pytest.raises(PhotoError, match=r"b\.jpg"):
        Session(localizer, data[:300], "b.jpg")
    small = thumbnail_of(fakes.encoded(fakes.picture(40, 30)))
    assert (small.width, small.height) == (40, 30)


def test_limits_of_number_memory_and_time(localizer, photo):
    clock = [0.0]
    size = Session(localizer, photo, "a").held_bytes
    assert size > 729 * (72 + 26)
    sessions = Sessions(localizer, keep=3, idle_s=100.0, now=lambda: clock[0])
    made = [sessions.create(photo, str(k)).id for k in range(4)]
    assert len(set(made)) == 4 and min(map(len, made)) >= 20 and len(sessions) == 3
    with pytest.raises(UnknownSessionError, match=r"Drop the photo again\."):
        sessions.get(made[0])
    clock[0] = 60.0
    assert sessions.get(made[1]).name == "1"
    clock[0] = 120.0
    sessions.sweep()
    assert len(sessions) == 1 and sessions.held_bytes == sessions.get(made[1]).held_bytes
    sessions.remove(made[1])
    with pytest.raises(UnknownSessionError):
        sessions.remove(made[1])
    small = Sessions(localizer, max_bytes=2 * size + size // 2)
    for _ in range(5):
        small.create(photo, "a")
    assert len(small) == 2
    with pytest.raises(ConfigError, match="limit for all sessions"):
        Sessions(localizer, max_bytes=size // 2).create(photo, "a")


def test_a_corrected_field_of_view_is_used(town, photo):
    plain = fakes.tiny_matching_model(grid=3)
    model = type(plain)(plain.config.model_copy(update={"photo_fit": "crop"}), pretrained=False, seed=3).eval()
    localizer = Localizer(model, town.map)
    session = Session(localizer, photo, "a.jpg")
    before = without_time(session.state())
    correct(session, {"kind": "camera", "fov_deg": 50.0}, {"kind": "camera", "fov_deg": 100.0})
    assert session.opinion.fix.camera.startswith("field of view 100 degrees (corrected)")
    assert without_time(session.state())["fix"] != before["fix"]
    session.undo()
    session.undo()
    assert without_time(session.state()) == {**before, "can_redo": True}
    session.redo()
    assert session.opinion.fix.camera.startswith("field of view 50 degrees (corrected)")


@pytest.mark.parametrize("fov", [40.0, 75.0, 110.0])
def test_a_thumbnail_shows_a_field_of_view_as_the_photo_does(fov):
    data = fakes.encoded(fakes.picture(1600, 900, 5), quality=95)
    photo, thumbnail = (framed_photo(one, "a", 128, "scaled", Frame("crop", 75.0), stated_camera(fov)).pixels.astype(float)
                        for one in (data, thumbnail_of(data).jpeg))
    assert np.abs(photo - thumbnail).mean() < 2.0


def test_with_a_circle_the_posterior_is_that_of_a_prior(localizer, session, photo):
    correct(session, circle(localizer.grid, 10.0, 20.0, 80.0, here=True))
    place = Circle(*(round(v, 7) for v in from_centre(localizer, 10.0, 20.0)), 80.0)
    expected = apply(localizer.localize_posterior(photo), place)
    np.testing.assert_allclose(session.opinion.posterior.log_probs, expected.log_probs, atol=1e-12)
    told = localizer.asking(prior=place).localize(photo)
    found = session.opinion.fix
    assert (found.lat, found.lon) == pytest.approx((told.lat, told.lon), abs=1e-9)
    assert found.prior == told.prior


def test_the_answer_is_never_where_it_was_ruled_out(localizer, session):
    for radius in (3.0, 8.0, 20.0):
        fix = session.opinion.fix
        correct(session, {"kind": "circle", "lat": fix.lat, "lon": fix.lon, "radius_m": radius, "here": False})
        found = session.opinion
        assert found.posterior.probs[localizer.grid.flatten([found.fix.sequence])[0]] > 0
        assert localizer.grid.encode(found.fix.lat, found.fix.lon)[0].tolist() == list(found.fix.sequence)


def test_threads_that_correct_one_session_lose_nothing(localizer, session, photo):
    drawn = [circle(localizer.grid, 20.0 * k - 80.0, 0.0, 12.0) for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: correct(session, one), drawn))
    one_by_one = correct(Session(localizer, photo, "a.jpg"), *drawn)
    assert session.opinion.version == one_by_one.opinion.version == 9
    assert {one.words() for one in session.opinion.corrections} == {one.words() for one in one_by_one.opinion.corrections}
    np.testing.assert_allclose(session.opinion.posterior.probs, one_by_one.opinion.posterior.probs, atol=1e-12)
