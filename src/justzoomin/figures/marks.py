"""Marks on a view: grid, chosen cell with its badge, positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle
from matplotlib.path import Path as Shape

from justzoomin.figures.case import Facing, Pixels
from justzoomin.figures.look import CHOSEN, INK, RIGHT, TRUE, WRONG, Page, halo

CellKind = Literal["right", "wrong", "chosen", "true"]
COLOURS: dict[CellKind, str] = {"right": RIGHT, "wrong": WRONG, "chosen": CHOSEN, "true": TRUE}

CHECK = Shape([(-0.9, -0.05), (-0.25, -0.7), (0.95, 0.75)])
CROSS = Shape([(-0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8)],
              [Shape.MOVETO, Shape.LINETO, Shape.MOVETO, Shape.LINETO])

_WIDEST_DEG = 179.0


def show_image(axes: Axes, pixels: Pixels) -> None:
    """Fill axes with an image, in its pixel coordinates (whole numbers are pixel centres)."""
    axes.imshow(pixels, interpolation="hanning", aspect="equal", origin="upper")
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)


def frame(axes: Axes, colour: str = INK) -> None:
    """Draw a hairline around an image, so that white parts have an edge."""
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, linewidth=0.4, edgecolor=colour,
                             clip_on=False, zorder=8))


def draw_grid(axes: Axes, pixels: int, grid: int, *, width: float = 0.5) -> None:
    """Draw lines between the cells of a view."""
    for k in range(1, grid):
        at = k * pixels / grid
        for x, y in (([at, at], [-0.5, pixels - 0.5]), ([-0.5, pixels - 0.5], [at, at])):
            axes.plot(x, y, color="white", linewidth=width, alpha=0.9, zorder=2, path_effects=halo(width * 2.6, alpha=0.35))


def draw_cell(axes: Axes, pixels: int, grid: int, action: int, kind: CellKind, *, width: float, cell_pt: float,
              avoid: tuple[float, float] | None = None) -> None:
    """Outline the cell of an action, with a badge that shows right or wrong without colour.

    Args:
        axes: Where to draw.
        pixels: Edge of the view in pixels.
        grid: Cells per side.
        action: The cell.
        kind: What the badge says about it.
        width: Width of the outline in points.
        cell_pt: Edge of a cell on the page in points, which the badge follows.
        avoid: A position to keep clear by moving the badge to another corner of the cell.
    """
    row, col = divmod(action, grid)
    edge, inset = pixels / grid, pixels / grid / cell_pt * width / 2
    axes.add_patch(Rectangle(
        (col * edge + inset, row * edge + inset), edge - 2 * inset, edge - 2 * inset, fill=False, edgecolor=COLOURS[kind],
        linewidth=width, linestyle="-", joinstyle="miter", zorder=4, path_effects=halo(width + 0.9, alpha=0.75)))
    if kind in {"right", "wrong"}:
        size = min(8.0, 0.42 * cell_pt)
        away = inset + (0.5 * size + 1.2) / cell_pt * edge
        west, east, north, south = col * edge + away, (col + 1) * edge - away, row * edge + away, (row + 1) * edge - away
        corners = [(east, north), (west, north), (east, south), (west, south)]
        badge(axes, *_first_free(corners, avoid, (size + 6.0) / 2 / cell_pt * edge), kind, size)


def _first_free(places: Sequence[tuple[float, float]], avoid: tuple[float, float] | None, gap: float) -> tuple[float, float]:
    """Return the first place at least a gap away from a position, or the farthest."""
    if avoid is None:
        return places[0]
    return next((p for p in places if math.dist(p, avoid) >= gap), max(places, key=lambda p: math.dist(p, avoid)))


def badge(axes: Axes, x: float, y: float, kind: CellKind, size: float) -> None:
    """Draw a disc with a check or a cross."""
    axes.plot([x], [y], marker="o", markersize=size, color=COLOURS[kind], markeredgecolor="white",
              markeredgewidth=0.08 * size, linestyle="none", zorder=5, clip_on=False)
    axes.plot([x], [y], marker=CHECK if kind == "right" else CROSS, markersize=0.52 * size, markerfacecolor="none",
              markeredgecolor="white", markeredgewidth=0.15 * size, linestyle="none", zorder=6, clip_on=False)


def draw_true(axes: Axes, x: float, y: float, size: float = 5.0) -> None:
    """Draw the true position."""
    axes.plot([x], [y], marker="o", markersize=size, color=TRUE, markeredgecolor="white", markeredgewidth=0.17 * size,
              linestyle="none", zorder=7, path_effects=halo(0.17 * size + 1.2, alpha=0.8))


def draw_predicted(axes: Axes, x: float, y: float, size: float = 6.0, colour: str = WRONG) -> None:
    """Draw a predicted position: a diagonal cross."""
    axes.plot([x], [y], marker=CROSS, markersize=size, markerfacecolor="none", markeredgecolor=colour,
              markeredgewidth=0.24 * size, linestyle="none", zorder=8, path_effects=halo(0.24 * size + 1.1, "white", 0.95))


def draw_heading(axes: Axes, x: float, y: float, facing: Facing, length: float, width: float = 1.1) -> None:
    """Draw an arrow from a position towards a heading, in a wedge as wide as one spread on either side.

    Args:
        axes: Where to draw, in pixels of a view that is north up.
        x: Column of the position.
        y: Row of the position.
        facing: The heading, and its spread.
        length: Length in pixels.
        width: Width of the arrow in points.
    """
    half = min(facing.sigma_deg, _WIDEST_DEG)
    angles = np.radians(facing.deg + np.linspace(-half, half, 2 + int(half)))
    corners = np.stack([x + length * np.sin(angles), y - length * np.cos(angles)], 1)
    axes.add_patch(Polygon([(x, y), *map(tuple, corners.tolist())], closed=True, facecolor="white", alpha=0.45,
                           edgecolor=INK, linewidth=0.4, zorder=6))
    towards = math.radians(facing.deg)
    axes.annotate("", xy=(x + length * math.sin(towards), y - length * math.cos(towards)), xytext=(x, y), zorder=7,
                  annotation_clip=False,
                  arrowprops={"arrowstyle": "-|>,head_width=0.2,head_length=0.4", "color": CHOSEN, "linewidth": width,
                              "mutation_scale": 9 * width, "shrinkA": 0, "shrinkB": 0,
                              "path_effects": halo(width + 1.0, "white", 0.9)})


LEGEND_WORDS: dict[str, str] = {
    "right": "cell picked, on the true path", "wrong": "cell picked, off the true path", "chosen": "cell picked",
    "true": "true cell", "dot": "true position", "cross": "predicted position", "line": "error", "arrow": "direction of view",
}


_BOX_IN, _LINE_IN, _LEGEND_PT = 0.13, 0.18, 6.2


def legend_places(entries: Sequence[str], width: float | None) -> list[tuple[float, float]]:
    """Return offsets in inches of entries set in lines of a width, or one below the other if it is None."""
    places: list[tuple[float, float]] = []
    x, line = 0.0, 0
    for key in entries:
        taken = _BOX_IN + 0.06 + len(LEGEND_WORDS[key]) * _LEGEND_PT * 0.56 / 72
        if places and (width is None or x + taken > width):
            x, line = 0.0, line + 1
        places.append((x, line * _LINE_IN))
        x += taken + 0.14
    return places


def legend_height(entries: Sequence[str], width: float) -> float:
    """Return the height in inches of a legend set in lines of a width."""
    return legend_places(entries, width)[-1][1] + _LINE_IN if entries else 0.0


def legend(page: Page, entries: Sequence[str], left: float, top: float, width: float | None) -> None:
    """Draw a legend that explains marks.

    Args:
        page: Where to draw.
        entries: Keys of `LEGEND_WORDS`.
        left: Inches from the left.
        top: Inches from the top to the middle of the first entry.
        width: Width of the lines in inches; None for one entry per line.
    """
    for key, (right, down) in zip(entries, legend_places(entries, width), strict=True):
        x, y = left + right, top + down
        axes = page.axes(x, y - _BOX_IN / 2, _BOX_IN, _BOX_IN)
        axes.set_xlim(-0.5, 0.5)
        axes.set_ylim(0.5, -0.5)
        if key == "dot":
            draw_true(axes, 0, 0)
        elif key == "cross":
            draw_predicted(axes, 0, 0)
        elif key == "arrow":
            draw_heading(axes, -0.45, 0.45, Facing(45.0, 20.0), 1.2, 0.5)
        elif key == "line":
            axes.plot([-0.5, 0.5], [0.35, -0.35], color="white", linewidth=0.9, path_effects=halo(2.2, alpha=0.8))
        else:
            kind: CellKind = key  # type: ignore[assignment]
            axes.add_patch(Rectangle((-0.42, -0.42), 0.84, 0.84, fill=False, edgecolor=COLOURS[kind], linewidth=1.5,
                                     path_effects=halo(2.4, alpha=0.75)))
            if key in {"right", "wrong"}:
                badge(axes, 0, 0, kind, 5.0)
        page.text(x + _BOX_IN + 0.06, y + 0.028, LEGEND_WORDS[key], size=_LEGEND_PT)
