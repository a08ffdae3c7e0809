"""Sentences about what the numbers of a map check mean for training."""

from __future__ import annotations

from collections.abc import Sequence

from justzoomin.checks.map_report import LevelCheck
from justzoomin.checks.tilequality import LevelQuality

COVERAGE = 0.999
"""A warning is given for levels that cover less of the region than this."""
STEP = 0.005
"""A level may cover this much less than the one before it: finer tiles follow the outline of the data more closely."""
TILES_ACROSS = 24.0
"""Views made of more tiles a side than this are slow to draw."""


def judge(levels: Sequence[LevelCheck], qualities: Sequence[LevelQuality], coarsest: int,
          places: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the problems that prevent training, and the warnings.

    Args:
        levels: The grid's levels.
        qualities: The samples of tiles.
        coarsest: Coarsest level of the layout.
        places: Number of given places.
    """
    problems: list[str] = []
    warnings: list[str] = []
    for level in levels:
        _service(level, coarsest, problems, warnings)
    for before, level in zip((None, *levels), levels, strict=False):
        _coverage(level, before, places, problems, warnings)
    sizes = {level.need.map_level: level.need.map_metres_per_pixel for level in levels}
    finest = max(sizes)
    for quality in qualities:
        _quality(quality, sizes[quality.level], quality.level == finest, problems, warnings)
    return tuple(problems), tuple(warnings)


def _name(level: LevelCheck) -> str:
    size = level.need.size_m
    return f"grid level {level.need.level} (views of {size:,.0f} m)" if size >= 100 else \
        f"grid level {level.need.level} (views of {size:.3g} m)"


def _service(level: LevelCheck, coarsest: int, problems: list[str], warnings: list[str]) -> None:
    need = level.need
    if need.service == "missing":
        problems.append(f"{_name(level)}: they are drawn from map level {need.map_level}, which has no tile. "
                        f"Build or download level {need.map_level}.")
    elif need.service == "too_large":
        problems.append(f"{_name(level)}: one view would need {need.tiles_across:,.0f} x {need.tiles_across:,.0f} tiles "
                        f"of level {coarsest}, the coarsest. Build coarser levels.")
    elif need.tiles_across > TILES_ACROSS:
        warnings.append(f"{_name(level)}: each needs {need.tiles_across:.0f} x {need.tiles_across:.0f} tiles, which is slow. "
                        "Build coarser levels.")
    if need.service == "enlarged":
        warnings.append(f"{_name(level)}: they need {need.metres_per_pixel:.3g} m per pixel, but the finest map level "
                        f"{need.map_level} has {need.map_metres_per_pixel:.3g} m: they are enlarged and show no more detail. "
                        "Use fewer levels, fewer pixels or finer imagery.")


def _coverage(level: LevelCheck, before: LevelCheck | None, places: int, problems: list[str], warnings: list[str]) -> None:
    if level.need.service == "missing":
        return
    where = f"{_name(level)}, map level {level.need.map_level}"
    if level.coverage == 0.0:
        problems.append(f"{where}: no tile is in the region. Give the region that the map covers "
                        "(jzi region fit proposes one), or build the level.")
        return
    if level.coverage < COVERAGE and (before is None or level.coverage < before.coverage - STEP):
        parts = f"{level.empty:,} of {level.looked_at:,} cells have no tile, {level.partly:,} lack a part"
        finer = "" if before is None else f", the previous level covers {before.coverage:.1%}"
        warnings.append(f"{where}: {level.coverage:.1%} of the region has tiles{finer}; {parts}. Views are white there: "
                        "download or build the missing tiles, or use a smaller region.")
    if level.places_without:
        warnings.append(f"{where}: {level.places_without:,} of {places:,} photos are where it has no tile. "
                        "Drop them or build the missing tiles.")


def _quality(quality: LevelQuality, metres_per_pixel: float, finest: bool, problems: list[str],
             warnings: list[str]) -> None:
    where = f"map level {quality.level}"
    if quality.broken:
        problems.append(f"{where}: {len(quality.broken)} of {quality.sampled} sampled tiles are broken, and training stops "
                        f"at the first broken one ({quality.broken[0]}).")
    for kind, tiles in (("black", quality.solid_black), ("white", quality.solid_white)):
        if tiles:
            x, y = tiles[0]
            warnings.append(f"{where}: {len(tiles)} of {quality.sampled} sampled tiles are completely {kind} (the first is "
                            f"{quality.level}/{x}/{y}): they count as covered but show nothing. "
                            "If the imagery has a no-data value, build the map again with it.")
    blank = quality.black if quality.black > quality.white else quality.white
    if blank > 0.02 and not (quality.solid_black or quality.solid_white):
        warnings.append(f"{where}: {quality.part_blank} of {quality.sampled} sampled tiles are partly white or black "
                        f"({quality.white + quality.black:.1%} of all sampled pixels): the edge of the imagery, or places "
                        "without data.")
    if finest and quality.judged and 2 * quality.enlarged > quality.judged and quality.enlargement:
        real = metres_per_pixel * max(2, quality.enlargement)
        warnings.append(f"{where}: {quality.enlarged} of {quality.judged} sampled tiles with texture have no detail at "
                        f"{metres_per_pixel:.3g} m per pixel; the imagery looks enlarged, and shows no more detail than "
                        f"imagery of {real:.3g} m per pixel.")
