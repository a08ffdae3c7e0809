"""The leak audit as a picture: how far validation photos are from training photos, and where both are."""

from __future__ import annotations

import textwrap

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from justzoomin.checks import AuditReport
from justzoomin.figures.look import (
    FONT,
    INK,
    MARGIN_IN,
    QUIET,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    TRUE,
    WRONG,
    Page,
    metres,
    note_height,
    note_lines,
    readable,
)
from justzoomin.geometry import to_local

WIDTH_IN, PLOT_IN, TITLE_IN, LINE_IN = 8.6, 3.5, 0.4, 0.14
RADII_M = (1.0, 10.0, 40.0, 100.0)
LEAST_M, MOST_M = 0.1, 1e5
"""The ends of the distance axis; smaller and larger distances are drawn at its ends."""
MAX_DOTS = 60_000
_BARS = 48


def audit_figure(report: AuditReport, attribution: str | None = None) -> Figure:
    """Draw an audit: distribution of the distances on a logarithmic axis, a map of both splits, and the verdict.

    Args:
        report: The audit.
        attribution: Whom to credit at the foot.
    """
    note = note_lines(attribution, WIDTH_IN)
    room = int((WIDTH_IN - 2 * MARGIN_IN) * 72 / (TEXT_PT * 0.545))
    words = [line for sentence in report.sentences for line in textwrap.wrap(readable(sentence, 600), room)]
    plot_top, words_top = TITLE_IN + 0.24, TITLE_IN + 0.24 + PLOT_IN + 0.62
    page = Page(WIDTH_IN, words_top + len(words) * LINE_IN + 0.05 + note_height(note))
    page.text(MARGIN_IN, 0.22, readable(f"{report.root}: {report.val_split} against {report.train_split}", 90), size=TITLE_PT,
              bold=True)
    page.text(MARGIN_IN, 0.38, f"{len(report.val):,} validation and {len(report.train):,} training photos", size=TEXT_PT,
              colour=QUIET)
    left, width = MARGIN_IN + 0.42, WIDTH_IN - 2 * MARGIN_IN - PLOT_IN - 0.42 - 0.45
    _distances(page, page.axes(left, plot_top, width, PLOT_IN), report)
    page.text(left + width / 2, plot_top + PLOT_IN + 0.36, "distance to the nearest training photo (line: share within it; "
                                                           "bars: how many at it, no scale)",
              size=SMALL_PT, align="center")
    page.text(MARGIN_IN + 0.06, plot_top + PLOT_IN / 2, "share of validation photos", size=TEXT_PT, turned=True)
    map_left = WIDTH_IN - MARGIN_IN - PLOT_IN
    _map(page.axes(map_left, plot_top, PLOT_IN, PLOT_IN), report)
    page.scale_bar(map_left, plot_top + PLOT_IN + 0.16, report.grid.region.size_m, PLOT_IN)
    page.text(map_left + PLOT_IN, plot_top + PLOT_IN + 0.16, "north up", size=SMALL_PT, colour=QUIET, align="right")
    page.text(map_left, plot_top + PLOT_IN + 0.36, "●", size=TEXT_PT, colour=TRUE)
    page.text(map_left + 0.12, plot_top + PLOT_IN + 0.36, report.train_split, size=TEXT_PT)
    second = map_left + 0.3 + len(report.train_split) * TEXT_PT * 0.6 / 72
    page.text(second, plot_top + PLOT_IN + 0.36, "●", size=TEXT_PT, colour=WRONG)
    page.text(second + 0.12, plot_top + PLOT_IN + 0.36, report.val_split, size=TEXT_PT)
    for index, line in enumerate(words):
        page.text(MARGIN_IN, words_top + 0.06 + index * LINE_IN, line, size=TEXT_PT, colour=INK)
    page.note(note)
    return page.figure


def _distances(page: Page, axes: Axes, report: AuditReport) -> None:
    """Draw bars of how many photos are at each distance, and the line of how many are nearer, on one axis."""
    axes.set_axis_on()
    values = np.sort(np.clip(report.distances_m, LEAST_M, MOST_M))
    low = 10 ** np.floor(np.log10(max(values[0], LEAST_M)))
    high = max(10 ** np.ceil(np.log10(max(values[-1], 10 * low))), 200.0)
    edges = np.geomspace(low, high, _BARS + 1)
    counts = np.histogram(values, edges)[0] / len(values)
    axes.bar(edges[:-1], counts / max(counts.max(), 1e-9) * 0.45, np.diff(edges), align="edge", color="#C9D3DB", linewidth=0)
    axes.step(np.concatenate([[low], values, [high]]), np.concatenate([[0], np.arange(1, len(values) + 1) / len(values), [1]]),
              where="post", color=WRONG, linewidth=1.4)
    for radius in RADII_M:
        if not low <= radius <= high:
            continue
        share = report.within(radius)
        axes.plot([radius, radius], [0, 1], color=QUIET, linewidth=0.5, linestyle=(0, (2, 2)), zorder=1)
        axes.plot([radius], [share], marker="o", markersize=3.2, color=WRONG, zorder=5)
        axes.text(radius, 1.015, f"{radius:g} m", fontsize=SMALL_PT, family=FONT, ha="center", va="bottom", color=QUIET)
        right = share < 0.9
        axes.annotate(f"{100 * share:.3g} %", (radius, share), xytext=(4 if right else -4, -2 if right else -3),
                      textcoords="offset points", fontsize=SMALL_PT, family=FONT, ha="left" if right else "right", va="top")
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(FixedLocator([10.0**k for k in range(-1, 6) if low <= 10.0**k <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: metres(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.tick_params(labelsize=SMALL_PT, labelfontfamily=FONT, width=0.4, length=2.5)
    axes.tick_params(which="minor", width=0.3, length=1.5)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_linewidth(0.5)


def _map(axes: Axes, report: AuditReport) -> None:
    """Draw the positions of both splits in the region, with the grid's first lines."""
    half = report.grid.region.size_m / 2
    for positions, colour, size, order in ((report.train, TRUE, 2.0, 2), (report.val, WRONG, 2.6, 3)):
        shown = positions
        if len(shown) > MAX_DOTS:
            shown = shown[np.linspace(0, len(shown) - 1, MAX_DOTS).astype(int)]
        east, north = _local(report, shown)
        grown = 3.0 if len(shown) < 500 else 1.0 if len(shown) < 5000 else 0.3
        axes.scatter(east, north, s=size * grown, color=colour, linewidths=0, zorder=order, rasterized=True)
    for k in range(report.grid.grid + 1):
        at = -half + 2 * half * k / report.grid.grid
        edge = k in {0, report.grid.grid}
        for x, y in (([at, at], [-half, half]), ([-half, half], [at, at])):
            axes.plot(x, y, color=INK if edge else "#C4C4C4", linewidth=0.7 if edge else 0.4, zorder=1 if not edge else 4,
                      clip_on=False)
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    axes.set_aspect("equal")


def _local(report: AuditReport, positions: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return to_local(*report.grid.region.centre, positions[:, 0], positions[:, 1])
