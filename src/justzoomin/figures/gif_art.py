"""Frames of the animation: map, grid, cell, pin, the photo in a corner, text below."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from justzoomin.figures.case import Case, Pixels
from justzoomin.figures.look import CHOSEN, RIGHT, TRUE, WRONG, font_file, metres, readable, scale_bar_m

COLOURS = {"right": RIGHT, "wrong": WRONG, "chosen": CHOSEN}
ACCENTS = (*(ImageColor.getrgb(c)[:3] for c in (RIGHT, WRONG, CHOSEN, TRUE)), (255, 255, 255), (0, 0, 0), (24, 24, 24))
"""Colours of the marks, which every palette contains."""
_SUPER = 3
"""Overlays are drawn this many times larger and then reduced, for smooth edges."""
_STRIP, _NOTE_LINE, _NOTE_PX, _TEXT_PX = 24, 10, 8, 11
_INSET = 0.36
_BACK, _FRONT, _DIM = (24, 24, 24), (245, 245, 245), (150, 150, 150)


@dataclass(frozen=True)
class Overlay:
    """What is drawn over the map of one frame; places are shares of the map.

    Attributes:
        grid: Strength of the grid's lines, 0 to 1.
        cell: Left, top and edge of the chosen cell.
        kind: right, wrong or chosen.
        fill: Strength of the cell's highlight, 0 to 1.
        pin: Position of the pin's tip.
        true: True position.
    """

    grid: float = 0.0
    cell: tuple[float, float, float] | None = None
    kind: str = "chosen"
    fill: float = 0.0
    pin: tuple[float, float] | None = None
    true: tuple[float, float] | None = None


class FrameArt:
    """Draws the frames of one photo's animation.

    Args:
        case: The photo and its path.
        attribution: Whom to credit at the foot.
        pixels: Edge of the map.
    """

    def __init__(self, case: Case, attribution: str | None, pixels: int) -> None:
        self.case, self.pixels = case, pixels
        self._font = ImageFont.truetype(str(font_file()), _TEXT_PX)
        self._bold = ImageFont.truetype(str(font_file(bold=True)), _TEXT_PX)
        self._small = ImageFont.truetype(str(font_file()), _NOTE_PX)
        room = int(pixels / (_NOTE_PX * 0.54))
        self._notes = [part for line in (attribution or "").strip().splitlines()
                       for part in textwrap.wrap(readable(line, 2000), room)]
        self._inset, self._corner = self._photo()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.pixels, self.pixels + _STRIP + (len(self._notes) * _NOTE_LINE + 5 if self._notes else 0)

    def verdict(self) -> str:
        """Text of the last frame."""
        error = self.case.error_m
        if error is None:
            return f"{self.case.position.lat:.5f}, {self.case.position.lon:.5f}"
        return f"error {metres(error)}"

    def frame(self, image: Pixels, words: str, size_m: float, overlay: Overlay) -> Image.Image:
        """Draw one frame.

        Args:
            image: The map, uint8 (pixels, pixels, 3).
            words: Text of the strip.
            size_m: Edge of the map in metres, for the scale bar.
            overlay: What to draw over the map.
        """
        n = self.pixels
        page = Image.new("RGB", self.size, _BACK)
        page.paste(Image.fromarray(image), (0, 0))
        drawn = self._draw(overlay)
        page.paste(drawn, (0, 0), drawn)
        page.paste(self._inset, self._corner)
        draw = ImageDraw.Draw(page)
        middle = n + _STRIP / 2
        draw.text((8, middle), words, font=self._bold, fill=_FRONT, anchor="lm")
        length_m = scale_bar_m(size_m, 0.2)
        length, label = length_m / size_m * n, metres(length_m)
        right = n - 8 - draw.textlength("000 km", font=self._font) - 6
        draw.text((n - 8, middle), label, font=self._font, fill=_FRONT, anchor="rm")
        draw.line([(right - length, middle - 3), (right - length, middle + 3)], fill=_FRONT, width=1)
        draw.line([(right, middle - 3), (right, middle + 3)], fill=_FRONT, width=1)
        draw.line([(right - length, middle), (right, middle)], fill=_FRONT, width=1)
        for index, line in enumerate(self._notes):
            draw.text((8, n + _STRIP + index * _NOTE_LINE + 1), line, font=self._small, fill=_DIM, anchor="la")
        return page

    def _photo(self) -> tuple[Image.Image, tuple[int, int]]:
        """Return the photo with a border, and the corner that hides least of the chosen cells."""
        n, photo = self.pixels, Image.fromarray(self.case.photo)
        scale = min(_INSET * n / photo.width, _INSET * n / photo.height)
        size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
        framed = Image.new("RGB", (size[0] + 6, size[1] + 6), _BACK)
        framed.paste(_FRONT, (1, 1, size[0] + 5, size[1] + 5))
        framed.paste(photo.resize(size, Image.Resampling.LANCZOS), (3, 3))
        far_x, far_y, near = n - framed.width - 6, n - framed.height - 6, 6
        corners = [(near, near), (far_x, near), (near, far_y), (far_x, far_y)]
        hidden = [self._hidden(x / n, y / n, framed.width / n, framed.height / n) for x, y in corners]
        return framed, corners[int(np.argmin(hidden))]

    def _hidden(self, left: float, top: float, width: float, height: float) -> float:
        """Return the area of the path's cells under a box of the map."""
        grid, total = self.case.grid.grid, 0.0
        for action in self.case.sequence:
            row, col = divmod(action, grid)
            across = min(left + width, (col + 1) / grid) - max(left, col / grid)
            down = min(top + height, (row + 1) / grid) - max(top, row / grid)
            total += max(0.0, across) * max(0.0, down)
        return total

    def _draw(self, overlay: Overlay) -> Image.Image:
        n = self.pixels * _SUPER
        layer = Image.new("RGBA", (n, n), (0, 0, 0, 0))
        draw = ImageDraw.Draw(layer)
        if overlay.grid > 0:
            for k in range(1, self.case.grid.grid):
                at = k * n / self.case.grid.grid
                for width, shade in ((2 * _SUPER, (0, 0, 0, int(90 * overlay.grid))),
                                     (_SUPER, (255, 255, 255, int(225 * overlay.grid)))):
                    draw.line([(at, 0), (at, n)], fill=shade, width=width)
                    draw.line([(0, at), (n, at)], fill=shade, width=width)
        colour = ImageColor.getrgb(COLOURS[overlay.kind])[:3]
        if overlay.cell is not None:
            left, top, edge = (v * n for v in overlay.cell)
            box = (left, top, left + edge, top + edge)
            if overlay.fill > 0:
                light = Image.new("RGBA", (n, n), (0, 0, 0, 0))
                ImageDraw.Draw(light).rectangle(box, fill=(*colour, int(255 * overlay.fill)))
                layer = Image.alpha_composite(layer, light)
                draw = ImageDraw.Draw(layer)
            grown = (box[0] - _SUPER, box[1] - _SUPER, box[2] + _SUPER, box[3] + _SUPER)
            draw.rectangle(grown, outline=(0, 0, 0, 190), width=5 * _SUPER)
            draw.rectangle(box, outline=(*colour, 255), width=3 * _SUPER)
            if overlay.kind in {"right", "wrong"}:
                _badge(draw, box, overlay.kind, (*colour, 255), 0.05 * n)
        if overlay.true is not None:
            _dot(draw, overlay.true[0] * n, overlay.true[1] * n, 0.017 * n)
        if overlay.pin is not None:
            _pin(draw, overlay.pin[0] * n, overlay.pin[1] * n, 0.032 * n, (*colour, 255))
        return layer.resize((self.pixels, self.pixels), Image.Resampling.BOX)


