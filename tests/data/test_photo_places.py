"""Where training photos were, as a model's record keeps it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from justzoomin.data import PhotoPlaces
from justzoomin.geometry import Region, from_local, haversine_m

REGION = Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0))


def at(east: Any, north: Any) -> tuple[np.ndarray, np.ndarray]:
    centre = REGION.centre
    lat, lon = from_local(centre.lat, centre.lon, np.asarray(east, float), np.asarray(north, float))
    return lat, lon


def test_places_are_near_where_photos_were() -> None:
    rng = np.random.default_rng(0)
    photos = at(rng.uniform(-150, 0, 40), rng.uniform(-150, 150, 40))  # the western half
    asked = at(rng.uniform(-160, 160, 500), rng.uniform(-160, 160, 500))
    found = PhotoPlaces.of(REGION, *photos).near(*asked, 20.0)
    distance = haversine_m(asked[0][:, None], asked[1][:, None], *photos).min(1)
    assert found[distance < 12.0].all() and not found[distance > 28.0].any()  # a part's centre is within 7.1 m of its photos
    assert found.any() and not found[np.asarray(asked[1]) > photos[1].max() + 0.001].any()


def test_the_picture_is_north_up() -> None:
    places = PhotoPlaces.of(REGION, *at([-155.0, 155.0], [155.0, -135.0]))
    assert places.there.shape == (32, 32)
    assert np.argwhere(places.there).tolist() == [[0, 0], [29, 31]]


def test_records_come_back_and_are_small() -> None:
    rng = np.random.default_rng(0)
    places = PhotoPlaces.of(REGION, *at(rng.uniform(-160, 160, 300), rng.uniform(-160, 160, 300)))
    values = json.loads(json.dumps(places.to_dict()))
    found = PhotoPlaces.from_dict(values)
    assert found is not None and (found.lat, found.lon, found.cell_m) == (places.lat, places.lon, 10.0)
    np.testing.assert_array_equal(found.there, places.there)
    assert len(values["bits"]) < 200
    city = Region(54.5, 3.0, (-5000.0, 5000.0), (-5000.0, 5000.0))
    streets = at(np.repeat(np.arange(-5000, 5000, 100), 1000), np.tile(np.arange(-5000, 5000, 10), 100))
    assert len(json.dumps(PhotoPlaces.of(city, *streets).to_dict())) < 1 << 16


@pytest.mark.parametrize("change", [
    {"side": 0}, {"side": 33}, {"side": 1 << 20}, {"side": "32"}, {"bits": "!"}, {"bits": "AAAA"}, {"bits": 3}, {"lat": "x"},
    {"lat": 91.0}, {"cell_m": 0}, {"lon": None}])
def test_other_values_are_not_places(change: dict[str, Any]) -> None:
    values = PhotoPlaces.of(REGION, *at([0.0], [0.0])).to_dict()
    assert PhotoPlaces.from_dict(values) is not None
    assert PhotoPlaces.from_dict({**values, **change}) is None


def test_no_record_is_no_places() -> None:
    assert PhotoPlaces.from_dict(None) is None and PhotoPlaces.from_dict([]) is None and PhotoPlaces.from_dict({}) is None
    assert not PhotoPlaces.of(REGION, *at([], [])).near(*at([0.0], [0.0]), 20.0).any()
