"""Labels of a town: kinds, heights and distances that agree with its world, its photos and its map."""

from __future__ import annotations

import numpy as np
import pytest

from justzoomin.city import KINDS, LABELS_FILE, SKY, Router, TownLabels, build_city
from justzoomin.city.labels import COLUMNS, MARGIN_M, PIXEL_M, ROWS
from justzoomin.errors import DataError

ROAD, MARKING, PAVEMENT, BUILDING = (KINDS.index(name) for name in ("road", "marking", "pavement", "building"))


@pytest.fixture(scope="module")
def labels(small_config, small_world):
    return TownLabels.of(small_config, small_world)


def test_cameras_stand_on_ground_that_is_low(labels, small_config, small_world):
    shots = [shot for drive in range(2) for shot in Router(small_world, small_config, "train").shots(drive)][:18]
    half = small_config.size_m / 2
    for shot in shots:
        row = int((half - shot.pose.north_m + MARGIN_M) / PIXEL_M)
        column = int((shot.pose.east_m + half + MARGIN_M) / PIXEL_M)
        assert labels.kinds[row, column] != BUILDING
    kinds, heights = labels.window(0.0, 0.0, small_config.size_m)
    assert kinds.shape == heights.shape == (144, 144)
    assert np.median(heights[kinds == BUILDING]) > 3.0
    assert (heights[np.isin(kinds, (ROAD, MARKING, PAVEMENT))] == 0.0).all()
    assert 0.05 < np.isin(kinds, (ROAD, MARKING)).mean() < 0.6


def test_distances_are_those_of_flat_ground_where_a_photo_shows_the_ground(labels, small_config, small_world):
    shots = [shot for drive in range(2) for shot in Router(small_world, small_config, "train").shots(drive)][:18]
    assert labels.ranges.shape == labels.seen.shape == (18, ROWS, COLUMNS)
    checked = 0
    for shot, ranges, seen in zip(shots, labels.ranges.astype(float), labels.seen, strict=True):
        pose = shot.pose
        below = (np.arange(ROWS) + 0.5) / (ROWS / 2) - 1                       # of half the photo's height
        slope = below * np.tan(np.radians(pose.hfov_deg) / 2) / 2              # a photo is 2 : 1
        column = COLUMNS // 2
        for row in np.flatnonzero(np.isin(seen[:, column], (ROAD, MARKING, PAVEMENT))):
            down = np.arctan(slope[row]) - np.radians(pose.pitch_deg)
            expected = pose.height_m / np.tan(down)
            assert ranges[row, column] == pytest.approx(expected, rel=0.12)   # roll and half a column move it a little
            checked += 1
    assert checked > 20
    assert (np.isinf(labels.ranges) == (labels.seen == SKY)).all()
    assert 0.02 < (labels.seen == SKY).mean() < 0.8


def test_they_are_written_beside_a_town_and_read_again(small_config, small_town, labels, tmp_path):
    town = build_city(tmp_path / "town", small_config, labels=True)
    found = TownLabels.load(town)
    for name in ("kinds", "heights", "ranges", "seen"):
        assert (getattr(found, name) == getattr(labels, name)).all()
    files = {path.name for path in town.iterdir()}
    assert files == {*(path.name for path in small_town.iterdir()), LABELS_FILE}
    (town / LABELS_FILE).unlink()
    assert (TownLabels.load(build_city(town, small_config, labels=True)).seen == labels.seen).all()  # added to a town


def test_wrong_labels_are_refused(labels, tmp_path):
    with pytest.raises(DataError, match="labels cannot be read"):
        TownLabels.load(tmp_path)
    labels.save(tmp_path)
    whole = (tmp_path / LABELS_FILE).read_bytes()
    (tmp_path / LABELS_FILE).write_bytes(whole[:len(whole) // 2])
    with pytest.raises(DataError, match="labels cannot be read"):
        TownLabels.load(tmp_path)
    TownLabels(labels.kinds, labels.heights, labels.ranges[:3], labels.seen).save(tmp_path)
    with pytest.raises(DataError, match="do not fit together"):
        TownLabels.load(tmp_path)
    with pytest.raises(DataError, match="reaches further"):
        labels.window(-60.0, 0.0, 90.0)
