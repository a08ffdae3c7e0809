"""The picture of a posterior: tinted where its mass is, the answer marked, the map visible elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from justzoomin.figures import heat_map
from justzoomin.figures.case import PathView
from justzoomin.figures.heat import MAP_IN, MARGIN_IN, TITLE_IN
from justzoomin.figures.look import DPI
from justzoomin.geometry import LatLon, Region, ZoomGrid
from justzoomin.posterior import Posterior, lattice

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 2)
CELLS = lattice(TOWN)
VIEW = PathView(np.full((128, 128, 3), (60, 140, 80), np.uint8))


def pixels(figure: Figure) -> np.ndarray:
    """The map's part of the picture, uint8 (H, W, 3)."""
    figure.canvas.draw()
    page = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    left, top, edge = (round(v * DPI) for v in (MARGIN_IN, TITLE_IN, MAP_IN))
    return page[top:top + edge, left:left + edge]


def test_mass_is_tinted_where_it_is() -> None:
    image = np.full((16, 16), 1e-9)
    image[3, 12], image[3, 11] = 0.6, 0.4
    posterior = Posterior.of(TOWN, np.log(CELLS.from_image(image)))
    shown = pixels(heat_map(VIEW, posterior, TOWN.cell((15, 15)).centre, name="a.jpg", words="top")).astype(int)
    cell = shown.shape[0] / 16

    def colour(row: int, col: int) -> np.ndarray:
        return shown[round((row + 0.5) * cell), round((col + 0.5) * cell)]

    plain = colour(8, 3)
    assert np.abs(colour(12, 12) - plain).max() <= 2
    assert np.abs(colour(3, 12) - plain).max() > 60
    assert np.abs(colour(3, 11) - plain).max() > 60
    assert np.abs(colour(3, 10) - plain).max() <= 2
    assert np.abs(colour(15, 15) - plain).max() > 60  # the answer's cross


@pytest.mark.parametrize("true", [None, LatLon(54.5005, 3.0005), LatLon(10.0, 10.0)])
def test_it_is_drawn_with_and_without_the_truth(true: LatLon | None) -> None:
    flat = Posterior.of(TOWN, np.zeros(256))
    figure = heat_map(VIEW, flat, TOWN.region.centre, true=true, attribution="Somebody, 2024")
    words = [text.get_text() for text in figure.texts]
    assert ("true position" in words) == (true is not None)
    assert "Somebody, 2024" in words
    assert "90 % in 92,400 m²" in words
