"""One photo and how it was found: the views along the predicted path and, where it differs, the true one."""

from __future__ import annotations

from matplotlib.figure import Figure

from justzoomin.figures.case import NO_DATA_WORTH_SAYING, Case, PathView, Pixels, pixel_of
from justzoomin.figures.look import (
    INK,
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

VIEW_IN, GAP_IN, LABEL_IN = 1.45, 0.13, 0.22
HEAD_IN, CAPTION_IN, TITLE_IN, LEGEND_IN = 0.17, 0.2, 0.5, 0.06
PHOTO_IN = (2.58, 3.2)
"""Width of the photo's column beside one row of views, and beside two."""


def path_panel(case: Case, attribution: str | None = None) -> Figure:
    """Draw a photo with the views along its path.

    Each view has its size above it, and a scale bar and the probability of the pick below. If the truth is known and
    differs, a second row follows the true path; the true position is marked in every view that contains it.

    Args:
        case: The photo and its path.
        attribution: Whom to credit at the foot.
    """
    two = bool(case.true_views) and case.true_sequence is not None and case.true_sequence != case.sequence
    rows, depth = 2 if two else 1, max(len(case.sequence), len(case.true_sequence or ()) if two else 0)
    photo_in = PHOTO_IN[rows - 1]
    width = 2 * MARGIN_IN + photo_in + LABEL_IN + depth * VIEW_IN + (depth - 1) * GAP_IN
    row_in = HEAD_IN + VIEW_IN + CAPTION_IN
    note = note_lines(attribution, width)
    keys = _legend_keys(case, two)
    legend_in = 0.0 if two else LEGEND_IN + legend_height(keys, width - 2 * MARGIN_IN)
    page = Page(width, TITLE_IN + rows * row_in + legend_in + note_height(note))
    _title(page, case)
    room_in = rows * row_in - HEAD_IN - 1.0 if two else VIEW_IN
    photo_height = _photo(page, case.photo, MARGIN_IN, TITLE_IN + HEAD_IN, photo_in, room_in)
    left = MARGIN_IN + photo_in + LABEL_IN
    right = case.right
    for row in range(rows):
        top = TITLE_IN + row * row_in
        sequence, views = (case.sequence, case.views) if row == 0 else (case.true_sequence or (), case.true_views)
        page.text(left - 0.1, top + HEAD_IN + VIEW_IN / 2, "predicted path" if row == 0 else "true path", bold=True,
                  turned=True)
        for level, view in enumerate(views):
            kind: CellKind = "true" if row else "chosen" if right is None else "right" if right[level] else "wrong"
            _view(page, case, view, sequence, level, kind, left + level * (VIEW_IN + GAP_IN), top)
            if row == 0 and case.probabilities:
                page.text(left + level * (VIEW_IN + GAP_IN) + VIEW_IN, top + HEAD_IN + VIEW_IN + 0.12,
                          f"p = {case.probabilities[level]:.2f}", size=SMALL_PT, align="right")
    if two:
        legend(page, keys, MARGIN_IN + 0.02, TITLE_IN + HEAD_IN + photo_height + 0.2, None)
    else:
        legend(page, keys, MARGIN_IN + 0.02, TITLE_IN + row_in + 0.08, width - 2 * MARGIN_IN)
    page.note(note)
    return page.figure


def _title(page: Page, case: Case) -> None:
    error = case.error_m
    name = readable(case.name)
    page.text(MARGIN_IN, 0.22, name if error is None else f"{name} · error {metres(error)}", size=TITLE_PT, bold=True)
    lat, lon = case.position
    facts = [f"predicted {lat:.6f}, {lon:.6f} (cell of {metres(case.grid.cell_size_m(len(case.sequence)))})"]
    if case.true_position is not None:
        facts.append(f"true {case.true_position.lat:.6f}, {case.true_position.lon:.6f}")
    page.text(MARGIN_IN, 0.38, " · ".join(facts), size=TEXT_PT, colour=QUIET)


def _photo(page: Page, photo: Pixels, left: float, top: float, width: float, height: float) -> float:
    """Fit the photo into a box, at its top left; return its height."""
    scale: float = min(width / photo.shape[1], height / photo.shape[0])
    shown_w, shown_h = float(photo.shape[1] * scale), float(photo.shape[0] * scale)
    page.text(left, top - 0.05, "photo", size=SMALL_PT, colour=QUIET)
    axes = page.axes(left, top, shown_w, shown_h)
    show_image(axes, photo)
    frame(axes)
    return shown_h


def _view(page: Page, case: Case, view: PathView, sequence: tuple[int, ...], level: int, kind: CellKind, left: float,
          top: float) -> None:
    cell = case.grid.cell(sequence[:level])
    n, grid = len(view.pixels), case.grid.grid
    page.text(left, top + HEAD_IN - 0.05, metres(cell.size_m), size=SMALL_PT, bold=True, colour=INK)
    if view.no_data > NO_DATA_WORTH_SAYING:
        page.text(left + VIEW_IN, top + HEAD_IN - 0.05, f"{percent(view.no_data)} no data", size=SMALL_PT, colour=QUIET,
                  align="right")
    axes = page.axes(left, top + HEAD_IN, VIEW_IN, VIEW_IN)
    show_image(axes, view.pixels)
    draw_grid(axes, n, grid)
    at = pixel_of(cell, *case.true_position, n) if case.true_position is not None else None
    draw_cell(axes, n, grid, sequence[level], kind, width=1.6, cell_pt=VIEW_IN * 72 / grid, avoid=at)
    if at is not None:
        draw_true(axes, *at)
    faced = case.facing if sequence is case.sequence and level + 1 == len(sequence) else None
    here = pixel_of(cell, *case.position, n) if faced is not None else None
    if faced is not None and here is not None:
        draw_heading(axes, *here, faced, n / grid)
    frame(axes)
    page.scale_bar(left, top + HEAD_IN + VIEW_IN + 0.12, cell.size_m, VIEW_IN)


def _legend_keys(case: Case, two: bool) -> list[str]:
    right = case.right
    keys = ["chosen"] if right is None else [k for k, there in (("right", any(right)), ("wrong", not all(right))) if there]
    return keys + (["true"] if two else []) + (["dot"] if case.true_position is not None else []) + (
        ["arrow"] if case.facing is not None else [])
