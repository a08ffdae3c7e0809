"""Photos and overhead images: geometry of the rays, and effects of light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from justzoomin.city import Conditions, Pose, Router, Vehicle, render_overhead, render_photo
from justzoomin.city.camera import directions_of


def test_rays_point_where_the_camera_looks():
    d = directions_of(Pose(0, 0, bearing_deg=90.0, hfov_deg=90.0), 65, 33).reshape(33, 65, 3)
    assert np.allclose(d[16, 32], (1, 0, 0), atol=1e-6)
    assert d[16, 64][1] < -0.69 and d[16, 0][1] > 0.69  # right of east is south
    assert d[0, 32][2] > 0.2 and np.allclose(np.linalg.norm(d, axis=-1), 1, atol=1e-5)
    up = directions_of(Pose(0, 0, bearing_deg=0.0, pitch_deg=3.0, roll_deg=2.0), 65, 33).reshape(33, 65, 3)
    assert np.isclose(up[16, 32][2], np.sin(np.radians(3)), atol=1e-6)
    assert up[16, 64][2] > up[16, 0][2]  # positive roll lifts the right side


def test_photo_is_repeatable_and_varied(small_world, small_config):
    shot = Router(small_world, small_config, "train").shots(0)[0]
    one = render_photo(small_world, shot.pose, shot.conditions, 96, 54)
    assert one.shape == (54, 96, 3) and one.dtype == np.uint8
    assert (one == render_photo(small_world, shot.pose, shot.conditions, 96, 54)).all()
    assert one.std() > 20
    turned = render_photo(small_world, replace(shot.pose, bearing_deg=shot.pose.bearing_deg + 90), shot.conditions, 96, 54)
    assert np.abs(one.astype(int) - turned).mean() > 10


def test_sun_casts_shadows(small_world):
    square = ((-30, 30), (-30, 30), 0.5)
    sunny, dull = (render_overhead(small_world, *square, Conditions(weather=w)) for w in ("clear", "overcast"))
    assert sunny.astype(float).std() > dull.astype(float).std()


def test_overhead_pieces_fit(small_world):
    whole = render_overhead(small_world, (-16, 16), (-16, 16), 0.5)
    piece = render_overhead(small_world, (0, 16), (-16, 0), 0.5)
    assert (np.abs(whole[32:, 32:].astype(int) - piece) > 2).mean() < 0.01


def test_vehicle_hides_the_street(small_world, small_config):
    shot = Router(small_world, small_config, "train").shots(1)[0]
    pose, plain = shot.pose, Conditions()
    b = np.radians(pose.bearing_deg)
    ahead = Vehicle(pose.east_m + 6 * np.sin(b), pose.north_m + 6 * np.cos(b), pose.bearing_deg, True, 3)
    without = render_photo(small_world, pose, plain, 96, 54)
    with_van = render_photo(small_world, pose, replace(plain, vehicles=(ahead,)), 96, 54)
    changed = (np.abs(without.astype(int) - with_van).max(axis=2) > 12)
    assert changed[20:40, 40:56].mean() > 0.4 and changed[:, :8].mean() < 0.1
