"""A posterior drawn over the map: where the photo may have been taken, and where the answer is."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from justzoomin.figures.case import Facing, PathView, pixel_of
from justzoomin.figures.look import MARGIN_IN, QUIET, SMALL_PT, TITLE_PT, Page, halo, metres, note_height, note_lines, readable
from justzoomin.figures.marks import draw_heading, draw_predicted, draw_true, frame, show_image
from justzoomin.geometry import LatLon
from justzoomin.posterior import Posterior

MAP_IN, TITLE_IN, LEGEND_IN, LINE_IN = 5.4, 0.34, 0.5, 0.17
ARROW = 0.08
"""Length of the arrow of a heading, as a share of the map's edge."""
_FAINTEST = 1e-3
"""Cells with less than this share of the highest cell probability are not tinted."""
_STYLES = ((50, 1.4, "-"), (90, 0.9, "-"), (95, 0.9, (0, (1.2, 1.2))))
"""Per cent, width and dashes of the regions' outlines."""


def heat_map(view: PathView, posterior: Posterior, answer: LatLon, *, name: str = "", words: str = "",
             true: LatLon | None = None, attribution: str | None = None, facing: Facing | None = None) -> Figure:
    """Draw a posterior over its region.

    Args:
        view: The whole region.
        posterior: The posterior.
        answer: The chosen point.
        name: Name of the photo.
        words: More text for the heading: the decision.
        true: Where the photo was taken, if known.
        attribution: Whom to credit at the foot.
        facing: Which way the photo faces, if that is known.
    """
    width = MAP_IN + 2 * MARGIN_IN
    note = note_lines(attribution, width)
    page = Page(width, TITLE_IN + MAP_IN + LEGEND_IN + note_height(note))
    page.text(MARGIN_IN, 0.22, readable(" · ".join(part for part in (name, words) if part), 90), size=TITLE_PT, bold=True)
    axes = page.axes(MARGIN_IN, TITLE_IN, MAP_IN, MAP_IN)
    n, side, root = len(view.pixels), posterior.lattice.side, posterior.grid.cell(())
    grey = view.pixels.mean(-1, keepdims=True).repeat(3, -1)
    show_image(axes, (0.5 * view.pixels + 0.5 * grey).astype(np.uint8))  # the map is paler than the tint
    image = posterior.lattice.to_image(posterior.probs / posterior.probs.max())
    strength = np.clip(1 + np.log10(np.maximum(image, 1e-12)) / -np.log10(_FAINTEST), 0.0, 1.0)
    tint = colormaps["magma"](0.25 + 0.75 * strength)
    tint[..., 3] = np.where(strength > 0, 0.25 + 0.55 * strength, 0.0)
    axes.imshow(tint, extent=(0, n, n, 0), interpolation="nearest", zorder=2)
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    regions = posterior.regions([level / 100 for level, _, _ in _STYLES])
    for (_, line, dashes), region in zip(_STYLES, regions, strict=True):
        for ring in (ring for rings in region.outlines() for ring in rings):
            corners = np.array([*ring, ring[0]]) * n / side
            axes.plot(corners[:, 1], corners[:, 0], color="white", linewidth=line, linestyle=dashes, zorder=3,
                      path_effects=halo(line + 0.8, alpha=0.6))
    here = pixel_of(root, *answer, n)
    if facing is not None and here is not None:
        draw_heading(axes, *here, facing, ARROW * n)
    for at, draw in ((true, draw_true), (answer, draw_predicted)):
        pixel = None if at is None else pixel_of(root, *at, n)
        if pixel is not None:
            draw(axes, *pixel)
    frame(axes)
    _legend(page, [(f"{level} % in {_area(region.area_m2)}", line, dashes)
                   for (level, line, dashes), region in zip(_STYLES, regions, strict=True)], posterior, known=true is not None)
    page.scale_bar(MARGIN_IN + MAP_IN - 1.35, TITLE_IN + MAP_IN + 0.17, root.size_m / 2, MAP_IN / 2)
    page.note(note)
    return page.figure


def _legend(page: Page, outlines: list[tuple[str, float, object]], posterior: Posterior, *, known: bool) -> None:
    """Draw the legend: the outlines, then the marks and the tint."""
    x, y = MARGIN_IN, TITLE_IN + MAP_IN + 0.15
    for words, width, dashes in outlines:
        axes = page.axes(x, y - 0.06, 0.26, 0.1)
        axes.set_facecolor(QUIET)
        axes.set_axis_on()
        axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
        axes.plot([0.1, 0.9], [0.5, 0.5], color="white", linewidth=width, linestyle=dashes)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        page.text(x + 0.32, y + 0.02, words, size=SMALL_PT)
        x += 1.22
    x, y = MARGIN_IN, y + LINE_IN
    for words, draw in (("answer", draw_predicted), ("true position", draw_true))[:2 if known else 1]:
        draw(_box(page, x, y), 0.0, 0.0)
        page.text(x + 0.2, y + 0.02, words, size=SMALL_PT)
        x += 0.75 if draw is draw_predicted else 1.0
    axes = page.axes(x, y - 0.06, 0.8, 0.1)
    axes.imshow(colormaps["magma"](np.linspace(0.25, 1.0, 64))[None], aspect="auto")
    top = posterior.probs.max()
    page.text(x + 0.86, y + 0.02, f"probability of a cell of {metres(posterior.lattice.cell_m)}: "
              f"{_share(top * _FAINTEST)} to {_share(top)}", size=SMALL_PT)


def _box(page: Page, x: float, y: float) -> Axes:
    axes = page.axes(x, y - 0.065, 0.13, 0.13)
    axes.set_xlim(-0.5, 0.5)
    axes.set_ylim(0.5, -0.5)
    return axes


def _share(value: float) -> str:
    return f"{100 * value:.2g} %" if value < 0.995 else f"{100 * value:.0f} %"


def _area(value_m2: float) -> str:
    """Format an area for the reader."""
    return f"{value_m2:,.0f} m²" if value_m2 < 1e5 else f"{value_m2 / 1e6:.3g} km²"
