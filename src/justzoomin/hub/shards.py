"""The shards of a downloaded repository, opened for unpacking: their members are checked and their size is added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from justzoomin.archives import ExtractRecord, TarShards
from justzoomin.errors import DataError, TileError
from justzoomin.files import free_bytes
from justzoomin.hub.selection import classify
from justzoomin.tiles import SHARD_PATTERN, ShardSource, TileLayout

_PHOTOS = "streetview/images/"
_BLOCK = 4096


@dataclass(frozen=True)
class Shard:
    """A shard and its members, in the order of their offsets."""

    path: Path
    reader: TarShards
    members: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        """Bytes of its members."""
        return sum(size for _, size in self.members)

    @property
    def bytes_on_disk(self) -> int:
        """Disk space that its files take, in whole blocks."""
        return sum(-(-size // _BLOCK) * _BLOCK for _, size in self.members)


def open_shards(source: Path) -> tuple[list[Shard], tuple[str, ...]]:
    """Open all shards, coarse levels first, photos last; return them with checked members, and the names of the others.

    Raises:
        TileError: If a shard or a member is invalid.
    """
    archives = source / "archives"
    names = sorted(path.name for path in archives.iterdir()) if archives.is_dir() else []
    photos = [archives / name for name in names if classify(f"archives/{name}").kind == "photos"]
    readers = []
    if any(SHARD_PATTERN.fullmatch(name) for name in names):
        layout = TileLayout.load(source / "satellite" / "layout.yaml")
        tiles = ShardSource(archives, layout)
        readers = [tiles.shards(level) for level in range(layout.min_zoom, layout.max_zoom + 1)]
    if photos:
        readers.append(TarShards(photos))
        for name in readers[-1].names():
            if not name.startswith(_PHOTOS) or "/" in name.removeprefix(_PHOTOS):
                raise TileError(f"{readers[-1].shard_of(name)}!{name}", "the member is not a photo",
                                f"Photos are named {_PHOTOS}<image_id>_undistorted.jpg.")
    shards = [shard for reader in readers for shard in _by_shard(reader)]
    opened = {shard.path.name for shard in shards}
    return shards, tuple(name for name in names if name.endswith(".tar") and name not in opened)


def _by_shard(reader: TarShards) -> Iterator[Shard]:
    members: dict[Path, list[tuple[str, int]]] = {path: [] for path in reader.paths}
    for name, size in zip(reader.names(), reader.size_array().tolist(), strict=True):
        members[reader.shard_of(name)].append((name, size))
    for path in reader.paths:
        yield Shard(path, reader, tuple(members[path]))


def one_disk(source: Path, target: Path) -> bool:
    """Return whether two folders are on one file system; the second may not exist yet."""
    return source.stat().st_dev == _nearest(target).stat().st_dev


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def require_room(shards: list[Shard], record: ExtractRecord, target: Path, *, frees: bool) -> None:
    """Raise an error if the disk is too small when it holds the most.

    Raises:
        DataError: Naming the needed and the free space.
    """
    peak = held = 0
    for shard in shards:
        name = shard.path.name
        if name not in record.done:
            there = (target / member for member, _ in shard.members) if name in record.begun else ()
            held += shard.bytes_on_disk - sum(-(-p.stat().st_size // _BLOCK) * _BLOCK for p in there if p.is_file())
        peak = max(peak, held)
        held -= shard.path.stat().st_size if frees else 0
    free = free_bytes(target)
    if peak > free:
        raise DataError(target, f"the files need {peak:,} bytes, but the disk has only {free:,} bytes free",
                        "Free some space, or extract on the download's own disk with --delete-archives, "
                        "which needs little more than one shard.")
