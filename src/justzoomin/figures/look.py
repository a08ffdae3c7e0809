"""How every picture looks: colours, fonts, halos, and a page laid out in inches."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke

# Okabe and Ito's colours, distinguishable with any colour vision; marks always repeat their meaning.
RIGHT = "#009E73"
WRONG = "#D55E00"
CHOSEN = "#F0E442"
TRUE = "#56B4E9"
INK = "#1A1A1A"
QUIET = "#6B6B6B"

DPI = 200
FONT = "DejaVu Sans"
"""Comes with matplotlib, so pictures look alike on every machine."""
TITLE_PT, TEXT_PT, SMALL_PT, NOTE_PT = 9.0, 6.8, 6.2, 5.0
MARGIN_IN = 0.12
NOTE_LINE_IN = 0.085

Align = Literal["left", "center", "right"]


def halo(width: float, colour: str = "black", alpha: float = 0.7) -> list[AbstractPathEffect]:
    """Return an outline of `width` points behind a line or a text, to keep it readable on any imagery."""
    return [Stroke(linewidth=width, foreground=colour, alpha=alpha), Normal()]


def font_file(bold: bool = False) -> Path:
    """Return the font's file, for drawing without matplotlib."""
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(FT2Font(str(font_file())).get_charmap())


def readable(text: str, limit: int = 48) -> str:
    """Return a name in printable form: one line, known glyphs only, shortened in its middle."""
    known = "".join(c if c.isprintable() and ord(c) in _glyphs() else "\N{WHITE SQUARE}" for c in text)
    if len(known) <= limit:
        return known
    head = (limit - 1) // 2
    return known[:head] + "…" + known[len(known) - (limit - 1 - head):]


def metres(value_m: float) -> str:
    """Format a length for the reader: `10 km`, `2.5 km`, `156 m`, `4.9 m`."""
    if value_m >= 999.5:
        return f"{value_m / 1000:.3g} km" if value_m < 999_500 else f"{value_m / 1000:.0f} km"
    return f"{value_m:.0f} m" if value_m >= 9.95 else f"{value_m:.2g} m"


def scale_bar_m(size_m: float, share: float = 0.34) -> float:
    """Return the longest of 1, 2, 5, 10, ... metres (any power of ten) that is at most `share` of a size."""
    top = size_m * share
    power = 10.0 ** math.floor(math.log10(top) + 1e-9)
    return max(f * power for f in (1.0, 2.0, 5.0) if f * power <= top * (1 + 1e-9))


def percent(share: float) -> str:
    """Format a share as a whole percentage; 100 % is used only for the whole."""
    return f"{min(round(100 * share), 99 if share < 1 else 100)} %"


class Page:
    """A figure whose parts are placed in inches from its top left corner.

    Made without pyplot: no state is shared with other figures.
    """

    def __init__(self, width_in: float, height_in: float) -> None:
        self.width_in, self.height_in = width_in, height_in
        self.figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add empty axes without ticks or frame."""
        box = (left / self.width_in, 1 - (top + height) / self.height_in, width / self.width_in, height / self.height_in)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        return axes

    def text(self, left: float, baseline: float, words: str, *, size: float = TEXT_PT, colour: str = INK,
             bold: bool = False, align: Align = "left", turned: bool = False) -> None:
        """Draw one line of text with its baseline at a height; rotated text is centred on its position."""
        self.figure.text(left / self.width_in, 1 - baseline / self.height_in, words, fontfamily=FONT, fontsize=size,
                         color=colour, fontweight="bold" if bold else "normal", ha="center" if turned else align,
                         va="center" if turned else "baseline", rotation=90 if turned else 0, rotation_mode="anchor",
                         parse_math=False)

    def line(self, x: Sequence[float], y: Sequence[float], *, width: float = 0.8, colour: str = INK) -> None:
        """Draw a line through positions in inches."""
        self.figure.add_artist(Line2D([v / self.width_in for v in x], [1 - v / self.height_in for v in y],
                                      linewidth=width, color=colour, solid_capstyle="butt"))

    def scale_bar(self, left: float, baseline: float, size_m: float, size_in: float, *, size: float = SMALL_PT) -> None:
        """Draw a scale bar with its length beside it, for a picture `size_m` wide that is drawn `size_in` wide."""
        length_m = scale_bar_m(size_m)
        length, y, tick = length_m / size_m * size_in, baseline - 0.03, 0.025
        self.line([left, left, left, left + length, left + length, left + length],
                  [y - tick, y + tick, y, y, y - tick, y + tick], width=0.7)
        self.text(left + length + 0.05, baseline, metres(length_m), size=size, colour=QUIET)

    def note(self, lines: Sequence[str]) -> None:
        """Draw small lines at the foot of the page."""
        for index, line in enumerate(reversed(lines)):
            self.text(MARGIN_IN, self.height_in - 0.07 - index * NOTE_LINE_IN, line, size=NOTE_PT, colour=QUIET)


def note_lines(attribution: str | None, width_in: float) -> list[str]:
    """Break an attribution into lines of the page's width."""
    if not attribution:
        return []
    room = max(20, int((width_in - 2 * MARGIN_IN) * 72 / (NOTE_PT * 0.56)))
    lines = [textwrap.wrap(readable(line, 2000), room) for line in attribution.strip().splitlines()]
    return [part for line in lines for part in line]


def note_height(lines: Sequence[str]) -> float:
    """Return the height in inches of notes at the foot of a page."""
    return len(lines) * NOTE_LINE_IN + (0.1 if lines else 0.04)
