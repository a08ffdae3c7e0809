"""The reliability diagram: claimed and observed frequencies of a model, before and after calibration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from justzoomin.figures.look import (
    FONT,
    MARGIN_IN,
    QUIET,
    RIGHT,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    WRONG,
    Page,
    note_height,
    note_lines,
)
from justzoomin.posterior import Claims, Curve, curve

WIDTH_IN, PLOT_IN, GAP_IN, LEFT_IN, TOP_IN = 8.6, 2.3, 0.48, 0.46, 0.86


def reliability_figure(before: Claims, after: Claims, attribution: str | None = None) -> Figure:
    """Draw three panels: the top cell's probability, the mass within 40 m of it, and the regions of every mass.

    Dots are bins of photos, with area by size; a model whose claims are true lies on the diagonal.

    Args:
        before: Claims of the model's own posteriors.
        after: Claims of the calibrated posteriors, for the same photos.
        attribution: Whom to credit at the foot.
    """
    note = note_lines(attribution, WIDTH_IN)
    page = Page(WIDTH_IN, TOP_IN + PLOT_IN + 0.55 + note_height(note))
    page.text(MARGIN_IN, 0.22, f"What is claimed and what happens: {len(after.top):,} photos", size=TITLE_PT, bold=True)
    for left, words, colour in ((MARGIN_IN, "before calibration", WRONG), (MARGIN_IN + 1.4, "after", RIGHT)):
        page.text(left, 0.42, "●", size=TEXT_PT, colour=colour)
        page.text(left + 0.12, 0.42, words, size=TEXT_PT)
    curves: list[tuple[str, str, Callable[[Claims], Curve]]] = [
        ("the most probable cell is the right one", "its probability", lambda c: curve(c.top, c.top_right)),
        ("the place is within 40 m of that cell", "mass within 40 m", lambda c: curve(c.near, c.near_right))]
    for panel, (title, label, of) in enumerate(curves):
        axes = _panel(page, panel, title, label)
        for claims, colour in ((before, WRONG), (after, RIGHT)):
            found = of(claims)
            axes.plot(found.claimed, found.happened, color=colour, linewidth=0.8)
            axes.scatter(found.claimed, found.happened, s=4 + 120 * found.photos / len(claims.top), color=colour, linewidths=0,
                         alpha=0.75, zorder=3, clip_on=False)
            axes.text(0.97, 0.13 if colour == WRONG else 0.05, f"error {100 * found.error:.1f} %", color=colour, ha="right",
                      fontsize=SMALL_PT, family=FONT)
    axes = _panel(page, 2, "a region that holds a mass holds the place", "mass of the region")
    for claims, colour in ((before, WRONG), (after, RIGHT)):
        ordered = np.sort(claims.above)
        axes.plot([0, *ordered, 1], [0, *(np.arange(1, len(ordered) + 1) / len(ordered)), 1], color=colour, linewidth=1.1)
    page.note(note)
    return page.figure


def _panel(page: Page, number: int, title: str, label: str) -> Axes:
    left = LEFT_IN + MARGIN_IN + number * (PLOT_IN + GAP_IN)
    page.text(left, TOP_IN - 0.1, title, size=TEXT_PT)
    page.text(left + PLOT_IN / 2, TOP_IN + PLOT_IN + 0.36, label, size=SMALL_PT, align="center")
    if not number:
        page.text(MARGIN_IN + 0.05, TOP_IN + PLOT_IN / 2, "share of photos", size=SMALL_PT, turned=True)
    axes = page.axes(left, TOP_IN, PLOT_IN, PLOT_IN)
    axes.set_axis_on()
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.6, linestyle=(0, (3, 2)))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.tick_params(labelsize=SMALL_PT, labelfontfamily=FONT, width=0.4, length=2.5)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_linewidth(0.5)
    return axes
