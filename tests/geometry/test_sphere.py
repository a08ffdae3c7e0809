"""Moves and distances on the sphere."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from justzoomin.geometry import EARTH_RADIUS_M, from_local, haversine_m, move, stated_bearings, to_local
from justzoomin.geometry.sphere import wrap_lon

LATS = st.floats(-88.0, 88.0)
LONS = st.floats(-180.0, 180.0)
METRES = st.floats(-20_000.0, 20_000.0)


def test_a_degree_along_the_equator_and_along_a_meridian():
    degree = np.pi * EARTH_RADIUS_M / 180
    assert np.allclose(haversine_m(0, [0, 179.5], [0, 0], [1, -179.5]), degree)
    assert np.isclose(haversine_m(50, 8, 51, 8), degree)
    assert haversine_m(12.5, -7, 12.5, -7) == 0


@given(LATS, LONS, st.floats(0, 360), st.floats(0.01, 50_000))
def test_a_move_goes_as_far_as_it_says_and_back(lat, lon, bearing, distance):
    there = move(lat, lon, bearing, distance)
    assert abs(haversine_m(lat, lon, *there) - distance) < 1e-5 + 1e-9 * distance
    assert -180 <= there[1] < 180 or there[1] == lon
    back = move(lat, lon, bearing, -distance)
    assert abs(haversine_m(*back, *there) - 2 * distance) < 0.02 * distance / max(0.02, np.cos(np.radians(lat)))


@given(LATS, LONS, METRES, METRES)
def test_local_metres_are_a_move_east_then_a_move_north(lat, lon, east, north):
    expected = move(*move(lat, lon, 90.0, east), 0.0, north)
    found = from_local(lat, lon, east, north)
    assert haversine_m(*expected, *found) < 1e-5


@given(LATS, LONS, METRES, METRES)
def test_to_local_inverts_from_local(lat, lon, east, north):
    back = to_local(lat, lon, *from_local(lat, lon, east, north))
    assert np.allclose(back, (east, north), atol=1e-5)


def test_the_other_side_of_the_earth_has_no_local_metres():
    assert np.isinf(to_local(10, 20, 10, -160)).all()
    assert np.isfinite(to_local(10, 179.9, 10, -179.9)).all()


@given(st.floats(-180, 360).filter(lambda v: v != -1))
def test_a_stated_bearing_is_one_within_a_turn(degrees):
    bearing = float(stated_bearings(degrees))
    assert 0 <= bearing < 360 and np.isclose(np.cos(np.radians(bearing - degrees)), 1)


def test_what_is_not_a_bearing():
    assert np.isnan(stated_bearings([-1, -180.5, 360.5, 655.35, -999, np.nan, np.inf])).all()
    assert stated_bearings([0, 359, -90, 360, -1e-20]).tolist() == [0, 359, 270, 0, 0]


@given(st.floats(-360, 360))
def test_longitudes_wrap_into_one_turn(lon):
    wrapped = float(wrap_lon(lon))
    assert -180 <= wrapped < 180
    assert min((wrapped - lon) % 360, (lon - wrapped) % 360) < 1e-9
