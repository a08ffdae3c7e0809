"""Many photos on one sheet: each with its strip of views and its error."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from justzoomin.errors import ConfigError
from justzoomin.figures.case import NO_DATA_WORTH_SAYING, Case, pixel_of
from justzoomin.figures.look import (
    MARGIN_IN,
    QUIET,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    Page,
    metres,
    note_height,
    note_lines,
    percent,
    readable,
)
from justzoomin.figures.marks import (
    CellKind,
    draw_cell,
    draw_grid,
    draw_heading,
    draw_true,
    frame,
    legend,
    legend_height,
    show_image,
)

VIEW_IN, GAP_IN, PHOTO_IN, COLUMN_GAP_IN = 1.0, 0.09, 1.778, 0.3
LINE_IN, ROW_GAP_IN, TITLE_IN, LEGEND_IN = 0.16, 0.11, 0.34, 0.06


def sheet(cases: Sequence[Case], attribution: str | None = None, title: str | None = None) -> Figure:
    """Draw many photos, each with the views along its predicted path.

    Args:
        cases: The photos; all on grids of one region and depth.
        attribution: Whom to credit at the foot.
        title: Heading; None for a summary of the errors.

    Raises:
        ConfigError: If there are no cases.
    """
    if not cases:
        raise ConfigError("sheet", "there are no photos to show", "Give at least one.")
    depth = max(len(c.sequence) for c in cases)
    columns = 2 if len(cases) > 3 else 1
    rows = -(-len(cases) // columns)
    entry = PHOTO_IN + depth * (GAP_IN + VIEW_IN)
    row_in = LINE_IN + VIEW_IN + ROW_GAP_IN
    width = 2 * MARGIN_IN + columns * entry + (columns - 1) * COLUMN_GAP_IN
    note = note_lines(attribution, width)
    keys, legend_in = _legend_keys(cases), width - 2 * MARGIN_IN
    page = Page(width, TITLE_IN + rows * row_in + LEGEND_IN + legend_height(keys, legend_in) + note_height(note))
    page.text(MARGIN_IN, 0.22, readable(title, 120) if title else _summary(cases), size=TITLE_PT, bold=True)
    for index, case in enumerate(cases):
        column, row = divmod(index, rows)
        _entry(page, case, index + 1, MARGIN_IN + column * (entry + COLUMN_GAP_IN), TITLE_IN + row * row_in)
    legend(page, keys, MARGIN_IN + 0.02, TITLE_IN + rows * row_in + 0.06, legend_in)
    page.note(note)
    return page.figure


def _summary(cases: Sequence[Case]) -> str:
    errors = [e for e in (c.error_m for c in cases) if e is not None]
    photos = f"{len(cases)} photo{'s' if len(cases) > 1 else ''}"
    return f"{photos} · median error {metres(statistics.median(errors))}" if len(errors) == len(cases) else photos


def _entry(page: Page, case: Case, number: int, left: float, top: float) -> None:
    error, right, grid = case.error_m, case.right, case.grid.grid
    facts = f"error {metres(error)}" if error is not None else f"{case.position.lat:.5f}, {case.position.lon:.5f}"
    page.text(left, top + LINE_IN - 0.05, f"{number}  {facts}", size=TEXT_PT, bold=True)
    scale = min(PHOTO_IN / case.photo.shape[1], VIEW_IN / case.photo.shape[0])
    axes = page.axes(left, top + LINE_IN, case.photo.shape[1] * scale, case.photo.shape[0] * scale)
    show_image(axes, case.photo)
    frame(axes)
    for level, view in enumerate(case.views):
        x = left + PHOTO_IN + GAP_IN + level * (VIEW_IN + GAP_IN)
        cell, n = case.grid.cell(case.sequence[:level]), len(view.pixels)
        page.text(x, top + LINE_IN - 0.05, metres(cell.size_m), size=SMALL_PT, colour=QUIET)
        words = f"{percent(view.no_data)} no data" if view.no_data > NO_DATA_WORTH_SAYING else (
            f"p = {case.probabilities[level]:.2f}" if case.probabilities else "")
        page.text(x + VIEW_IN, top + LINE_IN - 0.05, words, size=SMALL_PT - 0.6, colour=QUIET, align="right")
        axes = page.axes(x, top + LINE_IN, VIEW_IN, VIEW_IN)
        show_image(axes, view.pixels)
        draw_grid(axes, n, grid, width=0.35)
        kind: CellKind = "chosen" if right is None else "right" if right[level] else "wrong"
        at = pixel_of(cell, *case.true_position, n) if case.true_position is not None else None
        draw_cell(axes, n, grid, case.sequence[level], kind, width=1.3, cell_pt=VIEW_IN * 72 / grid, avoid=at)
        if at is not None:
            draw_true(axes, *at, size=4.0)
        here = pixel_of(cell, *case.position, n) if case.facing is not None and level + 1 == len(case.views) else None
        if case.facing is not None and here is not None:
            draw_heading(axes, *here, case.facing, n / grid, 0.8)
        frame(axes)


def _legend_keys(cases: Sequence[Case]) -> list[str]:
    picks = {"chosen" if c.right is None else "right" if ok else "wrong" for c in cases for ok in c.right or (True,)}
    dots = ["dot"] if any(c.true_position is not None for c in cases) else []
    arrows = ["arrow"] if any(c.facing is not None for c in cases) else []
    return [k for k in ("right", "wrong", "chosen") if k in picks] + dots + arrows
