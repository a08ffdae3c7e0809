"""Laws of the zoom grid, anywhere on earth."""

import csv
import json
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from justzoomin.errors import GeometryError, OffRegionError
from justzoomin.geometry import Region, ZoomGrid, format_sequence, from_local, haversine_m, parse_sequence, preset, to_local

DC = preset("dc")
UNIT = st.floats(-0.4999, 0.4999)


@st.composite
def grids(draw):
    """Grids of any size and depth, near the poles and across the antimeridian too."""
    size = 10 ** draw(st.floats(1.0, 4.5))
    lat = draw(st.one_of(st.floats(-88.5, 88.5), st.sampled_from([0.0, 54.5, 80.0, 88.6, -88.6])))
    lon = draw(st.one_of(st.floats(-180, 180), st.sampled_from([180.0, -180.0, 179.9999, -179.9999, 0.0])))
    east, north = draw(st.floats(-5000, 5000)), draw(st.floats(-5000, 5000))
    try:
        return ZoomGrid(Region(lat, lon, (east, east + size), (north, north + size)),
                        draw(st.integers(2, 8)), draw(st.integers(1, 5)))
    except GeometryError as refused:
        assert refused.remedy and refused.what
        assume(False)
        raise


def inside(grid, u, v):
    """Positions at shares (u, v) of the region's edge, east and north of its centre."""
    size = grid.region.size_m
    return from_local(*grid.region.centre, np.asarray(u) * size, np.asarray(v) * size)


@settings(max_examples=150, deadline=None)
@given(grids(), st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8))
def test_the_cell_of_a_position_contains_it(grid, shares):
    lat, lon = inside(grid, *zip(*shares, strict=True))
    sequences = grid.encode(lat, lon)
    assert sequences.shape == (len(shares), grid.depth)
    for level in range(grid.depth + 1):
        east, north = to_local(*grid.centres(sequences[:, :level]), lat, lon)
        assert max(np.abs(east).max(), np.abs(north).max()) <= grid.cell_size_m(level) / 2 + grid.sliver_m + 1e-6


@settings(max_examples=150, deadline=None)
@given(grids(), st.integers(0, 2**62))
def test_the_centre_of_a_cell_encodes_to_its_sequence(grid, number):
    sequence = grid.unflatten(number % grid.actions**grid.depth, grid.depth)
    assert grid.encode(*grid.centres(sequence)).tolist() == sequence.tolist()
    assert grid.flatten(sequence)[0] == number % grid.actions**grid.depth
    cell = grid.cell(sequence[0])
    assert cell.centre == pytest.approx([float(a[0]) for a in grid.centres(sequence)], abs=1e-12)
    assert cell.size_m == pytest.approx(grid.region.size_m / grid.grid**grid.depth)


@settings(max_examples=60, deadline=None)
@given(grids())
def test_corners_are_where_their_names_say(grid):
    nw, ne, se, sw = grid.cell([0]).corners
    east, north = to_local(*grid.cell([0]).centre, *np.array([nw, ne, se, sw]).T)
    half = grid.cell_size_m(1) / 2
    assert np.allclose(east, [-half, half, half, -half], atol=1e-4)
    assert np.allclose(north, [half, half, -half, -half], atol=1e-4)
    last = grid.actions - 1
    assert grid.cell([0]).centre.lat > grid.cell([last]).centre.lat  # row 0 is the north
    west = to_local(*grid.region.centre, *grid.cell([0]).centre)[0]
    assert west < to_local(*grid.region.centre, *grid.cell([grid.grid - 1]).centre)[0]  # column 0 is the west


@settings(max_examples=60, deadline=None)
@given(grids(), st.floats(0.502, 20), st.floats(-0.4, 0.4), st.sampled_from(range(4)))
def test_positions_outside_are_never_clamped(grid, far, along, side):
    u, v = [(far, along), (-far, along), (along, far), (along, -far)][side]
    lat, lon = inside(grid, u, v)
    assume(abs(float(lat)) < 90)
    with pytest.raises(OffRegionError) as caught:
        grid.encode(lat, lon)
    assert f"{float(lat):.6f}, {float(lon):.6f}" in str(caught.value) and caught.value.remedy
    sequences, mask = grid.encode_masked(lat, lon)
    assert not mask[0] and (sequences == -1).all()


def test_a_mask_keeps_the_good_ones():
    sequences, mask = DC.encode_masked([38.908513, 54.5, 38.913548], [-76.940898, 3.0, -76.932969])
    assert mask.tolist() == [True, False, True]
    assert sequences.tolist() == [[7, 6, 6, 5], [-1] * 4, [7, 3, 6, 15]]


def test_swapped_latitude_and_longitude_are_named():
    place = ZoomGrid(Region(54.5, 3.0, (-200, 200), (-200, 200)))
    with pytest.raises(OffRegionError, match="swapped"):
        place.encode(3.0, 54.5)
    with pytest.raises(OffRegionError, match="swapped"):
        DC.encode(-76.940898, 38.908513)
    with pytest.raises(OffRegionError) as caught:
        DC.encode([38.9, 38.9], [-76.95, 3.0])
    assert "swapped" not in str(caught.value) and "1 of 2" in str(caught.value)


@pytest.mark.parametrize("position", [(np.nan, 0.0), (0.0, np.inf), (90.1, 0.0), (38.9, 361.0)])
def test_what_is_no_position_is_refused(position):
    for call in (DC.encode, DC.encode_masked):
        with pytest.raises(GeometryError, match="not a latitude and longitude"):
            call(*position)


