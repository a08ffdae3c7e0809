"""Districts: what differs between them, what grows with the area, and that a town without them is what it was."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from justzoomin.city import CityConfig, build_world
from justzoomin.city.districts import DISTRICT_M, SPECIAL_M2, DistrictLayout, Districts
from justzoomin.city.streets import lay_streets


def plan(seed: int, half_m: float):
    districts = Districts(seed, half_m)
    return districts, lay_streets(np.random.default_rng([seed, 1]), DistrictLayout(np.random.default_rng(seed), districts))


def fingerprint(world) -> str:
    parts = (world.mesh.corners, world.mesh.parts, world.canvas.kind, world.canvas.rgb, world.taken)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_special_blocks_are_in_proportion_to_the_area():
    counts = {}
    for half in (200.0, 400.0, 800.0):
        districts, streets = plan(3, half)
        counts[half] = Counter(districts.kinds(streets.blocks))
        for kind in ("park", "square", "sports", "allotments", "grove"):  # the kinds that no district has by itself
            assert abs(counts[half][kind] - (2 * half) ** 2 / SPECIAL_M2[kind]) < 1
    assert counts[800.0]["park"] >= 15 * counts[200.0]["park"] - 15
    assert counts[800.0]["estate"] > counts[400.0]["estate"]


def test_a_district_is_as_large_in_a_large_town():
    for half in (400.0, 1300.0):
        inside = sum(np.abs(district.middle).max() < half for district in Districts(1, half).all)
        assert (2 * half) ** 2 / inside == pytest.approx(DISTRICT_M**2, rel=0.25)


def test_two_districts_differ_and_a_seed_repeats_them():
    first, again, other = Districts(1, 400.0), Districts(1, 400.0), Districts(2, 400.0)
    styles = [district.style for district in first.all]
    assert len(set(styles)) == len(styles)
    assert styles == [district.style for district in again.all] != [district.style for district in other.all]
    assert len({style.species for style in styles}) > 2 and np.std([style.trees for style in styles]) > 0.2


def test_streets_are_long_enough_and_blocks_do_not_fold():
    _, streets = plan(5, 700.0)
    assert min(edge.length_m for edge in streets.edges) > 25.0
    assert {len(block.sides) for block in streets.blocks} == {4, 6}
    assert {edge.kind for edge in streets.edges} == {"main", "side", "lane", "canal"}
    area = 0.0
    for block in streets.blocks:
        x, y = block.polygon.T
        own = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
        assert own > 900.0  # counter-clockwise
        area += own
    assert area > 1400.0**2 * 0.97  # no hole where two blocks became one


def test_a_town_with_districts_is_the_same_again():
    first, again = build_world(4, 90.0, True), build_world(4, 90.0, True)
    assert fingerprint(first) == fingerprint(again) != fingerprint(build_world(4, 90.0))


def test_a_town_without_is_what_it_was(small_world):
    """Trained models and frozen sets depend on it."""
    assert fingerprint(small_world) == "3b6181d7ce908f08c8b285df9e88a55336fc69d46b1ca5e2a3f0209f8d20887b"


def test_the_setting_is_explicit():
    assert [CityConfig(size_m=size).districts for size in (320.0, 640.0, 641.0)] == [False, False, True]
    assert not CityConfig(size_m=1280.0, districts=False).districts
    assert CityConfig(districts=True).model_dump()["districts"] is True
