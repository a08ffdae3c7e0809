"""Grids on disk: `region.yaml` and the presets that come with the package."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from justzoomin.errors import GeometryError, LayoutError
from justzoomin.files import write_bytes
from justzoomin.geometry.grid import ZoomGrid
from justzoomin.geometry.region import Region
from justzoomin.untrusted import load_yaml

_KEYS = {"reference_lat", "reference_lon", "east_m", "north_m"}
_OPTIONAL = {"grid", "depth", "name"}
_MAX_BYTES = 65_536


def grid_to_dict(grid: ZoomGrid) -> dict[str, float | int | list[float]]:
    """Return the plain numbers of a grid for a `region.yaml`."""
    region = grid.region
    return {
        "reference_lat": region.reference_lat, "reference_lon": region.reference_lon,
        "east_m": list(region.east_m), "north_m": list(region.north_m), "grid": grid.grid, "depth": grid.depth,
    }


def grid_from_dict(values: object, where: str | Path) -> ZoomGrid:
    """Build a grid from the keys of `region.yaml`; grid and depth default to 4.

    Raises:
        LayoutError: If a key is missing, unknown or of the wrong kind.
        GeometryError: If the numbers cannot be a region.
    """
    keys = ", ".join(sorted(_KEYS))
    if not isinstance(values, dict):
        raise LayoutError(where, "it does not hold a mapping", f"Write the keys {keys}.")
    missing, unknown = _KEYS - set(values), set(values) - _KEYS - _OPTIONAL
    if missing or unknown:
        raise LayoutError(where, f"missing keys {sorted(missing)}, unknown keys {sorted(map(str, unknown))}",
                          f"A region has {keys} and may have grid and depth.")
    try:
        bounds = {name: _bounds(values[name], name, where) for name in ("east_m", "north_m")}
        region = Region(_number(values["reference_lat"], "reference_lat", where),
                        _number(values["reference_lon"], "reference_lon", where), bounds["east_m"], bounds["north_m"])
        grid, depth = values.get("grid", 4), values.get("depth", 4)
        if not (type(grid) is int and type(depth) is int):
            raise LayoutError(where, f"grid {grid!r} and depth {depth!r}", "Give whole numbers for both.")
        return ZoomGrid(region, grid, depth)
    except GeometryError as error:
        raise type(error)(f"{where}: {error.where}", error.what, error.remedy) from error


def _number(value: object, name: str, where: str | Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        raise LayoutError(f"{where}: {name}", f"{str(value)[:80]!r} is not a number",
                          "Write degrees and metres as plain numbers.")
    return float(value)


def _bounds(value: object, name: str, where: str | Path) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise LayoutError(f"{where}: {name}", f"{str(value)[:80]!r} are not two numbers",
                          "Write the lower and the upper bound in metres: [lower, upper].")
    return _number(value[0], name, where), _number(value[1], name, where)


def load_grid(path: Path) -> ZoomGrid:
    """Read a grid from a `region.yaml`.

    Raises:
        LayoutError: If the file is missing, too large, not YAML, or its keys are wrong.
        GeometryError: If the numbers cannot be a region.
    """
    return grid_from_dict(load_yaml(Path(path), _MAX_BYTES), path)


def save_grid(grid: ZoomGrid, path: Path) -> Path:
    """Write a grid as a `region.yaml`, atomically; return its path."""
    import yaml

    return write_bytes(Path(path), yaml.safe_dump(grid_to_dict(grid), sort_keys=False).encode())


def preset(name: str) -> ZoomGrid:
    """Return a grid that comes with the package: `dc` is the benchmark's Washington.

    Raises:
        GeometryError: If there is no preset of this name.
    """
    names = _preset_names()
    if name not in names:
        raise GeometryError(f"region preset {name!r}", "there is no preset of this name", f"Presets: {', '.join(names)}.")
    with resources.as_file(_presets() / f"{name}.yaml") as path:
        return load_grid(path)


def _presets() -> Traversable:
    return resources.files("justzoomin.geometry") / "presets"


def _preset_names() -> list[str]:
    return sorted(entry.name[:-5] for entry in _presets().iterdir() if entry.name.endswith(".yaml"))


def find_grid(name_or_path: str | Path) -> ZoomGrid:
    """Return a grid from a preset's name (`dc`) or from the path of a region.yaml.

    Raises:
        LayoutError: If it is neither.
        GeometryError: If it is a file whose numbers cannot be a region.
    """
    if isinstance(name_or_path, str) and name_or_path in _preset_names():  # a file with this name is given as ./dc
        return preset(name_or_path)
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "region.yaml"
    if path.suffix in {".yaml", ".yml"} or path.exists():
        return load_grid(path)
    return preset(str(name_or_path))