def test_shapes_are_checked():
    with pytest.raises(GeometryError, match="the same length"):
        DC.encode([1.0, 2.0], [1.0])
    with pytest.raises(GeometryError, match="the same length"):
        DC.encode([[38.9]], [[-76.9]])
    assert DC.encode([], []).shape == (0, 4)
    assert DC.centres(np.zeros((3, 0), int))[0].tolist() == [DC.region.centre.lat] * 3


@pytest.mark.parametrize("sequences", [[[16]], [[-1]], [[1.5]], [[float("nan")]], [1, 2], [[[1]]]])
def test_what_is_no_sequence_has_no_centre(sequences):
    with pytest.raises(GeometryError):
        DC.centres(sequences)


@pytest.mark.parametrize("sequence", [[1, 2, 3, 4, 5], [16], [-1], [10**30]])
def test_what_is_no_sequence_has_no_cell(sequence):
    with pytest.raises(GeometryError):
        DC.cell(sequence)


@pytest.mark.parametrize("values", [{"grid": 1}, {"grid": 9}, {"grid": 4.0}, {"grid": True}, {"depth": 0}, {"depth": 2.5},
                                    {"depth": 60}])
def test_impossible_grids_are_refused(values):
    with pytest.raises(GeometryError) as caught:
        ZoomGrid(DC.region, **values)
    assert caught.value.remedy


@pytest.mark.parametrize(("values", "words"), [
    ((91.0, 0.0, (0, 1), (0, 1)), "swapped"),
    ((-120.0, 50.0, (0, 1), (0, 1)), "swapped"),
    ((0.0, 181.0, (0, 1), (0, 1)), "longitude"),
    ((90.0, 0.0, (-100, 100), (-100, 100)), "pole"),
    ((-89.5, 0.0, (-100, 100), (-100, 100)), "pole"),
    ((80.0, 0.0, (-100, 100), (1e6, 1e6 + 200)), "pole"),
    ((0.0, 0.0, (0, 100), (0, 200)), "square"),
    ((0.0, 0.0, (100, 0), (100, 0)), "lower"),
    ((float("nan"), 0.0, (0, 1), (0, 1)), "finite"),
    ((0.0, 0.0, (0, float("inf")), (0, 1)), "finite"),
    ((0.0, 0.0, (0, 1, 2), (0, 1)), "two"),
])
def test_impossible_regions_are_refused_with_words(values, words):
    with pytest.raises(GeometryError, match=words):
        Region(*values)


def test_charts_that_disagree_too_much_are_refused():
    with pytest.raises(GeometryError, match="disagree"):
        ZoomGrid(Region(80.0, 10.0, (-50_000, 50_000), (-50_000, 50_000)), 4, 5)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 8), st.integers(1, 4), st.integers(0, 2**30))
def test_flat_numbers_and_sequences_are_the_same(grid, depth, seed):
    zoom = ZoomGrid(Region(10.0, 20.0, (0, 5000), (0, 5000)), grid, depth)
    numbers = np.random.default_rng(seed).integers(0, zoom.actions**depth, 20)
    sequences = zoom.unflatten(numbers, depth)
    assert zoom.flatten(sequences).tolist() == numbers.tolist()
    assert sequences.min() >= 0 and sequences.max() < zoom.actions


@given(st.lists(st.integers(0, 63), max_size=6))
def test_sequences_are_written_and_read(sequence):
    assert parse_sequence(format_sequence(sequence)) == tuple(sequence)
    assert parse_sequence(str(sequence)) == tuple(sequence)
    assert parse_sequence(f" {format_sequence(np.array(sequence, int))} ") == tuple(sequence)


@pytest.mark.parametrize("text", ["7,,6", "a", "7;6", "7,6,", "[7,6", "7.0,6", "1_0,2", "9" * 30, "(7,6)", "٣"])
def test_what_is_no_sequence_is_not_read(text):
    with pytest.raises(GeometryError, match="not a list of actions"):
        parse_sequence(text)


def test_many_positions_come_out_as_each_alone():
    rng = np.random.default_rng(5)
    lat, lon = inside(DC, *rng.uniform(-0.5, 0.4999, (2, 200_000)))
    sequences = DC.encode(lat, lon)
    for k in range(0, 200_000, 997):
        assert DC.encode(lat[k], lon[k])[0].tolist() == sequences[k].tolist()
    centre = DC.centres(sequences)
    assert haversine_m(*centre, lat, lon).max() < DC.cell_size_m(4) * 0.7072 + DC.sliver_m


def test_depth_beyond_the_tables_is_the_same_arithmetic():
    fine = ZoomGrid(Region(2.0, 5.0, (-5000, 5000), (-5000, 5000)), 8, 5)  # its last levels are beyond any table
    coarse = ZoomGrid(fine.region, 8, 3)
    lat, lon = inside(fine, *np.random.default_rng(1).uniform(-0.49, 0.49, (2, 500)))
    assert (fine.encode(lat, lon)[:, :3] == coarse.encode(lat, lon)).all()


def test_grids_are_values():
    again = pickle.loads(pickle.dumps(DC))
    assert again == DC and hash(again) == hash(DC) and again.encode(38.908513, -76.940898).tolist() == [[7, 6, 6, 5]]


def test_every_published_row_is_exact(shared):
    with (shared / "data" / "published_rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    found = DC.encode([float(r["latitude"]) for r in rows], [float(r["longitude"]) for r in rows])
    assert found.tolist() == [json.loads(r["sequence"]) for r in rows]
