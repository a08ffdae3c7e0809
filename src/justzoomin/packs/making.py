"""A pack is made: what goes into it and how large it is, then the folder, which appears whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from justzoomin.archives import Manifest
from justzoomin.errors import ConfigError, DataError
from justzoomin.files import copy_file, free_bytes, sync_folder, work_folder, write_bytes, write_json
from justzoomin.maps import layout_folder
from justzoomin.models import find_folder
from justzoomin.models import model_files as files_of_model
from justzoomin.packs.contents import FORMAT, INDEX, MAP, MAX_FILES, MODEL, PACK_FILE, Rights
from justzoomin.tiles import SHARD_PATTERN, TileLayout, source_kind, tile_pattern

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PackPlan:
    """What a pack will hold.

    Args:
        title: Name of the place.
        map: The map's path below the pack.
        files: The source of each file, by its path below the pack.
        rights: Rights of `model` and `map`.
        bytes: Total size.
    """

    title: str
    map: str
    files: dict[str, Path]
    rights: dict[str, Rights]
    bytes: int


def plan_pack(model: str | Path, map: str | Path, index: str | Path | None, title: str, rights: dict[str, Rights]) -> PackPlan:
    """Find the files of a pack. Nothing is written.

    Args:
        model: Model folder, or `owner/name` on the hub.
        map: Folder of a map or a dataset (its photos stay out), or a tile package.
        index: Folder of the map's index under this model, or None.
        title: Name of the place.
        rights: Rights of `model` and `map`.

    Raises:
        ConfigError: If the map is a tile server, a licence is not named, or there are too many files.
        ModelError: If there is no such model.
        LayoutError: If there is no such map.
        DataError: If the index has no files.
    """
    for part in (MODEL, MAP):
        if not rights[part].licence.strip():
            raise ConfigError(f"licence of the {part}", "it is not named", f"Name it with --{part}-license.")
    folder = find_folder(model, None)
    files = {f"{MODEL}/{name}": folder / name for name in files_of_model(folder)}
    found, place = _map_files(map)
    files |= found
    if index is not None:
        views = {f"{INDEX}/{path.name}": path for path in sorted(Path(index).iterdir())
                 if path.is_file() and not path.name.startswith(".")} if Path(index).is_dir() else {}
        if not views:
            raise DataError(index, "there is no index in this folder", "Make one: jzi index MODEL --data MAP --out INDEX.")
        files |= views
    if len(files) >= MAX_FILES:
        raise ConfigError("pack", f"it would have {len(files)} files, and a pack has fewer than {MAX_FILES}",
                          "Use a map in TAR shards or a tile package.")
    return PackPlan(title, place, files, rights, sum(path.stat().st_size for path in files.values()))


def make_pack(plan: PackPlan, out: Path, *, link: bool = False, card: str = "",
              check: Callable[[Path], None] | None = None, progress: Progress | None = None) -> Path:
    """Write a pack into a new folder, which appears whole, and return the folder.

    Args:
        plan: What to put into it.
        out: The folder.
        link: Give the files of model and map second names instead of copying them, where the file system can do that. The
            index is always copied, because an index may be changed in place.
        card: Text of its README.md.
        check: Called with the finished folder before it gets its name; it may refuse the pack by an error.
        progress: Called with "files, MB", the megabytes done and all megabytes.

    Raises:
        DataError: If the folder exists, another process is making it, or the disk has too little free space.
        OSError: If a file cannot be read or written.
    """
    if out.exists():
        raise DataError(out, "it exists", "Name a new folder.")
    needed = sum(path.stat().st_size for name, path in plan.files.items() if not (link and _linked(name, path, out)))
    if needed > free_bytes(out):
        raise DataError(out, f"the pack needs {needed} bytes, but the disk has {free_bytes(out)}",
                        "Free some room, or use --link.")
    with work_folder(out, "making of this pack") as work:
        done = 0
        for name, path in plan.files.items():
            copy_file(path, work / name, link=link and not name.startswith(f"{INDEX}/"))
            done += path.stat().st_size
            if progress:
                progress("files, MB", done // 1_000_000, plan.bytes // 1_000_000)
        write_json({"format": FORMAT, "title": plan.title, "map": plan.map,
                    "rights": {part: {"licence": held.licence, "attribution": held.attribution}
                               for part, held in plan.rights.items()}}, work / PACK_FILE)
        Manifest.of(work, [*plan.files, PACK_FILE]).save(work)
        if card:
            write_bytes(work / "README.md", card.encode())
        if check is not None:
            check(work)
        work.rename(out)
        sync_folder(out.absolute().parent)
    return out


def _linked(name: str, path: Path, out: Path) -> bool:
    """Return whether a file of the pack is a second name of its source."""
    place = next(parent for parent in out.absolute().parents if parent.exists())
    return not name.startswith(f"{INDEX}/") and path.stat().st_dev == place.stat().st_dev


def _map_files(map: str | Path) -> tuple[dict[str, Path], str]:
    """Return the files of a map by their paths in the pack, and what to open there."""
    kind, path = source_kind(map), Path(map)
    if kind in {"address", "description"}:
        raise ConfigError(str(map), "a tile server's map cannot be put into a pack",
                          "Build a map from imagery that may be passed on: jzi map build.")
    if kind == "package":
        beside = {f"{MAP}/{name}": path.parent / name for name in ("region.yaml",) if (path.parent / name).is_file()}
        return {f"{MAP}/{path.name}": path, **beside}, f"{MAP}/{path.name}"
    folder = layout_folder(path)
    layout = TileLayout.load(folder / "layout.yaml")
    files = {f"{MAP}/{name}": folder / name for name in ("layout.yaml", "region.yaml") if (folder / name).is_file()}
    root = folder.parent if folder.name == "satellite" else folder
    if (root / "ATTRIBUTION").is_file():
        files[f"{MAP}/ATTRIBUTION"] = root / "ATTRIBUTION"
    shards = [p for place in (folder / "archives", root / "archives") if place.is_dir() for p in sorted(place.iterdir())
              if SHARD_PATTERN.fullmatch(p.name) and p.is_file()]
    if shards:
        return {**files, **{f"{MAP}/archives/{p.name}": p for p in shards}}, MAP
    fits = [tile_pattern(layout, level) for level in range(layout.min_zoom, layout.max_zoom + 1)]
    for place, _, names in os.walk(folder):
        for name in names:
            inside = (Path(place) / name).relative_to(folder).as_posix()
            if any(pattern.fullmatch(inside) for pattern in fits):
                files[f"{MAP}/{inside}"] = Path(place) / name
        if len(files) > MAX_FILES:
            break
    return files, MAP
