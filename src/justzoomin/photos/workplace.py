"""The hidden folder of an import: unfinished files never get their final names, and the next run resumes from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from justzoomin.data import find_splits
from justzoomin.errors import DataError, JustZoomInError
from justzoomin.files import folder_lock, is_free, open_to_write, refuse_links, remove_work, sync_folder, write_json
from justzoomin.photos.developing import Examined

_SPLIT_TABLES = "metadata"
_ENDING = "publishing.json"


class Workplace:
    """A folder beside the dataset, or inside it if photos are added to a map's folder.

    It contains `out/`, which becomes the dataset; `examined.jsonl` with what each photo's file showed; and `shards/` with the
    contents of the finished shards. Only one import at a time may use it.

    Args:
        dest: The dataset's folder.
        in_place: Whether the photos are added to an existing folder.
    """

    def __init__(self, dest: Path, in_place: bool) -> None:
        self.dest, self.in_place = dest, in_place
        named = dest.resolve()  # gives `.` a name
        self.path = dest / ".jzi-import" if in_place else named.parent / f".{named.name}.jzi-import"
        self.out = self.path / "out"
        self.open_folder = self.path / "open"
        self._log = self.path / "examined.jsonl"

    @contextlib.contextmanager
    def locked(self, keep_when_refused: bool = True) -> Iterator[None]:
        """Lock the folder for one import.

        Args:
            keep_when_refused: Whether to keep it if the import ends with an error of this package.

        Raises:
            DataError: If another import uses it, or a link leads out of it.
            OSError: If it cannot be made.
        """
        for folder in (self.out / "archives", self.path / "shards", self.open_folder):
            refuse_links(self.path.parent, folder)
        with folder_lock(self.path, "import"):
            try:
                yield
            except JustZoomInError:
                if not keep_when_refused:
                    shutil.rmtree(self.path, ignore_errors=True)
                raise

    # --- what files showed -------------------------------------------------------------------------------------------

    def examined(self) -> dict[tuple[str, int, int], Examined]:
        """Return what files showed before, by path, size and modification time; incomplete lines of killed runs are skipped."""
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                    values = json.loads(line)
                    path, size, time_ns = values.pop("file")
                    found[path, size, time_ns] = Examined(**values)
        return found

    @contextlib.contextmanager
    def examination_log(self) -> Iterator[ExaminationLog]:
        """Open the log of what files showed, to append to it."""
        with open_to_write(self._log, "ab") as file:
            file.write(b"\n")  # after a line that may be incomplete
            yield ExaminationLog(file)

    # --- shards ------------------------------------------------------------------------------------------------------

    def start(self, key: str) -> bool:
        """Keep shards written for the same photos and settings, and delete others; return whether any were kept."""
        mark = self.path / "key.json"
        same = mark.is_file() and read_json(mark) == {"key": key}
        if not same:
            shutil.rmtree(self.out, ignore_errors=True)
            shutil.rmtree(self.path / "shards", ignore_errors=True)
        for folder in (self.out / "archives", self.path / "shards", self.open_folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_json({"key": key}, mark)
        return same and self.shards_done() > 0

    def shards_done(self) -> int:
        """Return how many shards are complete, with their lists."""
        number = 0
        while self._list(number).is_file() and (self._shard(number).is_file() or not read_json(self._list(number))["photos"]):
            number += 1
        return number

    def shard_list(self, number: int) -> dict[str, Any]:
        """Return the contents of a shard: `jobs` taken, `photos` written, `failed`."""
        values: dict[str, Any] = read_json(self._list(number))
        return values

    def finish_shard(self, number: int, contents: dict[str, Any]) -> None:
        """Give the open shard its name, after the list of its contents."""
        write_json(contents, self._list(number))
        if contents["photos"]:
            (self.open_folder / "streetview_images_000.tar").replace(self._shard(number))
            sync_folder(self.out / "archives")

    def _list(self, number: int) -> Path:
        return self.path / "shards" / f"{number:03d}.json"

    def _shard(self, number: int) -> Path:
        return self.out / "archives" / f"streetview_images_{number:03d}.tar"

    # --- the end -----------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Turn `out/` into the dataset: by one rename, or file by file with the split tables last."""
        write_json({}, self.path / _ENDING)
        self.publish_rest()

    def publishing(self) -> bool:
        """Return whether a run was killed while or after it moved finished files into place."""
        return (self.path / _ENDING).is_file() and (self.out.is_dir() or self.dest.is_dir())

    def publish_rest(self) -> None:
        """Move the remaining finished files into place, and remove the folder."""
        if self.in_place:
            self._move()
        elif self.out.is_dir():
            place = self.dest.resolve()
            if place.is_dir():
                place.rmdir()  # the folder is empty
            self.out.replace(place)
            sync_folder(place.parent)
        remove_work(self.path, _ENDING)

    def sweep(self) -> None:
        """Remove the folder if it contains only the lock of an ended import."""
        if self.path.is_dir() and is_free(self.path):
            with folder_lock(self.path, "import"):
                shutil.rmtree(self.path, ignore_errors=True)

    def _move(self) -> None:
        files = [p.relative_to(self.out) for p in self.out.rglob("*") if p.is_file()]
        # In reverse order: photos before their tables, and last the training split, which is needed for any training.
        for name in sorted(files, key=lambda n: (n.parts[0] != _SPLIT_TABLES, n), reverse=True):
            refuse_links(self.dest, (self.dest / name).parent).mkdir(parents=True, exist_ok=True)
            (self.out / name).replace(self.dest / name)
            sync_folder((self.dest / name).parent)


class ExaminationLog:
    """Writer of the lines of `examined.jsonl`."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def add(self, file_key: tuple[str, int, int], examined: Examined) -> None:
        """Record what a file showed."""
        self._file.write((json.dumps({"file": file_key, **asdict(examined)}) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the values of a JSON file that an import wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def check_dest(dest: Path, in_place: bool) -> None:
    """Raise an error if a folder contains something that must not be overwritten.

    Args:
        dest: Folder of the dataset to be made.
        in_place: Whether it is the map's own folder, to which photos are added.

    Raises:
        DataError: If it contains such files.
    """
    if dest.exists() and not dest.is_dir():
        raise DataError(dest, "the path is a file", "Give a folder.")
    if not in_place:
        if dest.is_dir() and any(dest.iterdir()):
            raise DataError(dest, "the folder is not empty" + (" (a dataset)" if find_splits(dest) else ""),
                            "If this command made it, the job is done. "
                            "Otherwise choose a new folder or the map's own, or remove this one first.")
        return
    splits = ", ".join(find_splits(dest))
    if splits:
        raise DataError(dest, f"photos were already imported there (splits: {splits})",
                        "If this command did it, the job is done. Otherwise import into another folder.")
    if next((dest / "archives").glob("streetview_images_*.tar"), None) or (dest / "streetview" / "images").is_dir():
        raise DataError(dest, "the folder already has street photos", "Import into another folder.")


def key_of(*parts: object) -> str:
    """Return the hash of everything that makes two imports the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()
