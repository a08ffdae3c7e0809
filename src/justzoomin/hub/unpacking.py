"""Unpack a downloaded repository into loose files: write, compare and record each shard, then delete it on request.

Members are read through the archives room's own index of a shard, which accepts only plain files below its folder. Only
photos and tiles of the shard's level are written, under a temporary name first. Files are synced per shard and not one by
one, because a map has hundreds of thousands of tiles. An archive is kept until its shard is recorded as done, and the next
run compares the existing files again, so nothing is lost wherever a run was interrupted.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from justzoomin.archives import DownloadRecord, ExtractRecord, extract_command, require_complete
from justzoomin.errors import DataError
from justzoomin.files import atomic_file, folder_lock, is_free, open_to_write, refuse_links, remove_left, sync_folder
from justzoomin.hub.selection import classify
from justzoomin.hub.shards import Shard, one_disk, open_shards, require_room
from justzoomin.tiles import SHARD_PATTERN

Progress = Callable[[str, int, int], None]

_PART = ".jzi-part"
_TABLES = ("metadata", "streetview", "satellite")


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Args:
        dest: The folder with the files.
        shards: Shards unpacked there, including those of earlier runs.
        files: Files that this run wrote or found correct.
        bytes: Size of these files.
        deleted: Archives that this run deleted.
        left: Archives that were left alone, because the layout does not have their levels.
    """

    dest: Path
    shards: int
    files: int
    bytes: int
    deleted: tuple[str, ...]
    left: tuple[str, ...]


def extract(root: Path | str, dest: Path | str, *, delete_archives: bool = False,
            progress: Progress | None = None) -> ExtractReport:
    """Unpack all shards of a repository into loose files that can be opened without the archives.

    Args:
        root: The downloaded repository.
        dest: A new or empty folder, `root` itself, or the folder of an unfinished extraction of `root`.
        delete_archives: Whether to delete each archive after its files were compared with it.
        progress: Called with "extract", the bytes written or compared so far, and all bytes.

    Raises:
        DataError: If `root` is incomplete or holds no shards, `dest` holds something else, or the disk is too small.
        TileError: If a shard is invalid; the error names shard and member.
        LayoutError: If `root` has no layout.
        OSError: If `dest` cannot be written.
    """
    source, target = Path(root), Path(dest)
    if not source.is_dir():
        raise DataError(source, "the folder does not exist", "Give the folder of the download.")
    same = source.resolve() == target.resolve()
    require_complete(source, extraction=not same)
    record = _begin_or_go_on(source, target, same=same)
    shards, left = open_shards(source)
    if not shards and not record.done:
        raise DataError(source / "archives", "there are no shards to extract", "Give the folder of the download.")
    for name in sorted(record.shards.keys() - {shard.path.name for shard in shards} - set(record.done)):
        raise DataError(source / "archives" / name, "the shard is gone and was not extracted", "Download it again.")
    record = replace(record, complete=False, shards={**record.shards, **{s.path.name: s.bytes for s in shards}})
    require_room(shards, record, target, frees=delete_archives and one_disk(source, target))
    with folder_lock(target, "extraction"):
        return _Extraction(source, target, delete_archives, progress).run(shards, left, record, copy=not same)


def _begin_or_go_on(source: Path, target: Path, *, same: bool) -> ExtractRecord:
    """Return the record of an unfinished extraction, or a new one.

    Raises:
        DataError: If the folder holds something else.
    """
    download = DownloadRecord.load(source)
    origin = f"{download.repo_id}@{download.commit}" if download else ""
    found = ExtractRecord.load(target)
    if found is not None:
        if Path(found.source).resolve() != source.resolve() or found.origin != origin:
            raise DataError(target, f"the folder holds an extraction of {found.source} {found.origin}".rstrip(),
                            "Extract into another folder.")
        return found
    if target.exists() and not target.is_dir():
        raise DataError(target, "the path is a file", "Give a folder.")
    if not same and not is_free(target):
        raise DataError(target, "the folder is not empty", "Choose a new folder, or the download's own.")
    return ExtractRecord(str(source.absolute()), {}, origin=origin)


