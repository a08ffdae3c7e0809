"""The map's files in the new dataset: hard links where the file system supports them, otherwise copies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from justzoomin.errors import DataError, LayoutError
from justzoomin.files import free_bytes, open_to_write, remove_left
from justzoomin.geometry import ZoomGrid, save_grid
from justzoomin.maps import Map, layout_folder
from justzoomin.tiles import source_kind

Progress = Callable[[int, int], None]

_ROOM_BYTES = 64 << 20
"""What must stay free beside the copied map."""


@dataclass(frozen=True)
class MapFiles:
    """How the map was put into the dataset.

    Attributes:
        linked: Files that share their bytes with the map's.
        copied: Files that were copied.
        copied_bytes: Their bytes.
    """

    linked: int = 0
    copied: int = 0
    copied_bytes: int = 0


def map_folder(source: Map) -> Path:
    """Return the folder of a map's layout.yaml.

    Raises:
        LayoutError: If the map is a package, or a tile server without a folder.
    """
    if source.root.exists() and source_kind(source.root) == "path":
        return layout_folder(source.root)
    raise LayoutError(source.name, "photos can be imported only onto a map that is a folder with tiles",
                      "Make such a map with: jzi map build.")


def repository_of(source: Map) -> Path:
    """Return the folder of the dataset with this map: the one that it is in, or that photos added in place would make."""
    folder = map_folder(source)
    return folder.parent if folder.resolve().name == "satellite" else folder


def bring_map(source: Map, grid: ZoomGrid, out: Path, progress: Progress | None = None) -> MapFiles:
    """Link or copy a map's layout, region and tiles into a dataset's folder.

    Args:
        source: The map.
        grid: The grid to write as region.yaml.
        out: The dataset's folder.
        progress: Called with files done and their number.

    Raises:
        DataError: If the map must be copied and the disk has no room for it.
        LayoutError: If the map's tiles are not files.
        OSError: If a file cannot be written.
    """
    (out / "satellite").mkdir(parents=True, exist_ok=True)
    files = list(_files(source))
    save_grid(grid, out / "satellite" / "region.yaml")
    linked = copied = copied_bytes = 0
    for done, (path, name) in enumerate(files, 1):
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if _link(path, target):
            linked += 1
        else:
            if not copied:
                _require_room(out, sum(p.stat().st_size for p, _ in files[done - 1:]))
            copied_bytes += _copy(path, target)
            copied += 1
        if progress and (done % 64 == 0 or done == len(files)):
            progress(done, len(files))
    if copied:
        os.sync()  # before the folder gets its name
    return MapFiles(linked, copied, copied_bytes)


def _files(source: Map) -> Iterator[tuple[Path, str]]:
    """Yield the map's files and their names in a dataset."""
    folder = map_folder(source)
    yield folder / "layout.yaml", "satellite/layout.yaml"
    tiles = source.source.dataset_files()
    if tiles is None:
        raise LayoutError(source.name, "its tiles are neither files nor shards", "Make a folder of tiles with: jzi map build.")
    yield from tiles


def _link(path: Path, target: Path) -> bool:
    """Hard-link a file; return False if that is not possible."""
    if target.exists():
        if target.samefile(path):
            return True
        target.unlink()
    try:
        os.link(path.resolve(), target)
    except OSError:
        return False
    return True


def _copy(path: Path, target: Path) -> int:
    partial = target.with_name(f".{target.name}.part")
    remove_left(partial)
    with path.open("rb") as content, open_to_write(partial, told=target) as file:
        shutil.copyfileobj(content, file)
    partial.replace(target)
    return target.stat().st_size


def _require_room(out: Path, wanted: int) -> None:
    free = free_bytes(out)
    if free < wanted + _ROOM_BYTES:
        raise DataError(out, f"the map cannot be linked here, and copying its {wanted / 1e9:.1f} GB leaves no room "
                        f"({free / 1e9:.1f} GB are free)", "Import into a folder on the map's disk, or into the map's own.")
