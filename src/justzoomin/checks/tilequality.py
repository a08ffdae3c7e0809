"""Check a sample of a level's tiles: white and black areas, broken files, and how fine the imagery really is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.maps import Map
from justzoomin.tiles import Pixels, TileTable

WHITE, BLACK = 252, 6
"""Thresholds of white and black for all channels: JPEG changes pure white and black by a few grey levels."""
SOLID = 0.995
"""Tiles that are white, or black, to at least this share are empty."""
BLANK = 0.02
"""Tiles with a larger share of white or black are partly blank."""
OCTAVES = 4
ENLARGED = 0.05
"""An octave with less than this share of the strongest octave's energy has no detail of its own. Real aerial tiles have
more than 0.06, mostly more than 0.3; the same tiles enlarged twofold and saved as JPEG mostly have less than 0.04 (measured
on the published imagery and on synthetic towns)."""
_MIN_ENERGY = 4.0
"""Grey levels squared: tiles whose strongest octave has less (water, fog, one colour) say nothing about sharpness."""


@dataclass(frozen=True)
class LevelQuality:
    """A sample of the tiles of one map level.

    Args:
        level: The level.
        tiles: Number of all tiles of the level.
        sampled: Number of decoded tiles.
        white: Share of the sampled pixels that are white.
        black: Share of the sampled pixels that are black.
        solid_white: Sampled tiles that are entirely white, as (x, y).
        solid_black: Sampled tiles that are entirely black, as (x, y).
        part_blank: Other sampled tiles with more than 2 % of white or of black.
        broken: Tiles that cannot be decoded, with the error's text.
        judged: Sampled tiles with enough texture to judge the sharpness.
        enlarged: How many of the judged tiles have no detail at their own resolution.
        sharpness: Median over the judged tiles of the finest octave's energy over the strongest's; None if no tile is judged.
        enlargement: Median factor (1, 2, 4, 8) by which the imagery seems to be enlarged; None if no tile is judged.
    """

    level: int
    tiles: int
    sampled: int
    white: float
    black: float
    solid_white: tuple[tuple[int, int], ...]
    solid_black: tuple[tuple[int, int], ...]
    part_blank: int
    broken: tuple[str, ...]
    judged: int
    enlarged: int
    sharpness: float | None
    enlargement: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def level_quality(source: Map, table: TileTable, wanted: npt.NDArray[np.int64], count: int, seed: int) -> LevelQuality:
    """Decode a sample of a level's tiles.

    Args:
        source: The map.
        table: All tiles of the level.
        wanted: The tiles to sample from, (N, 2): those that the region needs.
        count: How many to decode; all if there are fewer.
        seed: Seed of the random sample, which takes one tile from each of `count` equal stretches.
    """
    take = min(count, len(wanted))
    edges = np.linspace(0, len(wanted), take + 1)
    chosen = np.floor(edges[:-1] + np.random.default_rng(seed).random(take) * np.diff(edges)).astype(int)
    whites, blacks, energies = [], [], []
    solid_white: list[tuple[int, int]] = []
    solid_black: list[tuple[int, int]] = []
    broken: list[str] = []
    part = 0
    for x, y in wanted[chosen].tolist():
        try:
            pixels = source.tile(table.level, x, y)
        except TileError as error:
            broken.append(str(error))
            continue
        if pixels is None:
            continue
        white, black = _share(pixels, WHITE, 255), _share(pixels, 0, BLACK)
        whites.append(white)
        blacks.append(black)
        if white >= SOLID:
            solid_white.append((x, y))
        elif black >= SOLID:
            solid_black.append((x, y))
        else:
            part += max(white, black) > BLANK
            if white + black <= BLANK:  # the border of a blank area would count as detail
                energies.append(octave_energy(pixels))
    ratios, factors = [], []
    for energy in energies:
        strongest = energy.max()
        if strongest >= _MIN_ENERGY:
            ratios.append(float(energy[0] / strongest))
            factors.append(2 ** int(np.flatnonzero(energy >= ENLARGED * strongest)[0]))
    return LevelQuality(
        table.level, len(table), len(whites) + len(broken), float(np.mean(whites)) if whites else 0.0,
        float(np.mean(blacks)) if blacks else 0.0, tuple(solid_white), tuple(solid_black), part, tuple(broken),
        len(ratios), sum(f > 1 for f in factors), float(np.median(ratios)) if ratios else None,
        int(np.median(factors)) if factors else None)


def _share(pixels: Pixels, low: int, high: int) -> float:
    """Return the share of pixels whose channels are all in a range."""
    import cv2

    return float(np.count_nonzero(cv2.inRange(pixels, (low,) * 3, (high,) * 3)) / (pixels.shape[0] * pixels.shape[1]))


def octave_energy(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the energy of a picture's finest octaves, finest first, as (OCTAVES,) grey levels squared.

    An octave is what is lost when the picture is averaged to half its size and enlarged again: by smooth interpolation, or
    by doubled pixels in their best position, whichever loses less, so that both ways of enlarging are detected.
    """
    import cv2

    grey = np.asarray(pixels, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    grey -= grey.mean()
    energies = []
    for _ in range(OCTAVES):
        height, width = (v // 2 * 2 for v in grey.shape)
        if min(height, width) < 8:
            break
        grey = grey[:height, :width]
        half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)
        inner = (slice(2, -2), slice(2, -2))
        lost = [float(np.mean((grey - smooth)[inner] ** 2))]
        for top, left in np.ndindex(2, 2):
            part = grey[top:height - top, left:width - left]
            means = (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2]) / 4
            lost.append(max(0.0, float(np.mean(part**2) - np.mean(means**2))))
        energies.append(min(lost))
        grey = np.asarray(half, np.float32)
    return np.array(energies)
