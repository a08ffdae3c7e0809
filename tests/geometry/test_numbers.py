"""Numbers of cells and sequences are one to one."""

import numpy as np
import pytest

from justzoomin.geometry import Region, ZoomGrid, view_count, view_number, view_numbers, view_sequence


@pytest.mark.parametrize(("grid", "depth"), [(2, 4), (4, 3), (3, 1)])
def test_numbers_and_sequences_are_one_to_one(grid, depth):
    zoom = ZoomGrid(Region(54.5, 3.0, (-500, 500), (-500, 500)), grid, depth)
    sequences = [view_sequence(zoom, n) for n in range(view_count(zoom))]
    assert len(set(sequences)) == len(sequences) and {len(s) for s in sequences} == set(range(depth))
    assert [view_number(zoom, s) for s in sequences] == list(range(len(sequences)))
    assert sequences == sorted(sequences, key=lambda s: (len(s), s))  # level by level, then as flatten has it


def test_numbers_of_a_path_are_those_of_its_beginnings():
    zoom = ZoomGrid(Region(54.5, 3.0, (-500, 500), (-500, 500)), 4, 4)
    paths = np.random.default_rng(0).integers(0, 16, (50, 4))
    numbers = view_numbers(zoom, paths)
    assert numbers.tolist() == [[view_number(zoom, p[:k]) for k in range(4)] for p in paths.tolist()]
    first = [0, 1, 17, 273]
    assert all((numbers[:, k] - first[k]).tolist() == zoom.flatten(paths[:, :k]).tolist() for k in range(4))
    assert view_numbers(zoom, paths[:0]).shape == (0, 4)
