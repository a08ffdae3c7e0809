"""What is drawn on a view: grid, chosen cell with its mark, positions."""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Shape

from justzoomin.figures.case import Pixels
from justzoomin.figures.look import CHOSEN, INK, RIGHT, TRUE, WRONG, Page, halo

CellKind = Literal["right", "wrong", "chosen", "true"]
COLOURS: dict[CellKind, str] = {"right": RIGHT, "wrong": WRONG, "chosen": CHOSEN, "true": TRUE}

CHECK = Shape([(-0.9, -0.05), (-0.25, -0.7), (0.95, 0.75)])
CROSS = Shape([(-0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8)],
              [Shape.MOVETO, Shape.LINETO, Shape.MOVETO, Shape.LINETO])


def show_image(axes: Axes, pixels: Pixels) -> None:
    """Fill axes with an image, in its pixel coordinates (whole numbers are pixel centres)."""
    axes.imshow(pixels, interpolation="hanning", aspect="equal", origin="upper")
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)


def frame(axes: Axes, colour: str = INK) -> None:
    """A hair line around an image, so that white parts have an edge."""
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, linewidth=0.4, edgecolor=colour,
                             clip_on=False, zorder=8))


def draw_grid(axes: Axes, pixels: int, grid: int, *, width: float = 0.5) -> None:
    """Lines between the cells of a view."""
    for k in range(1, grid):
        at = k * pixels / grid
        for x, y in (([at, at], [-0.5, pixels - 0.5]), ([-0.5, pixels - 0.5], [at, at])):
            axes.plot(x, y, color="white", linewidth=width, alpha=0.9, zorder=2, path_effects=halo(width * 2.6, alpha=0.35))


def draw_cell(axes: Axes, pixels: int, grid: int, action: int, kind: CellKind, *, width: float, cell_pt: float) -> None:
    """Outline the cell of an action, with a badge that says right or wrong without colour.

    Args:
        axes: Where to draw.
        pixels: Edge of the view in pixels.
        grid: Cells a side.
        action: The cell.
        kind: What to say of it.
        width: Width of the outline in points.
        cell_pt: Edge of a cell on the page in points, which the badge follows.
    """
    row, col = divmod(action, grid)
    edge, inset = pixels / grid, pixels / grid / cell_pt * width / 2
    axes.add_patch(Rectangle(
        (col * edge + inset, row * edge + inset), edge - 2 * inset, edge - 2 * inset, fill=False, edgecolor=COLOURS[kind],
        linewidth=width, linestyle="-", joinstyle="miter", zorder=4, path_effects=halo(width + 1.4, alpha=0.75)))
    if kind in {"right", "wrong"}:
        size = min(8.0, 0.42 * cell_pt)
        away = inset + (0.5 * size + 1.2) / cell_pt * edge
        badge(axes, (col + 1) * edge - away, row * edge + away, kind, size)


def badge(axes: Axes, x: float, y: float, kind: CellKind, size: float) -> None:
    """A disc with a check or a cross."""
    axes.plot([x], [y], marker="o", markersize=size, color=COLOURS[kind], markeredgecolor="white",
              markeredgewidth=0.08 * size, linestyle="none", zorder=5, clip_on=False)
    axes.plot([x], [y], marker=CHECK if kind == "right" else CROSS, markersize=0.52 * size, markerfacecolor="none",
              markeredgecolor="white", markeredgewidth=0.15 * size, linestyle="none", zorder=6, clip_on=False)


def draw_true(axes: Axes, x: float, y: float, size: float = 5.0) -> None:
    """The true position."""
    axes.plot([x], [y], marker="o", markersize=size, color=TRUE, markeredgecolor="white", markeredgewidth=0.17 * size,
              linestyle="none", zorder=7, path_effects=halo(0.17 * size + 1.2, alpha=0.8))


def draw_predicted(axes: Axes, x: float, y: float, size: float = 6.0, colour: str = WRONG) -> None:
    """A predicted position: a diagonal cross."""
    axes.plot([x], [y], marker=CROSS, markersize=size, markerfacecolor="none", markeredgecolor=colour,
              markeredgewidth=0.24 * size, linestyle="none", zorder=6, path_effects=halo(0.24 * size + 1.4, "white", 0.95))


LEGEND_WORDS: dict[str, str] = {
    "right": "cell picked, on the true path", "wrong": "cell picked, off the true path", "chosen": "cell picked",
    "true": "true cell", "dot": "true position", "cross": "predicted position", "line": "error",
}


def legend(page: Page, entries: list[str], left: float, top: float, *, vertical: bool, size: float = 6.2) -> None:
    """Explain marks, in a row or a column.

    Args:
        page: Where to draw.
        entries: Keys of `LEGEND_WORDS`.
        left: Inches from the left.
        top: Inches from the top to the middle of the first entry.
        vertical: One entry per line.
        size: Size of type in points.
    """
    x, y, box = left, top, 0.13
    for key in entries:
        axes = page.axes(x, y - box / 2, box, box)
        axes.set_xlim(-0.5, 0.5)
        axes.set_ylim(0.5, -0.5)
        if key == "dot":
            draw_true(axes, 0, 0)
        elif key == "cross":
            draw_predicted(axes, 0, 0)
        elif key == "line":
            axes.plot([-0.5, 0.5], [0.35, -0.35], color="white", linewidth=0.9, path_effects=halo(2.2, alpha=0.8))
        else:
            kind: CellKind = key  # type: ignore[assignment]
            axes.add_patch(Rectangle((-0.42, -0.42), 0.84, 0.84, fill=False, edgecolor=COLOURS[kind], linewidth=1.5,
                                     path_effects=halo(2.5, alpha=0.75)))
            if key in {"right", "wrong"}:
                badge(axes, 0, 0, kind, 5.0)
        words = LEGEND_WORDS[key]
        page.text(x + box + 0.06, y + 0.028, words, size=size)
        if vertical:
            y += 0.19
        else:
            x += box + 0.06 + len(words) * size * 0.56 / 72 + 0.16
