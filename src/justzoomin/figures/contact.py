"""A checked map at a glance: the region and its coverage, and sample cells of every level."""

from __future__ import annotations

import textwrap

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from justzoomin.checks import CellCover, LevelQuality, MapCheck, cell_places
from justzoomin.errors import TileError
from justzoomin.figures.case import NO_DATA_WORTH_SAYING
from justzoomin.figures.look import (
    MARGIN_IN,
    QUIET,
    RIGHT,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    WRONG,
    Page,
    metres,
    note_height,
    note_lines,
    percent,
    readable,
)
from justzoomin.figures.marks import draw_grid, frame, show_image
from justzoomin.figures.pictures import ViewPictures
from justzoomin.geometry import format_sequence
from justzoomin.maps import GridViews, Map

COLUMNS = 6
CELL_IN, GAP_IN = 1.2, 0.1
ROW_HEAD_IN, CAPTION_IN, ROW_GAP_IN = 0.2, 0.27, 0.1
ROOT_IN, TITLE_IN, LINE_IN = 3.8, 0.36, 0.118
COVERS_ACROSS, COVER_GAP_IN, COVER_CAPTION_IN = 4, 0.1, 0.2
ROOT_PIXELS = (1024, 768, 512, 384, 192)
SHOWN_FINDINGS = 10
_AMBER = "#8A5A00"
_COVERED, _MISSING = (196, 201, 206), (213, 94, 0)


def contact_sheet(check: MapCheck, source: Map, attribution: str | None = None, *, seed: int = 0) -> Figure:
    """Draw a checked map: the whole region, coverage per level, and views of cells spread over it.

    The caption of a view gives its size, the map level it was drawn from, and its share without data. The last view of a row
    is the cell with the fewest tiles.

    Args:
        check: The result of `check_map`.
        source: The map.
        attribution: Whom to credit at the foot.
        seed: Seed of the choice of cells.
    """
    width = 2 * MARGIN_IN + COLUMNS * CELL_IN + (COLUMNS - 1) * GAP_IN
    rows = len(check.levels) - 1
    row_in = ROW_HEAD_IN + CELL_IN + CAPTION_IN + ROW_GAP_IN
    side_in = width - ROOT_IN - 2 * MARGIN_IN - 0.2
    facts = _facts(check, side_in)
    covers_in = -(-len(check.levels) // COVERS_ACROSS) * (_cover_in(side_in) + COVER_CAPTION_IN) + 0.1
    top_in = max(ROOT_IN + CAPTION_IN, len(facts) * LINE_IN + covers_in) + ROW_GAP_IN
    note = note_lines(attribution, width)
    page = Page(width, TITLE_IN + top_in + rows * row_in + note_height(note))
    colour = {"good": RIGHT, "usable with warnings": _AMBER}.get(check.verdict, WRONG)
    page.text(MARGIN_IN, 0.22, readable(f"Map {check.root}", 70), size=TITLE_PT, bold=True)
    page.text(width - MARGIN_IN, 0.22, check.verdict, size=TITLE_PT, bold=True, colour=colour, align="right")
    pictures = ViewPictures(GridViews(source, check.grid, check.pixels))
    _view(page, check, pictures, (), MARGIN_IN, TITLE_IN, ROOT_IN)
    left = MARGIN_IN + ROOT_IN + 0.2
    _covers(page, check, left, TITLE_IN, side_in)
    for index, (words, tint) in enumerate(facts):
        page.text(left, TITLE_IN + covers_in + 0.06 + index * LINE_IN, words, size=SMALL_PT - 0.2, colour=tint)
    for row, level in enumerate(check.levels[1:], 1):
        top = TITLE_IN + top_in + (row - 1) * row_in
        need = level.need
        page.text(MARGIN_IN, top + ROW_HEAD_IN - 0.06, f"level {need.level}", size=TEXT_PT, bold=True)
        page.text(MARGIN_IN + 0.5, top + ROW_HEAD_IN - 0.06,
                  f"{need.cells:,} cells of {metres(need.size_m)} · needs {need.metres_per_pixel:.3g} m per pixel · "
                  f"drawn from map level {need.map_level} ({need.map_metres_per_pixel:.3g} m) · "
                  f"{_share(level.coverage)} of the region has tiles", size=SMALL_PT, colour=QUIET)
        for column, number in enumerate(sample_cells(check, row, COLUMNS, seed)):
            sequence = tuple(int(a) for a in check.grid.unflatten(number, row)[0])
            x = MARGIN_IN + column * (CELL_IN + GAP_IN)
            _view(page, check, pictures, sequence, x, top + ROW_HEAD_IN, CELL_IN)
    page.note(note)
    return page.figure


def sample_cells(check: MapCheck, level: int, count: int, seed: int) -> list[int]:
    """Return numbers of cells of a level: far apart and with tiles if possible, and the one with the fewest tiles last."""
    cover = check.covers[level]
    rng = np.random.default_rng([seed, level])
    worst = int(np.flatnonzero(cover.share == cover.share.min())[0])
    pool = np.flatnonzero(cover.share > 0.0)
    pool = pool[pool != worst] if len(pool) > count else np.array([i for i in range(len(cover.cells)) if i != worst])
    if len(pool) == 0:
        return [int(cover.cells[worst])]
    if len(pool) > 2000:
        pool = np.sort(rng.choice(pool, 2000, replace=False))
    place = cell_places(check.grid, level, cover.cells[pool])
    chosen = [int(rng.integers(len(pool)))]
    gap = np.linalg.norm(place - place[chosen[0]], axis=1)
    while len(chosen) < min(count - 1, len(pool)):  # always add the one farthest from those chosen
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(place - place[chosen[-1]], axis=1))
    return [int(cover.cells[pool[i]]) for i in sorted(chosen)] + [int(cover.cells[worst])]


