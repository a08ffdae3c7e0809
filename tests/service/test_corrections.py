"""Corrections as values, as JSON and in links; whatever a client sends."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import ConfigError, GeometryError, JustZoomInError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.service import corrections_from_json, corrections_link, read_corrections

GRID = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)

lats, lons, here = st.floats(-90.0, 90.0), st.floats(-180.0, 180.0), st.booleans()
corner = st.tuples(lons, lats).map(list)
ring = st.lists(corner, min_size=3, max_size=6).map(lambda corners: [*corners, corners[0]])
geometry = st.one_of(
    st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": st.lists(ring, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"type": st.just("MultiPolygon"),
                           "coordinates": st.lists(st.lists(ring, min_size=1, max_size=2), min_size=1, max_size=2)}))
corrections = st.lists(st.one_of(
    st.fixed_dictionaries({"kind": st.just("cell"), "sequence": st.lists(st.integers(0, 15), min_size=1, max_size=4),
                           "here": here}),
    st.fixed_dictionaries({"kind": st.just("cell"), "lat": lats, "lon": lons, "level": st.integers(1, 9), "here": here}),
    st.fixed_dictionaries({"kind": st.just("circle"), "lat": lats, "lon": lons, "radius_m": st.floats(0.1, 1e6), "here": here}),
    st.fixed_dictionaries({"kind": st.just("polygon"), "geometry": geometry, "here": here}),
    st.fixed_dictionaries({"kind": st.just("heading"), "deg": st.floats(-180.0, 360.0), "sigma_deg": st.floats(1.0, 180.0)}),
    st.fixed_dictionaries({"kind": st.just("camera"), "fov_deg": st.one_of(st.floats(0.5, 179.0), st.just(360.0))})),
    max_size=5)


@settings(max_examples=60)
@given(corrections)
def test_corrections_survive_json_and_links(values):
    said = corrections_from_json(values)
    plain = [one.to_dict() for one in said]
    assert corrections_from_json(json.loads(json.dumps(plain))) == said
    assert read_corrections(json.dumps(plain)) == said
    assert corrections_from_json([{**one.to_dict(), "words": one.words()} for one in said]) == said
    link = corrections_link(said)
    if link is not None:
        assert read_corrections(link) == said and link.isascii() and len(link) <= 4000
    for value, one in zip(values, said, strict=True):
        assert one.kind == value["kind"] and one.words()
        if "lat" in value:
            assert abs(one.lat - value["lat"]) <= 1e-7


def test_a_link_that_would_be_too_long_is_left_out():
    rng = np.random.default_rng(0)
    corners = rng.uniform(-80, 80, (400, 2)).tolist()
    said = corrections_from_json([{"kind": "polygon", "here": True,
                                   "geometry": {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}}])
    assert corrections_link(said) is None and corrections_link([]) == "" and read_corrections("") == []


@settings(max_examples=40)
@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
                    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(
                        ["kind", "lat", "lon", "level", "sequence", "geometry", "type", "coordinates", "here", "deg"]), inner,
                        max_size=4)), max_leaves=8))
def test_any_json_is_refused_in_words_or_read(value):
    try:
        assert isinstance(corrections_from_json(value), list)
    except JustZoomInError as error:
        assert error.where and error.what and error.remedy


@given(st.text(max_size=80))
def test_any_text_is_refused_in_words_or_read(text):
    try:
        assert read_corrections(text) == []
    except ConfigError as error:
        assert error.where.startswith("corrections")


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


@pytest.mark.parametrize("text", [
    packed(b"[" + b" " * (2 << 20) + b"]"), packed(b"[" * 100_000), packed(b"\xff"), packed(b"{}"), packed(b"[]")[:-3],
    "A" * 5000,
    "[NaN]", "[" + "1," * 600_000 + "1]", json.dumps([{"kind": "heading", "deg": 1}] * 101),
    json.dumps([{"kind": "polygon", "here": True, "geometry": {"type": "MultiPolygon", "coordinates": [
        [[[0, 0], [1, 0], [1, 1], [0, 0]]]] * 21}}]),
    json.dumps([{"kind": "polygon", "here": True, "geometry": {"type": "Polygon", "coordinates": [
        [[0, 0], *[[1, 1]] * 5000, [0, 0]]]}}])])
def test_hostile_corrections(text):
    with pytest.raises(ConfigError):
        read_corrections(text)


def test_a_geometry_that_is_nested_too_deeply():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ConfigError):
        corrections_from_json([{"kind": "polygon", "here": True, "geometry": {"type": "Polygon", "coordinates": deep}}])


def test_a_cell_by_a_position():
    lat, lon = GRID.cell((5, 3, 2)).centre
    [said] = corrections_from_json([{"kind": "cell", "lat": lat, "lon": lon, "level": 2, "here": False}])
    assert said.on(GRID).sequence == (5, 3)
    for level, at, error in ((4, lat, "no level 4"), (1, 0.0, "outside the region")):
        [said] = corrections_from_json([{"kind": "cell", "lat": at, "lon": lon, "level": level, "here": False}])
        with pytest.raises(GeometryError, match=error):
            said.on(GRID)
