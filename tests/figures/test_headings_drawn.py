"""Arrows of headings: where they point, and pictures without one."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from justzoomin.figures import Facing, heat_map, overview
from justzoomin.figures.case import PathView
from justzoomin.figures.marks import draw_heading
from justzoomin.geometry import LatLon, Region, ZoomGrid
from justzoomin.posterior import Posterior

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 2)
VIEW = PathView(np.full((64, 64, 3), 120, np.uint8))


def wedges(axes: Axes) -> list[Polygon]:
    return [patch for patch in axes.patches if isinstance(patch, Polygon)]


@pytest.mark.parametrize(("heading", "east", "down"), [(0.0, 0.0, -10.0), (90.0, 10.0, 0.0), (225.0, -7.0711, 7.0711)])
def test_an_arrow_points_clockwise_from_north(heading: float, east: float, down: float) -> None:
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_heading(axes, 30.0, 40.0, Facing(heading, 20.0), 10.0)
    assert axes.texts[0].xy == pytest.approx((30.0 + east, 40.0 + down), abs=1e-3)
    corners = wedges(axes)[0].get_xy()
    assert corners[0] == pytest.approx((30.0, 40.0))
    spread = np.degrees(np.arctan2(corners[1:-1, 0] - 30.0, 40.0 - corners[1:-1, 1])) - heading
    assert np.abs((spread + 180) % 360 - 180).max() == pytest.approx(20.0)
    draw_heading(axes, 0.0, 0.0, Facing(heading, 180.0), 10.0)


def test_maps_show_headings_that_are_known() -> None:
    flat, here = Posterior.of(TOWN, np.zeros(256)), LatLon(54.5002, 3.0002)
    for facing, count in ((Facing(30.0, 10.0), 1), (None, 0)):
        assert sum(len(wedges(axes)) for axes in heat_map(VIEW, flat, here, facing=facing).axes) == count
        drawn = overview(VIEW, TOWN, [here, here], [here, here], facing=[facing, None])
        assert len(wedges(drawn.axes[0])) == count
        assert ("direction of view" in [text.get_text() for text in drawn.texts]) == bool(count)