class _Extraction:
    """One run of an extraction, shard after shard."""

    def __init__(self, source: Path, target: Path, delete: bool, progress: Progress | None) -> None:
        self._source, self._target, self._delete, self._progress = source, target, delete, progress
        self._made: set[Path] = {target}
        self._moved = self._total = 0

    def run(self, shards: list[Shard], left: tuple[str, ...], record: ExtractRecord, *, copy: bool) -> ExtractReport:
        work = [shard for shard in shards if shard.path.name not in record.done or self._delete]
        self._total = 2 * sum(shard.bytes for shard in work)
        for shard in work:
            if shard.path.name not in (*record.done, *record.begun):
                self._refuse_foreign(shard)
        record.save(self._target)
        if copy:
            self._copy_tables(photos=not any(classify(f"archives/{name}").kind == "photos" for name in record.shards),
                              tiles=not any(SHARD_PATTERN.fullmatch(name) for name in record.shards))
        deleted = []
        for shard in work:
            name = shard.path.name
            if name not in record.done:
                self._require_hash(shard.path)
                if name not in record.begun:
                    record = replace(record, begun=(*record.begun, name))
                    record.save(self._target)
                self._write(shard)
                if hasattr(os, "sync"):
                    os.sync()
            self._compare(shard)
            if name not in record.done:
                record = replace(record, done=(*record.done, name), begun=tuple(n for n in record.begun if n != name))
                record.save(self._target)
            shard.reader.close()
            if self._delete:
                self._remove(shard.path)
                deleted.append(name)
        record = replace(record, complete=True)
        record.save(self._target)
        return ExtractReport(self._target, len(record.done), sum(len(s.members) for s in work),
                             sum(s.bytes for s in work), tuple(deleted), left)

    def _advance(self, count: int) -> None:
        self._moved += count
        if self._progress:
            self._progress("extract", min(self._moved, self._total), self._total)

    def _require_hash(self, path: Path) -> None:
        """Check that a shard still has the hash in the download's record, if it is recorded.

        Raises:
            DataError: If the hash differs.
        """
        record = DownloadRecord.load(self._source)
        stamp = record.files.get(f"archives/{path.name}") if record else None
        problem = stamp.problem(path, content=True) if stamp else None
        if problem:
            raise DataError(path, f"the shard changed after the download: {problem}",
                            "Delete it and download it again.")

    def _copy_tables(self, *, photos: bool, tiles: bool) -> None:
        """Copy everything outside the archives that the folder needs to be opened."""
        for place in sorted(self._source.iterdir()):
            if place.is_file() and classify(place.name).kind == "about":
                self._copy(place)
        for folder in _TABLES:
            for place in sorted((self._source / folder).rglob("*")):
                path = place.relative_to(self._source).as_posix()
                kind = classify(path).kind
                if place.is_file() and (kind not in {"level", "photos"} or (tiles and kind == "level")
                                        or (photos and kind == "photos")):
                    self._copy(place)

    def _copy(self, place: Path) -> None:
        final = self._target / place.relative_to(self._source)
        self._make_folder(final.parent)
        if not (final.is_file() and filecmp.cmp(place, final, shallow=False)):
            with place.open("rb") as content, atomic_file(final) as file:
                shutil.copyfileobj(content, file)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder below the target, and refuse any link that could lead out of it.

        Raises:
            DataError: If the path contains a link.
        """
        if folder not in self._made:
            refuse_links(self._target, folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def _refuse_foreign(self, shard: Shard) -> None:
        """Raise an error, before anything is written, if a different file has the name of a member.

        Raises:
            DataError: Naming the file.
        """
        for parent in {(self._target / name).parent for name, _ in shard.members}:
            refuse_links(self._target, parent)
        for name, _ in shard.members:
            final = self._target / name
            if os.path.lexists(final) and not self._same(final, shard, name):
                raise DataError(final, f"this file differs from the one in {shard.path.name}",
                                "Move it away, or extract into another folder.")

    @staticmethod
    def _same(final: Path, shard: Shard, name: str) -> bool:
        if final.is_symlink() or not final.is_file():
            return False
        with final.open("rb") as file:
            if hasattr(os, "posix_fadvise"):  # read from the disk, not from the cache
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return file.read() == shard.reader.read(name)

    def _write(self, shard: Shard) -> None:
        folders = set()
        for name, size in shard.members:
            final = self._target / name
            self._make_folder(final.parent)
            folders.add(final.parent)
            if not (final.exists() and final.stat().st_size == size and self._same(final, shard, name)):
                part = final.with_name(_PART)
                remove_left(part)
                with open_to_write(part, told=final) as file:
                    file.write(shard.reader.read(name))
                part.replace(final)
            self._advance(size)
        for folder in folders:
            (folder / _PART).unlink(missing_ok=True)

    def _compare(self, shard: Shard) -> None:
        """Read every file again and compare it with its member.

        Raises:
            DataError: If a file is missing or differs; the archive is kept in that case.
        """
        for name, size in shard.members:
            final = self._target / name
            if not self._same(final, shard, name):
                raise DataError(final, f"the file differs from the one in {shard.path.name}",
                                f"Check the disk, then continue with: {extract_command(self._source, self._target)}.")
            self._advance(size)

    def _remove(self, path: Path) -> None:
        """Delete an archive; update the download's record first, so it never lists a shard that was deleted on purpose."""
        record, name = DownloadRecord.load(self._source), f"archives/{path.name}"
        if record is not None and name in record.files:
            files = dict(record.files)
            replace(record, files=files, extracted={**record.extracted, name: files.pop(name)}).save(self._source)
        path.unlink(missing_ok=True)
        refuse_links(self._source, path.parent / ".jzi-index" / f"{path.name}.npz").unlink(missing_ok=True)
        sync_folder(path.parent)
