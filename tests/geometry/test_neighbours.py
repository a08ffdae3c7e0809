"""Nearest positions: as exact as comparing every pair, anywhere on the earth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import DataError
from justzoomin.geometry import haversine_m, nearest


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 400), ask=st.integers(1, 60), lat=st.floats(-89, 89),
       lon=st.floats(-180, 180), spread=st.sampled_from([1e-6, 1e-3, 0.1, 20.0]))
def test_as_if_every_pair_were_looked_at(seed: int, count: int, ask: int, lat: float, lon: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    lats = np.clip(lat + spread * rng.standard_normal(count + ask), -90, 90)
    lons = lon + spread * rng.standard_normal(count + ask)
    if seed % 3 == 0:  # many photos of one place
        lats, lons = lats.round(4), lons.round(4)
    which, away = nearest(lats[:ask], lons[:ask], lats[ask:], lons[ask:])
    every = haversine_m(lats[:ask, None], lons[:ask, None], lats[ask:], lons[ask:])
    np.testing.assert_allclose(away, every.min(1), atol=1e-6, rtol=1e-9)
    np.testing.assert_array_equal(away, haversine_m(lats[:ask], lons[:ask], lats[ask:][which], lons[ask:][which]))

def test_across_the_antimeridian() -> None:
    which, away = nearest([0.0], [179.9999], [0.0, 0.0], [-179.9999, 179.0])
    assert which.tolist() == [0]
    assert 20 < away[0] < 25

def test_none_to_look_for() -> None:
    with pytest.raises(DataError, match="Give a split with photos"):
        nearest([1.0], [2.0], [], [])
