"""Methods side by side: recall against radius and area, reliability, recall against cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from justzoomin.figures.look import (
    FONT,
    MARGIN_IN,
    QUIET,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    Page,
    metres,
    note_height,
    note_lines,
    readable,
)
from justzoomin.scoring import Compared, Comparison

WIDTH_IN, PLOT_W_IN, PLOT_H_IN, LEFT_IN, TOP_IN, ROW_IN = 6.4, 3.7, 2.7, 0.62, 0.5, 0.145
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1A1A1A")
"""Okabe and Ito's colours; if there are more methods than colours, dashes distinguish the lines."""
MARKS = "osD^vPX"
DASHES: tuple[tuple[int, tuple[float, ...]], ...] = ((0, ()), (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
_POINTS = 60


@dataclass(frozen=True)
class _Style:
    colour: str
    mark: str
    dashes: tuple[int, tuple[float, ...]]


def radius_figure(comparison: Comparison) -> Figure:
    """Draw the share of photos whose answer is at most so far away, over the distance on a logarithmic axis."""
    first = comparison.rows[0].row
    largest = max(float(row.row.errors_m.max()) for row in comparison.rows)
    radii = np.geomspace(max(first.cell_m / 4, 0.1), max(largest, first.cell_m), _POINTS)
    page, axes = _page(comparison, "Recall against radius", "distance of the answer at most")
    for row, style in _styled(comparison):
        axes.plot(radii, [row.row.within(r).mean() for r in radii], color=style.colour, linestyle=style.dashes, linewidth=1.1)
    for radius in comparison.rows[0].score.recall_at_m:
        axes.axvline(radius, color=QUIET, linewidth=0.4, linestyle=(0, (1, 2)), zorder=0)
    _logarithmic(axes, radii, metres)
    return page.figure


def area_figure(comparison: Comparison) -> Figure:
    """Draw the share of photos whose own cell is among the best-ranked cells of an area, as far as a method lists cells."""
    row = comparison.rows[0].row
    largest = max(a for r in comparison.rows for a in r.score.recall_at_area)
    cells = np.unique(np.geomspace(1, max(2.0, largest / row.cell_m**2), _POINTS).astype(np.int64))
    areas = cells * row.cell_m**2
    page, axes = _page(comparison, "Recall against area", "area of the best-ranked cells")
    for found, style in _styled(comparison):
        shares = [(a, s.mean()) for a in areas if (s := found.row.in_area(float(a))) is not None]
        if shares:
            axes.plot(*zip(*shares, strict=True), color=style.colour, linestyle=style.dashes, linewidth=1.1,
                      marker=style.mark if len(shares) == 1 else None, markersize=4)
    _logarithmic(axes, areas, _square_metres, (1,))
    return page.figure


def claims_figure(comparison: Comparison) -> Figure | None:
    """Draw claimed confidence against observed frequency; dots are bins of photos, with area by size. None without claims."""
    claimed = {row.name: row.calibration["confidence"] for row in comparison.rows
               if row.calibration is not None and row.calibration["confidence"] is not None}
    if not claimed:
        return None
    what = {name: ", cell" if claim["claims"] == "cell" else f", {claim['claims'].removeprefix('within:')} m"
            for name, claim in claimed.items()}
    page, axes = _page(comparison, "What is claimed and what happens", "claimed confidence", what)
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.6, linestyle=(0, (3, 2)))
    for row, style in _styled(comparison):
        if row.name in claimed:
            curve = claimed[row.name]
            axes.plot(curve["claimed"], curve["happened"], color=style.colour, linestyle=style.dashes, linewidth=0.8)
            axes.scatter(curve["claimed"], curve["happened"], s=4 + 90 * np.array(curve["photos"]) / comparison.photos,
                         color=style.colour, linewidths=0, alpha=0.75, zorder=3, clip_on=False)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    return page.figure


def cost_figure(comparison: Comparison) -> Figure | None:
    """Draw recall within the first radius against milliseconds per photo; None if no time is known."""
    radius = next(iter(comparison.rows[0].score.recall_at_m))
    timed = {row.name: row.cost["ms_median"] for row in comparison.rows if row.cost is not None and row.cost["ms_median"]}
    if not timed:
        return None
    page, axes = _page(comparison, f"Recall within {radius:g} m against time",
                       "milliseconds a photo", dict.fromkeys(timed, ""), lines=False)
    for row, style in _styled(comparison):
        if row.name in timed:
            figure = row.score.recall_at_m[radius]
            axes.errorbar(timed[row.name], figure.value / 100, yerr=[[max(0.0, figure.value - figure.low) / 100],
                                                                     [max(0.0, figure.high - figure.value) / 100]],
                          color=style.colour, marker=style.mark, markersize=5, linewidth=0.8, clip_on=False)
    values = np.array([float(v) for v in timed.values() if v is not None])
    _logarithmic(axes, np.array([values.min() / 2, values.max() * 2]), lambda value: f"{value:g} ms")
    return page.figure


def comparison_figures(comparison: Comparison) -> dict[str, Figure]:
    """Return all figures of a comparison that have something to show, by the stems of their files."""
    drawn = {"recall-radius": radius_figure(comparison), "recall-area": area_figure(comparison),
             "reliability": claims_figure(comparison), "recall-cost": cost_figure(comparison)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _styled(comparison: Comparison) -> list[tuple[Compared, _Style]]:
    """Return rows with their styles: methods in colours, rows that need no model in grey."""
    found, methods, controls = [], 0, 0
    for row in comparison.rows:
        if row.kind == "method":
            style = _Style(COLOURS[methods % len(COLOURS)], MARKS[methods % len(MARKS)],
                           DASHES[methods // len(COLOURS) % len(DASHES)])
            methods += 1
        else:
            style = _Style(QUIET, MARKS[controls % len(MARKS)], DASHES[(controls + 1) % len(DASHES)])
            controls += 1
        found.append((row, style))
    return found


def _page(comparison: Comparison, title: str, label: str, only: dict[str, str] | None = None, *,
          lines: bool = True) -> tuple[Page, Axes]:
    """Make a page with axes, title, and a legend on the right; `only` gives the rows to show and words after their names."""
    shown = [(row, style) for row, style in _styled(comparison) if only is None or row.name in only]
    words = only or {}
    note = note_lines(comparison.attribution, WIDTH_IN)
    height = max(PLOT_H_IN, ROW_IN * len(shown))
    page = Page(WIDTH_IN, TOP_IN + height + 0.5 + note_height(note))
    page.text(MARGIN_IN, 0.22, f"{title}: {comparison.photos:,} photos", size=TITLE_PT, bold=True)
    axes = page.axes(LEFT_IN, TOP_IN, PLOT_W_IN, height)
    axes.set_axis_on()
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.tick_params(labelsize=SMALL_PT, labelfontfamily=FONT, width=0.4, length=2.5)
    axes.grid(axis="y", color=QUIET, alpha=0.25, linewidth=0.4)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_linewidth(0.5)
    page.text(MARGIN_IN + 0.06, TOP_IN + height / 2, "share of photos", size=SMALL_PT, turned=True)
    page.text(LEFT_IN + PLOT_W_IN / 2, TOP_IN + height + 0.36, label, size=SMALL_PT, align="center")
    legend = page.axes(LEFT_IN + PLOT_W_IN + 0.2, TOP_IN, 0.3, ROW_IN * len(shown))
    legend.set_xlim(0, 1)
    legend.set_ylim(len(shown), 0)
    for place, (row, style) in enumerate(shown):
        legend.plot([0, 1] if lines else [0.7], [place + 0.5] * (2 if lines else 1), color=style.colour, linewidth=1.3,
                    linestyle=style.dashes, marker=None if lines else style.mark, markersize=4)
        page.text(LEFT_IN + PLOT_W_IN + 0.58, TOP_IN + ROW_IN * (place + 0.5) + 0.032,
                  readable(row.name, 30) + words.get(row.name, ""), size=TEXT_PT)
    page.note(note)
    return page, axes


def _logarithmic(axes: Axes, values: np.ndarray[tuple[int, ...], np.dtype[np.floating]], words: Callable[[float], str],
                 ticks: tuple[float, ...] = (1, 2, 5)) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=ticks))
    axes.set_xlim(float(values[0]), float(values[-1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _square_metres(value: float) -> str:
    return f"{value / 1e6:g} km²" if value >= 1e6 else f"{value:,.0f} m²"