def _badge(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], kind: str, colour: tuple[int, ...],
           size: float) -> None:
    """Draw a disc with a check or a cross, in the cell's upper right corner."""
    r = min(size / 2, 0.2 * (box[2] - box[0]))
    x, y = box[2] - r - 5 * _SUPER, box[1] + r + 5 * _SUPER
    draw.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=(255, 255, 255, 255), width=_SUPER)
    s, width = 0.45 * r, max(1, round(0.26 * r))
    white = (255, 255, 255, 255)
    if kind == "right":
        draw.line([(x - s, y), (x - 0.25 * s, y + 0.75 * s), (x + s, y - 0.75 * s)], fill=white, width=width, joint="curve")
    else:
        draw.line([(x - s, y - s), (x + s, y + s)], fill=white, width=width)
        draw.line([(x - s, y + s), (x + s, y - s)], fill=white, width=width)


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    for radius, colour in ((1.35 * r, (0, 0, 0, 190)), (1.15 * r, (255, 255, 255, 255)), (0.8 * r, ImageColor.getrgb(TRUE))):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _pin(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: tuple[int, ...]) -> None:
    """Draw a map pin whose tip is at (x, y)."""
    for grow, fill in ((0.26 * r, (0, 0, 0, 200)), (0.14 * r, (255, 255, 255, 255)), (0.0, colour)):
        top = y - 2.4 * r
        half = 0.86 * r + grow
        draw.polygon([(x, y + 1.6 * grow), (x - half, top + 0.5 * r), (x + half, top + 0.5 * r)], fill=fill)
        draw.ellipse((x - r - grow, top - r - grow, x + r + grow, top + r + grow), fill=fill)
    hole = 0.38 * r
    draw.ellipse((x - hole, y - 2.4 * r - hole, x + hole, y - 2.4 * r + hole), fill=(255, 255, 255, 255))