def _view(page: Page, check: MapCheck, pictures: ViewPictures, sequence: tuple[int, ...], left: float, top: float,
          edge: float) -> None:
    """Draw a cell's view with captions: as sharp as the map allows, and what the model's own view of it lacks."""
    axes = page.axes(left, top, edge, edge)
    name = f"cell {format_sequence(sequence)}" if sequence else "the whole region"
    below, small = top + edge, SMALL_PT - 0.6
    page.scale_bar(left, below + 0.11, check.grid.cell_size_m(len(sequence)), edge, size=small)
    page.text(left, below + 0.21, name, size=small, colour=QUIET)
    try:
        view = pictures.get(sequence, ROOT_PIXELS if not sequence else None)
        no_data = pictures.own.no_data(sequence)
    except TileError:  # the reason is among the problems beside the region
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor="#E4E4E4", edgecolor="none"))
        page.text(left + edge / 2, top + edge / 2, "cannot be drawn", size=small, colour=WRONG, align="center")
    else:
        words = "no data" if no_data == 1.0 else f"{_share(no_data)} no data" if no_data else "no gap"
        page.text(left + edge, below + 0.21, words, size=small, align="right",
                  colour=WRONG if no_data > NO_DATA_WORTH_SAYING else QUIET)
        show_image(axes, view.pixels)
        draw_grid(axes, len(view.pixels), check.grid.grid, width=0.3 if sequence else 0.6)
    frame(axes)


def _share(share: float) -> str:
    return percent(share) if share >= 0.01 else "under 1 %"


def _cover_in(width: float) -> float:
    return (width - (COVERS_ACROSS - 1) * COVER_GAP_IN) / COVERS_ACROSS


def _covers(page: Page, check: MapCheck, left: float, top: float, width: float) -> None:
    """Draw small maps of the region, one per level: grey where there are tiles, orange where there are none."""
    edge = _cover_in(width)
    for index, (level, cover) in enumerate(zip(check.levels, check.covers, strict=True)):
        line, column = divmod(index, COVERS_ACROSS)
        x, y = left + column * (edge + COVER_GAP_IN), top + line * (edge + COVER_CAPTION_IN)
        axes = page.axes(x, y, edge, edge)
        axes.imshow(cover_picture(cover), interpolation="nearest", aspect="equal", origin="upper")
        frame(axes)
        page.text(x, y + edge + 0.1, f"level {level.need.level}: {_share(level.coverage)}", size=SMALL_PT - 0.4)
    page.text(left, top + -(-len(check.levels) // COVERS_ACROSS) * (edge + COVER_CAPTION_IN) + 0.02,
              "grey: share of the region with tiles · orange: no tile", size=SMALL_PT - 0.6, colour=QUIET)


def cover_picture(cover: CellCover) -> npt.NDArray[np.uint8]:
    """Return the region's coverage, uint8 RGB (64, 64, 3): grey with tiles, orange without, white where unknown."""
    share = cover.picture[..., None]
    mixed = share * np.array(_COVERED) + (1 - share) * np.array(_MISSING)
    return np.where(np.isnan(share), 255, mixed).astype(np.uint8)


def _facts(check: MapCheck, width: float) -> list[tuple[str, str]]:
    """Return the lines of text beside the region, each with its colour: the grid, the sampled tiles, the findings."""
    centre, grid = check.grid.region.centre, check.grid
    paragraphs = [(words, QUIET) for words in (
        f"centre {centre.lat:.6f}, {centre.lon:.6f} (lat, lon) · side {metres(grid.region.size_m)}",
        f"{grid.grid} x {grid.grid} cells, {grid.depth} levels, terminal cells of {metres(grid.cell_size_m(grid.depth))}",
        f"views of {check.pixels} px, north up · {readable(check.crs, 24)}, "
        f"grid north is {abs(check.convergence_deg):.2f}° {'west' if check.convergence_deg < 0 else 'east'} of true north",
        *(_sample_words(quality) for quality in check.qualities))]
    if check.unused:
        levels = ", ".join(str(level) for level, _, _ in check.unused)
        paragraphs.append((f"no view needs map level {levels}: {sum(b for _, _, b in check.unused) / 1e6:,.1f} MB", QUIET))
    found = [*((p, WRONG) for p in check.problems), *((w, _AMBER) for w in check.warnings)]
    paragraphs += [("• " + words.partition(". ")[0], tint) for words, tint in found[:SHOWN_FINDINGS]]
    if len(found) > SHOWN_FINDINGS:
        paragraphs.append((f"and {len(found) - SHOWN_FINDINGS} more: jzi map check lists them", QUIET))
    room = int(width * 72 / ((SMALL_PT - 0.2) * 0.55))
    return [(line, tint) for words, tint in paragraphs for line in textwrap.wrap(readable(words, 400), room)]


def _sample_words(quality: LevelQuality) -> str:
    blank = len(quality.solid_white) + len(quality.solid_black)
    detail = "not judged" if quality.sharpness is None else f"{quality.sharpness:.2f}"
    return (f"map level {quality.level}: {quality.sampled} of {quality.tiles:,} tiles decoded, {len(quality.broken)} broken, "
            f"{blank} blank, {quality.white:.1%} white, {quality.black:.1%} black, detail {detail}")
