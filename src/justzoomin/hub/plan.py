"""What a download will do, decided before its first byte: files, bytes, disk space, licence and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from justzoomin.archives import DownloadRecord, FileStamp
from justzoomin.errors import ConfigError, DataError
from justzoomin.files import free_bytes
from justzoomin.geometry import ZoomGrid, grid_from_dict, preset
from justzoomin.hub.retry import Retry
from justzoomin.hub.selection import PUBLISHED, Item, Selection, chosen_levels, chosen_splits, classify, needed_levels
from justzoomin.hub.source import PUBLIC_ENDPOINT, Source, clean_text, digest_of_bytes
from justzoomin.tiles import CARD_LAYOUT, TileLayout
from justzoomin.untrusted import plain_yaml

STAGING = ".jzi-download"
_LAYOUT, _REGION = "satellite/layout.yaml", "satellite/region.yaml"

State = Literal["there", "unproved", "fetch"]
"""`there`: recorded and of the right size. `unproved`: of the right size but not recorded, so its hash decides."""


@dataclass(frozen=True)
class PlannedFile:
    """A file of the download: its path, its expected size and hash, what it contains, and its state."""

    path: str
    stamp: FileStamp
    item: Item
    state: State


@dataclass(frozen=True)
class DownloadPlan:
    """Everything that `download` needs, and everything that a user wants to know before it starts.

    Args:
        source: The repository at the commit; None if all files exist and the hub was not asked.
        record: The record that the folder will get.
        dest: The folder to download into.
        files: The files, small ones first.
        remove: Recorded files below `dest` that this commit lacks or has with different content.
        free_bytes: Free space on the disk.
        part_bytes: Bytes already stored of unfinished files.
        left_out: What is not fetched, by label: number of files and bytes.
    """

    source: Source | None
    record: DownloadRecord
    dest: Path
    files: tuple[PlannedFile, ...]
    free_bytes: int
    part_bytes: int = 0
    remove: tuple[str, ...] = ()
    left_out: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.stamp.size for file in self.files)

    @property
    def bytes_there(self) -> int:
        """Bytes already stored, which are not fetched again."""
        return sum(file.stamp.size for file in self.files if file.state != "fetch") + self.part_bytes

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes still to fetch."""
        return max(0, self.total_bytes - self.bytes_there)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.record.complete and not self.remove and all(file.state == "there" for file in self.files)

    def by_label(self) -> dict[str, tuple[int, int]]:
        """Count the files and bytes of the download, by kind and level."""
        return _count((file.item, file.stamp.size) for file in self.files)

    def require_room(self) -> None:
        """Raise an error if the disk is too small.

        Raises:
            DataError: Naming the needed and the free space.
        """
        if self.bytes_to_fetch > self.free_bytes:
            raise DataError(self.dest, f"{self.bytes_to_fetch:,} bytes are still to be fetched, "
                            f"but the disk has only {self.free_bytes:,} bytes free",
                            "Free some space, choose another folder, or fewer --levels.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        def counts(values: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
            return {label: {"files": files, "bytes": size} for label, (files, size) in values.items()}

        record = self.record
        return {
            "repo_id": record.repo_id, "revision": record.revision, "commit": record.commit, "dest": str(self.dest),
            "complete": self.complete, "levels": list(record.levels), "splits": list(record.splits),
            "files": len(self.files), "bytes": self.total_bytes, "bytes_there": self.bytes_there,
            "bytes_to_fetch": self.bytes_to_fetch, "free_bytes": self.free_bytes, "licence": record.licence,
            "attribution": record.attribution, "fetched": counts(self.by_label()), "left_out": counts(self.left_out),
            "to_fetch": [{"path": f.path, "bytes": f.stamp.size, f.stamp.algorithm: f.stamp.digest}
                         for f in self.files if f.state == "fetch"],
            "to_remove": list(self.remove),
        }


def plan_download(dest: Path | str, repo_id: str | None = None, revision: str | None = None,
                  selection: Selection | None = None, *, update: bool = False, endpoint: str | None = None,
                  retry: Retry | None = None) -> DownloadPlan:
    """Decide what a download into a folder will do; asks the hub and writes nothing.

    A download into a folder that already holds one is resumed: its record gives repository, commit and selection unless the
    arguments do. Existing files of other levels and splits are kept and stay recorded. If the download is complete and the same
    selection is requested again, the hub is not asked.

    Args:
        dest: The folder to download into.
        repo_id: The repository on the hub; default: the recorded one, else the published dataset's.
        revision: Branch, tag or commit; default: the recorded commit, else `main`.
        selection: What to fetch; default: the recorded selection, else the levels of the usual grid and all splits.
        update: Whether to resolve the revision again and continue with the commit that it has now.
        endpoint: Address of the hub; default: huggingface_hub's own (`HF_ENDPOINT`).
        retry: What to do after failures.

    Raises:
        DataError: If the hub cannot be reached, or the folder holds something else.
        ConfigError: If the repository lacks a requested level or split, or the folder holds another repository.
        LayoutError: If the repository has no readable layout.
    """
    folder, retry = Path(dest), retry or Retry()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(folder, "the path is a file", "Give a folder.")
    record = DownloadRecord.load(folder)
    if record is not None and repo_id is not None and repo_id != record.repo_id:
        raise ConfigError(f"--repo-id {repo_id}", f"{folder} holds a download of {record.repo_id}", "Choose another folder.")
    if record is not None and _settled(record, revision, selection, update=update) and not record.problems(folder):
        files = tuple(PlannedFile(name, stamp, classify(name), "there") for name, stamp in record.files.items())
        return DownloadPlan(None, record, folder, files, free_bytes(folder))
    chosen = selection or (Selection.from_dict(record.asked, str(folder)) if record else Selection())
    repo = repo_id or (record.repo_id if record else PUBLISHED)
    asked = revision or (record.revision if record else "main")
    kept = record.commit if record and not update and asked == record.revision else asked
    return _plan(Source.look_up(repo, kept, endpoint, retry), asked, chosen, folder, record, retry)


def _settled(record: DownloadRecord, revision: str | None, selection: Selection | None, *, update: bool) -> bool:
    """Return whether the record already answers the request."""
    return (record.complete and not update and revision in {None, record.revision, record.commit}
            and (selection is None or selection.to_dict() == record.asked))


def _plan(source: Source, revision: str, selection: Selection, folder: Path, record: DownloadRecord | None,
          retry: Retry) -> DownloadPlan:
    items = {path: classify(path) for path in source.files}
    layout, grid = _layout_and_grid(source, selection, retry)
    where = f"{source.repo_id}@{source.commit[:8]}"
    needed = () if selection.levels else needed_levels(layout, grid, selection.pixels, source.where(_LAYOUT))
    levels = chosen_levels(selection, [i.level for i in items.values() if i.level is not None], needed, where)
    splits = chosen_splits(selection, [i.split for i in items.values() if i.split is not None], where)
    if not any(item.kind == "photos" for item in items.values()):
        raise DataError(where, "the repository contains no photos (archives/streetview_images_*.tar)",
                        "It does not have the published dataset's layout. Check --repo-id.")
    wanted = {path for path, item in items.items()
              if item.kind in {"about", "metadata", "photos"} or (item.kind == "level" and item.level in levels)
              or (item.kind == "split" and item.split in splits)}
    gone = record.extracted if record else {}
    wanted |= _kept(source, items, wanted, folder, record)
    changed = [path for path, stamp in gone.items() if source.files.get(path) != stamp]
    if changed:
        raise DataError(folder / changed[0], "the archive was extracted and removed here, and it differs in the other commit",
                        "Download the other commit into another folder.")
    files = tuple(_planned(path, source.files[path], items[path], folder, record)
                  for path in sorted(wanted - set(gone), key=lambda p: (items[p].kind in {"photos", "level"}, p)))
    _refuse_foreign(files, items, folder, record)
    known = {file.item for file in files} | {items[path] for path in gone}
    new = DownloadRecord(
        repo_id=source.repo_id, revision=revision, commit=source.commit,
        endpoint=None if source.endpoint == PUBLIC_ENDPOINT else source.endpoint, asked=selection.to_dict(),
        licence=source.licence, attribution=_attribution(source, layout, retry),
        levels=_levels(known),
        splits=tuple(sorted({item.split for item in known if item.split is not None})),
        files={file.path: file.stamp for file in files}, extracted=dict(gone))
    if record is not None and replace(record, complete=False) == new:
        new = record
    old = record.files if record else {}
    return DownloadPlan(
        source, new, folder, files, free_bytes(folder), _part_bytes(files, folder),
        tuple(path for path, stamp in old.items() if new.files.get(path) != stamp and (folder / path).exists()),
        _count((items[path], stamp.size) for path, stamp in source.files.items()
               if path not in new.files and path not in gone))


def _layout_and_grid(source: Source, selection: Selection, retry: Retry) -> tuple[TileLayout, ZoomGrid]:
    """Return the repository's layout, and its zoom grid with the requested depth."""
    content = source.small_file(_LAYOUT, retry)
    if content is None:
        raise DataError(source.where(_LAYOUT), "the repository does not contain this file",
                        "It does not have the published dataset's layout. Check --repo-id.")
    layout = TileLayout.from_mapping(plain_yaml(content, source.where(_LAYOUT)), source.where(_LAYOUT))
    region = source.small_file(_REGION, retry)
    grid = preset("dc")
    if region is not None:
        grid = grid_from_dict(plain_yaml(region, source.where(_REGION)), source.where(_REGION))
    elif not layout.same_place(CARD_LAYOUT) and selection.levels is None:
        raise DataError(source.where(_REGION), "the repository gives no region, and its map is not the published one",
                        "List the levels with --levels, or take all with --levels all.")
    if selection.depth is not None:
        grid = ZoomGrid(grid.region, grid.grid, selection.depth)
    return layout, grid


def _attribution(source: Source, layout: TileLayout, retry: Retry) -> str:
    """Return whom to credit: the repository's own file, else what the published dataset's card asks for."""
    from justzoomin.data import ATTRIBUTION

    content = source.small_file("ATTRIBUTION", retry)
    if content is not None:
        return clean_text(content.decode("utf-8", "replace"))
    return ATTRIBUTION if layout.same_place(CARD_LAYOUT) else "not stated; see README.md"


def _kept(source: Source, items: Mapping[str, Item], wanted: set[str], folder: Path,
          record: DownloadRecord | None) -> set[str]:
    """Return the existing files of an earlier selection, which stay in the record.

    Raises:
        DataError: If only part of a level exists that is no longer selected; its other tiles would silently be white.
    """
    if record is None:
        return set()
    kept = {path for path in source.files
            if path in record.files and path not in wanted and (folder / path).exists()}
    for level in _levels(items[path] for path in kept):
        shards = {path for path, item in items.items() if item.level == level and path not in record.extracted}
        if (absent := shards - kept):
            every = ",".join(map(str, sorted({level, *_levels(items[p] for p in wanted)})))
            raise DataError(folder / min(kept & shards),
                            f"an earlier download left {len(shards) - len(absent)} of {len(shards)} files of level {level}; "
                            "this level is not selected now",
                            f"Complete it with --levels={every}, or remove those files.")
    return kept


def _levels(items: Iterable[Item]) -> tuple[int, ...]:
    return tuple(sorted({item.level for item in items if item.level is not None}))


def _planned(path: str, stamp: FileStamp, item: Item, folder: Path, record: DownloadRecord | None) -> PlannedFile:
    recorded = record.files.get(path) if record else None
    right_size = stamp.problem(folder / path) is None
    if recorded is None and (folder / path).exists():
        return PlannedFile(path, stamp, item, "unproved")
    return PlannedFile(path, stamp, item, "there" if right_size and recorded == stamp else "fetch")


def _refuse_foreign(files: Iterable[PlannedFile], items: Mapping[str, Item], folder: Path,
                    record: DownloadRecord | None) -> None:
    """Refuse to overwrite files that no download created, or to mix the download with other shards.

    Raises:
        DataError: Naming the first such file.
    """
    for file in files:
        if file.state == "unproved" and (detail := file.stamp.problem(folder / file.path)) is not None:
            raise DataError(folder / file.path, f"a file with this name exists but differs from the download: {detail}",
                            "Choose another folder, or move the file away.")
    known = {file.path for file in files} | set(record.extracted if record else ())
    archives = folder / "archives"
    for path in sorted(archives.iterdir()) if archives.is_dir() else ():
        name = f"archives/{path.name}"
        if name not in known and name not in (record.files if record else {}) and classify(name).kind in {"level", "photos"}:
            remedy = "Add its level to --levels, or move it away." if name in items else "Choose another folder."
            raise DataError(path, "this shard does not belong to the download", remedy)


def _count(items: Iterable[tuple[Item, int]]) -> dict[str, tuple[int, int]]:
    """Count files and bytes by label, levels in order."""
    found: dict[Item, tuple[int, int]] = {}
    for item, size in items:
        files, total = found.get(item, (0, 0))
        found[item] = files + 1, total + size
    order = sorted(found, key=lambda item: (item.kind, item.level or 0, item.split or ""))
    return {item.label: found[item] for item in order}


def part_path(folder: Path, path: str, stamp: FileStamp) -> Path:
    """Return where the bytes of a file are collected; the name depends on path and content, so versions never mix."""
    return folder / STAGING / f"{digest_of_bytes(path.encode(), 'sha256')[:16]}-{stamp.digest[:16]}.part"


def _part_bytes(files: Iterable[PlannedFile], folder: Path) -> int:
    parts = (part_path(folder, file.path, file.stamp) for file in files if file.state == "fetch")
    return sum(part.stat().st_size for part in parts if part.is_file())
