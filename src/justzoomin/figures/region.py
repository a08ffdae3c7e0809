"""The whole map with every photo's true and predicted position and the error between them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from justzoomin.errors import ConfigError
from justzoomin.figures.case import Facing, PathView, pixel_of
from justzoomin.figures.look import (
    FONT,
    MARGIN_IN,
    SMALL_PT,
    TITLE_PT,
    Page,
    halo,
    metres,
    note_height,
    note_lines,
    scale_bar_m,
)
from justzoomin.figures.marks import draw_grid, draw_heading, draw_predicted, draw_true, frame, legend, show_image
from justzoomin.geometry import LatLon, ZoomGrid, haversine_m

MAP_IN, TITLE_IN, LEGEND_IN = 5.4, 0.34, 0.26
MAX_NUMBERED = 30
"""Above this number of photos, positions have no numbers."""


def overview(view: PathView, grid: ZoomGrid, predicted: Sequence[LatLon], true: Sequence[LatLon],
             attribution: str | None = None, title: str | None = None, facing: Sequence[Facing | None] = ()) -> Figure:
    """Draw the whole region with true positions, predicted positions and error lines.

    Args:
        view: The whole region.
        grid: Its zoom grid.
        predicted: Predicted positions.
        true: True positions, in the same order; the photos are numbered in this order, from 1.
        attribution: Whom to credit at the foot.
        title: Heading; None for a summary of the errors.
        facing: Which way each photo faces according to its prediction; empty if that is unknown.

    Raises:
        ConfigError: If the two lists differ in length or are empty.
    """
    if len(predicted) != len(true) or not true:
        raise ConfigError("overview", f"{len(predicted)} predicted and {len(true)} true positions",
                          "Give at least one photo, and both positions of each.")
    width = MAP_IN + 2 * MARGIN_IN
    note = note_lines(attribution, width)
    page = Page(width, TITLE_IN + MAP_IN + LEGEND_IN + note_height(note))
    page.text(MARGIN_IN, 0.22, title or _summary(predicted, true), size=TITLE_PT, bold=True)
    axes = page.axes(MARGIN_IN, TITLE_IN, MAP_IN, MAP_IN)
    n, root = len(view.pixels), grid.cell(())
    show_image(axes, view.pixels)
    draw_grid(axes, n, grid.grid, width=0.35)
    small = 1.0 if len(true) <= MAX_NUMBERED else 0.6
    ends = []
    for guess, truth in zip(predicted, true, strict=True):
        a, b = pixel_of(root, *guess, n), pixel_of(root, *truth, n)
        ends.append((a, b))
        if a is not None and b is not None:
            axes.plot(*zip(a, b, strict=True), color="white", linewidth=0.9 * small, zorder=3,
                      path_effects=halo(2.2 * small, alpha=0.8))
    for (a, _), way in zip(ends, facing or [None] * len(ends), strict=True):
        if a is not None and way is not None:
            draw_heading(axes, *a, way, 0.06 * n * small, 0.9 * small)
    for a, b in ends:  # crosses over dots: both remain visible if the error is small
        if b is not None:
            draw_true(axes, *b, size=6.5 * small)
        if a is not None:
            draw_predicted(axes, *a, size=4.4 * small)
    lines = [np.linspace(a, b, 25) for a, b in ends if a is not None and b is not None]
    busy = np.concatenate([np.array([p for pair in ends for p in pair if p is not None]).reshape(-1, 2), *lines])
    if len(true) <= MAX_NUMBERED:
        _numbers(axes, [b for _, b in ends], busy, n)
    _furniture(axes, busy, n, root.size_m)
    frame(axes)
    keys = ["dot", "cross", "line", *(["arrow"] if any(facing) else [])]
    legend(page, keys, MARGIN_IN + 0.02, TITLE_IN + MAP_IN + 0.14, MAP_IN)
    page.note(note)
    return page.figure


def _summary(predicted: Sequence[LatLon], true: Sequence[LatLon]) -> str:
    errors = [float(haversine_m(*p, *t)) for p, t in zip(predicted, true, strict=True)]
    photos = f"{len(errors)} photo{'s' if len(errors) > 1 else ''}"
    return f"{photos} · median error {metres(statistics.median(errors))} · largest {metres(max(errors))}"


def _numbers(axes: Axes, points: Sequence[tuple[float, float] | None], busy: npt.NDArray[np.float64], n: int) -> None:
    """Put a number at each true position, in the freest of eight places around its point."""
    step = 0.021 * n
    taken = busy.copy()
    for index, point in enumerate(points):
        if point is None:
            continue
        angles = np.arange(8) * np.pi / 4 - np.pi / 4
        spots = np.array(point) + step * np.stack([np.cos(angles), np.sin(angles)], 1)
        gaps = np.linalg.norm(spots[:, None] - taken[None], axis=2)
        room = np.minimum(gaps.min(1), 1.2 * step)  # more room than a step does not help: keep the first place
        room[((spots < 0.02 * n) | (spots > 0.98 * n)).any(1)] = -1
        best = spots[int(room.argmax())]
        taken = np.concatenate([taken, best[None]])
        axes.text(best[0], best[1], str(index + 1), fontfamily=FONT, fontsize=SMALL_PT, fontweight="bold", color="white",
                  ha="center", va="center_baseline", zorder=9, path_effects=halo(1.8, alpha=0.9))


def _furniture(axes: Axes, busy: npt.NDArray[np.float64], n: int, size_m: float) -> None:
    """Draw scale bar and north arrow, in the lower corner with fewer positions nearby."""
    length = scale_bar_m(size_m, 0.22) / size_m * n
    corner = busy[busy[:, 1] > 0.88 * n] if len(busy) else busy
    right = (corner[:, 0] < 0.4 * n).sum() > (corner[:, 0] > 0.6 * n).sum()
    x, y = (0.955 * n - length if right else 0.045 * n), 0.955 * n
    tick = 0.008 * n
    axes.plot([x, x, x, x + length, x + length, x + length], [y - tick, y + tick, y, y, y - tick, y + tick],
              color="white", linewidth=1.1, zorder=10, path_effects=halo(2.6, alpha=0.85))
    axes.text(x + length / 2, y - 0.014 * n, metres(scale_bar_m(size_m, 0.22)), fontfamily=FONT, fontsize=SMALL_PT,
              color="white", ha="center", va="bottom", zorder=10, path_effects=halo(1.8, alpha=0.9))
    north = x + (length + 0.035 * n if not right else -0.035 * n)
    axes.annotate("", xy=(north, y - 0.045 * n), xytext=(north, y + 0.008 * n), zorder=10,
                  arrowprops={"arrowstyle": "-|>,head_width=0.22,head_length=0.45", "color": "white", "linewidth": 1.0,
                              "shrinkA": 0, "shrinkB": 0, "path_effects": halo(2.4, alpha=0.85)})
    axes.text(north, y - 0.05 * n, "N", fontfamily=FONT, fontsize=SMALL_PT, fontweight="bold", color="white", ha="center",
              va="bottom", zorder=10, path_effects=halo(1.8, alpha=0.9))
