"""Where photos are taken: on streets, inside the region, and apart from the other split on request."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from justzoomin.city import CityConfig, Router
from justzoomin.city.ground import PAVING, Canvas
from justzoomin.errors import ConfigError


def test_positions_are_on_streets(small_world, small_config):
    router = Router(small_world, small_config, "train")
    shots = [shot for drive in range(12) for shot in router.shots(drive)]
    x, y = (np.array([getattr(s.pose, k) for s in shots]) for k in ("east_m", "north_m"))
    assert np.abs([x, y]).max() < small_config.size_m / 2
    assert not any(small_world.obstacle(a, b) for a, b in zip(x, y, strict=True))
    points = np.concatenate([e.points for e in small_world.streets.edges if e.kind != "lane"])
    nearest = np.sqrt(((np.stack([x, y], 1)[:, None] - points[None]) ** 2).sum(-1)).min(axis=1)
    assert nearest.max() < 8.0
    assert all(60 <= s.pose.hfov_deg <= 90 and 0 <= s.pose.bearing_deg < 360 for s in shots)
    assert [s.index for s in shots] == list(range(len(shots)))


def test_shots_repeat(small_world, small_config):
    assert Router(small_world, small_config, "val").shots(3) == Router(small_world, small_config, "val").shots(3)
    assert Router(small_world, small_config, "val").shots(3) != Router(small_world, small_config, "train").shots(3)


def test_blocks_keep_their_distance(small_world, small_config):
    config = small_config.model_copy(update={"split": "block", "block_m": 25.0, "guard_m": 5.0})
    places = {}
    for split in ("train", "val"):
        router = Router(small_world, config, split)
        places[split] = np.array([(s.pose.east_m, s.pose.north_m) for d in range(8) for s in router.shots(d)])
    gaps = np.sqrt(((places["train"][:, None] - places["val"][None]) ** 2).sum(-1))
    assert gaps.min() >= config.guard_m


def test_no_street_left_is_an_error(small_world, small_config):
    config = small_config.model_copy(update={"split": "block", "block_m": 90.0, "guard_m": 80.0})
    with pytest.raises(ConfigError, match="has no street left"):
        Router(small_world, config, "train")


def test_config():
    assert CityConfig(photos=2000).val_photos == 100
    assert CityConfig(photos=3).val_photos == 1
    assert CityConfig(photos=0, val_photos=300).val_photos == 300
    with pytest.raises(ValidationError):
        CityConfig(size_m=-1)


def test_canvas_finds_what_it_painted():
    canvas = Canvas(10.0, 0.25, (0, 0, 0))
    canvas.polygon(np.array([(2, 3), (6, 3), (6, 8), (2, 8)]), PAVING, (10, 20, 30))
    assert canvas.kind_at(np.array([4.0, 4.0, -4.0]), np.array([5.0, -5.0, 5.0])).tolist() == [PAVING, 0, 0]


def test_a_longer_drive_begins_like_a_shorter_one(small_world, small_config):
    router = Router(small_world, small_config, "val")
    short, long = router.shots(3), router.shots(3, 20)
    assert len(long) == 20
    assert [s.pose for s in long[:len(short)]] == [s.pose for s in short]
