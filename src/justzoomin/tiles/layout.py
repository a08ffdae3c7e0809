"""The contents of a `layout.yaml`: how tile numbers, pixels and a map projection belong together.

The format is that of tiledwebmaps 0.2.0 (`from_yaml`), which the dataset's `satellite/layout.yaml` uses. A key that is not
part of the format is an error, because a misspelt optional key would silently move the whole map. Tiles are fetched from
`url` only if no tile is on disk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from justzoomin.errors import LayoutError
from justzoomin.files import write_bytes
from justzoomin.untrusted import load_yaml

DEFAULT_PATH = "{zoom}/{x}/{y}.jpg"
_GEOMETRY_KEYS = ("crs", "tile_shape_px", "tile_shape_crs", "origin_crs", "size_crs", "tile_axes")
_OTHER_KEYS = ("preset", "min_zoom", "max_zoom", "path", "url")
_MAX_BYTES = 65_536
_MAX_TILE_PX = 8192
_MAX_ZOOM = 60
_PRESETS = ("XYZ",)
_HALF_WORLD_M = 6_378_137.0 * math.pi
"""Half the width of the web mercator square: radius of WGS 84 times pi."""
_SAME_M = 0.01


@dataclass(frozen=True)
class TileLayout:
    """A checked tile layout: everything needed to find the place of a tile by its number.

    Args:
        crs: The projection, in any form that PROJ understands ("epsg:26985", a PROJ string, WKT).
        tile_shape_px: Height and width of a tile in pixels; they are equal.
        tile_shape_crs: Size of a tile at zoom 0 in the projection's units; the two are equal.
        origin_crs: Where tile (0, 0) begins, in the projection's units and its own axis order.
        tile_axes: Directions in which tile x and tile y grow: north, east, south or west.
        min_zoom: Coarsest level; tiles of level z cover `tile_shape_crs / 2**z`.
        max_zoom: Finest level.
        path: Path of a tile in the layout's folder, with {zoom} (or {z}), {x} and {y}.
        size_crs: Size of the tiled area; needed if an axis grows south or west.
        url: Address template of a tile server; used only if no tile is on disk.
        preset: Name of the preset that the values came from, if any.
        shifts: Levels of a server whose tiles begin at another place than `origin_crs`, and the offsets from it in the
            projection's axis order. A `layout.yaml` has none.

    Raises:
        LayoutError: If a value is not valid; it names the field.
    """

    crs: str = "epsg:3857"
    tile_shape_px: tuple[int, int] = (256, 256)
    tile_shape_crs: tuple[float, float] = (1.0, 1.0)
    origin_crs: tuple[float, float] = (0.0, 0.0)
    tile_axes: tuple[str, str] = ("east", "south")
    min_zoom: int = 0
    max_zoom: int = 0
    path: str = DEFAULT_PATH
    size_crs: tuple[float, float] | None = None
    url: str | None = None
    preset: str | None = None
    shifts: tuple[tuple[int, tuple[float, float]], ...] = ()

    def __post_init__(self) -> None:
        _check(self, "layout")

    @property
    def tile_px(self) -> int:
        """Edge of a tile in pixels."""
        return self.tile_shape_px[0]

    def tile_size_crs(self, level: int) -> float:
        """Return the edge of a level's tiles in the projection's units."""
        return self.tile_shape_crs[0] * 2.0 ** -level

    def tiles_around(self, level: int) -> int | None:
        """Return how many tiles of a level go around the earth; None unless x counts web mercator from the antimeridian."""
        if self.crs.strip().lower() != "epsg:3857" or self.tile_axes[0] != "east" or \
                abs(self.origin_crs[0] + _HALF_WORLD_M) > _SAME_M:
            return None
        count = 2.0 * _HALF_WORLD_M / self.tile_size_crs(level)
        return round(count) if count >= 1.0 and abs(count - round(count)) < 1e-9 * count else None

    def same_place(self, other: TileLayout) -> bool:
        """Return whether both give the same places the same numbers, whatever levels and files they have."""
        return all(getattr(self, key) == getattr(other, key) for key in _GEOMETRY_KEYS if key != "crs") \
            and self.crs.strip().lower() == other.crs.strip().lower() and self.shifts == other.shifts

    def to_mapping(self) -> dict[str, Any]:
        """Return the plain values of a `layout.yaml`; tiledwebmaps reads them too."""
        values: dict[str, Any] = {"min_zoom": self.min_zoom, "max_zoom": self.max_zoom, "path": self.path}
        if self.preset is not None:
            values["preset"] = self.preset
        else:
            values["crs"] = self.crs
            for key in _GEOMETRY_KEYS[1:]:
                value = getattr(self, key)
                if value is not None:
                    values[key] = list(value)
        if self.url is not None:
            values["url"] = self.url
        return values

    def save(self, path: Path) -> Path:
        """Write a `layout.yaml`, atomically; return its path."""
        import yaml

        return write_bytes(Path(path), yaml.safe_dump(self.to_mapping()).encode())

    @classmethod
    def from_mapping(cls, values: object, where: str | Path = "layout") -> TileLayout:
        """Build a layout from the keys of a `layout.yaml`.

        Raises:
            LayoutError: If a key is missing, unknown, contradictory or of the wrong kind; it names the key.
        """
        if not isinstance(values, Mapping):
            raise LayoutError(where, "it does not hold a mapping", "Write `key: value` lines, at least min_zoom and max_zoom.")
        known = (*_GEOMETRY_KEYS, *_OTHER_KEYS)
        unknown = [repr(key)[:60] for key in values if key not in known]
        if unknown:
            raise LayoutError(where, f"unknown field {', '.join(unknown[:5])}", f"A layout has: {', '.join(known)}.")
        for key in ("min_zoom", "max_zoom"):
            if key not in values:
                raise LayoutError(f"{where}: {key}", "the field is missing", "State the coarsest and the finest level.")
        fields = dict(values)
        if "preset" in fields:
            fields.update(_preset(fields, where))
        for key in ("tile_shape_px", "tile_shape_crs", "origin_crs", "size_crs", "tile_axes"):
            if isinstance(fields.get(key), list):
                fields[key] = tuple(fields[key])
        try:
            return cls(**fields)
        except LayoutError as error:
            raise LayoutError(f"{where}{error.where.removeprefix('layout')}", error.what, error.remedy) from error

    @classmethod
    def load(cls, path: Path) -> TileLayout:
        """Read a `layout.yaml`.

        Raises:
            LayoutError: If the file is missing, too large or not plain YAML, or a field is wrong.
        """
        return cls.from_mapping(load_yaml(Path(path), _MAX_BYTES), path)


def web_layout(min_zoom: int, max_zoom: int, tile_px: int = 256, url: str | None = None) -> TileLayout:
    """Return the layout of web maps: the web mercator square, tile y growing south.

    Raises:
        LayoutError: If the levels or the size are not valid.
    """
    values = {"preset": "XYZ", "min_zoom": min_zoom, "max_zoom": max_zoom, "path": "{zoom}/{x}/{y}.png"}
    layout = TileLayout.from_mapping(values if url is None else {**values, "url": url})
    return layout if tile_px == 256 else replace(layout, tile_shape_px=(tile_px, tile_px), preset=None)


def is_web_square(layout: TileLayout) -> bool:
    """Return whether tiles are numbered and placed as in web maps, whatever their size in pixels."""
    square = web_layout(0, 0)
    return replace(layout, tile_shape_px=square.tile_shape_px).same_place(square)


def _preset(fields: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """Return the values of a preset: XYZ is the web mercator square, tile y growing south."""
    name = fields["preset"]
    if name not in _PRESETS:
        raise LayoutError(f"{where}: preset", f"unknown preset {name!r}", f"Presets: {', '.join(_PRESETS)}.")
    both = [key for key in _GEOMETRY_KEYS if key in fields]
    if both:
        raise LayoutError(f"{where}: preset", f"it cannot be combined with {', '.join(both)}",
                          "Remove the preset or these fields.")
    world = 2.0 * _HALF_WORLD_M
    return {"crs": "epsg:3857", "tile_shape_px": (256, 256), "tile_shape_crs": (world, world),
            "origin_crs": (-_HALF_WORLD_M, -_HALF_WORLD_M), "size_crs": (world, world), "tile_axes": ("east", "south")}


def _pair(layout: TileLayout, name: str, kinds: tuple[type, ...], where: str) -> None:
    value = getattr(layout, name)
    words = "numbers" if float in kinds else "whole numbers" if int in kinds else "words"
    if not isinstance(value, tuple) or len(value) != 2 or any(type(v) not in kinds for v in value):
        raise LayoutError(f"{where}: {name}", f"{_short(value)} is not two {words}", f"Write two {words} in brackets.")
    if float in kinds:
        if not all(math.isfinite(v) and abs(v) < 1e12 for v in value):
            raise LayoutError(f"{where}: {name}", f"{value} is not finite or too large", "Write finite numbers.")
        object.__setattr__(layout, name, tuple(float(v) for v in value))


def _check(layout: TileLayout, where: str) -> None:
    """Check every field of a layout; numbers become floats.

    Raises:
        LayoutError: With the name of the first field that is wrong.
    """
    if not isinstance(layout.crs, str) or not 0 < len(layout.crs) < 20_000:
        raise LayoutError(f"{where}: crs", f"{_short(layout.crs)} is not a text", "Name a projection such as epsg:26985.")
    _pair(layout, "tile_shape_px", (int,), where)
    for name in ("tile_shape_crs", "origin_crs", *(("size_crs",) if layout.size_crs is not None else ())):
        _pair(layout, name, (int, float), where)
    _pair(layout, "tile_axes", (str,), where)
    if not all(1 <= v <= _MAX_TILE_PX for v in layout.tile_shape_px) or len(set(layout.tile_shape_px)) != 1:
        raise LayoutError(f"{where}: tile_shape_px", f"{layout.tile_shape_px} is not a square of 1 to {_MAX_TILE_PX} px",
                          "Tiles must be square.")
    if not layout.tile_shape_crs[0] > 0 or len(set(layout.tile_shape_crs)) != 1:
        raise LayoutError(f"{where}: tile_shape_crs", f"{layout.tile_shape_crs} is not a square of positive size",
                          "Tiles must be square.")
    flat = {"north": 0, "south": 0, "east": 1, "west": 1}
    if {flat.get(axis) for axis in layout.tile_axes} != {0, 1}:
        raise LayoutError(f"{where}: tile_axes", f"{layout.tile_axes} are not the two axes of a map",
                          "Write one of east, west and one of north, south.")
    if layout.size_crs is None and {"south", "west"} & set(layout.tile_axes):
        raise LayoutError(f"{where}: size_crs", f"the field is missing, but tile_axes {layout.tile_axes} need it",
                          "State the size of the tiled area in the projection's units.")
    for name in ("min_zoom", "max_zoom"):
        value = getattr(layout, name)
        if type(value) is not int or abs(value) > _MAX_ZOOM:
            raise LayoutError(f"{where}: {name}", f"{_short(value)} is not a level",
                              f"Give a whole number from {-_MAX_ZOOM} to {_MAX_ZOOM}.")
    if layout.min_zoom > layout.max_zoom:
        raise LayoutError(f"{where}: min_zoom", f"{layout.min_zoom} is finer than max_zoom {layout.max_zoom}",
                          "min_zoom is the coarsest level.")
    for name in ("url", "preset"):
        if not isinstance(getattr(layout, name), str | None):
            raise LayoutError(f"{where}: {name}", f"{_short(getattr(layout, name))} is not a text", "Write it as text.")
    _check_path(layout, where)


def _check_path(layout: TileLayout, where: str) -> None:
    """Check that a tile path stays inside its folder and holds zoom, x and y once each and nothing else in braces."""
    path = layout.path
    if not isinstance(path, str) or not 0 < len(path) < 1000:
        raise LayoutError(f"{where}: path", f"{_short(path)} is not a text", f"Write for example '{DEFAULT_PATH}'.")
    if "{" not in path:
        path = f"{path.rstrip('/')}/{DEFAULT_PATH}"
        object.__setattr__(layout, "path", path)
    rest = path.replace("{z}", "{zoom}")
    parts = PurePosixPath(rest).parts
    if rest.startswith("/") or ".." in parts or "\\" in rest or "\0" in rest:
        raise LayoutError(f"{where}: path", f"{path!r} leads out of the map's folder", "Write a path below the folder.")
    if any(rest.count("{" + name + "}") != 1 for name in ("zoom", "x", "y")) or rest.count("{") != 3:
        raise LayoutError(f"{where}: path", f"{path!r} must hold {{zoom}}, {{x}} and {{y}} once each and no other braces",
                          f"Write for example '{DEFAULT_PATH}'.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


CARD_LAYOUT = TileLayout(
    crs="epsg:26985", tile_shape_px=(250, 250), tile_shape_crs=(20.0, 20.0), origin_crs=(600.0, 200.0),
    tile_axes=("east", "north"), min_zoom=-9, max_zoom=0)
"""The layout of the published dataset (its card, `satellite/layout.yaml`)."""
AERIAL_ATTRIBUTION = ("Aerial orthophotography derived from Open Data DC / Government of the District of Columbia, "
                      "licensed under CC BY 4.0.")
"""The attribution that the dataset card asks for with that map."""
