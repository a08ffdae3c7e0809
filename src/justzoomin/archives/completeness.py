"""Whether a downloaded or extracted folder is whole: the records that lie in it, and what every opening checks.

`ROOT/.jzi-download.json` names every file of a download with size and hash. It is written before the first file comes and
says `complete` only after all were checked. `DEST/.jzi-extract.json` does the same for the shards that are being unpacked.
A folder without either was made by hand: nothing is known about it, and nothing is demanded.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from justzoomin.archives.filestamps import FileProblem, FileStamp, Progress, compare_files, plain_path
from justzoomin.errors import DataError
from justzoomin.files import sync_folder, write_json

DOWNLOAD_RECORD = ".jzi-download.json"
EXTRACT_RECORD = ".jzi-extract.json"
BUILD_RECORD = ".jzi-map-build.json"
"""Written by `jzi map build`; what it holds is that command's own, but for `format` and `complete`."""
FORMAT = 1
_MAX_BYTES = 1 << 28

@dataclass(frozen=True)
class DownloadRecord:
    """What a folder was downloaded from, and the files that it must hold.

    Args:
        repo_id: The repository on the hub, `owner/name`.
        revision: Branch, tag or commit that was asked for.
        commit: The commit it was resolved to.
        endpoint: The hub, where it is not the usual one.
        asked: The choice as it was asked for, to know it again.
        licence: What the card says.
        attribution: Whom to name.
        levels: Levels of the map that were chosen.
        splits: Splits that were chosen.
        files: Every file by its path below the folder.
        complete: Whether all files were there and checked.
        extracted: Shards that `jzi data extract --delete-archives` removed.
    """

    repo_id: str
    revision: str
    commit: str
    endpoint: str | None
    asked: dict[str, Any]
    licence: str
    attribution: str
    levels: tuple[int, ...]
    splits: tuple[str, ...]
    files: dict[str, FileStamp]
    complete: bool = False
    extracted: dict[str, FileStamp] = field(default_factory=dict)

    def problems(self, root: Path) -> list[FileProblem]:
        """Files that are missing or have another size; looks at no content."""
        found = ((name, stamp.problem(root / name)) for name, stamp in self.files.items())
        return [FileProblem(name, detail) for name, detail in found if detail]

    def save(self, root: Path) -> None:
        """Write the record into a folder, atomically.

        Raises:
            OSError: If it cannot be written.
        """
        _save(self, root / DOWNLOAD_RECORD)

    @classmethod
    def load(cls, root: Path) -> Self | None:
        """The record of a folder; None where there is none.

        Raises:
            DataError: If it cannot be understood.
        """
        path = root / DOWNLOAD_RECORD
        values = _load(path, f"Move the file away and run again: jzi data download {shlex.quote(str(root))}. "
                             "Files that are right are kept.")
        if values is None:
            return None
        try:
            for name in ("files", "extracted"):
                values[name] = {_checked(key): FileStamp(**stamp) for key, stamp in values[name].items()}
            values["levels"], values["splits"] = tuple(values["levels"]), tuple(values["splits"])
            record = cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(path, f"it is no record of a download ({str(error)[:200]})", "Move the file away and run "
                            f"`jzi data download {shlex.quote(str(root))}` again: files that are right are kept.") from error
        texts = (record.repo_id, record.revision, record.commit, record.licence, record.attribution, *record.splits)
        if not (all(isinstance(text, str) for text in texts) and all(type(level) is int for level in record.levels)
                and isinstance(record.complete, bool) and isinstance(record.asked, dict)):
            raise DataError(path, "fields of it are of the wrong kind", "Move the file away and download again.")
        return record


@dataclass(frozen=True)
class ExtractRecord:
    """What was unpacked into a folder, and what not yet.

    Args:
        source: The folder that holds the archives.
        shards: All shards by name, with their bytes.
        begun: Shards of which members may lie there already.
        done: Shards that were unpacked and compared.
        complete: Whether all are, and the other files too.
        origin: Repository and commit that the source was downloaded from, as far as known.
    """

    source: str
    shards: dict[str, int]
    begun: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    complete: bool = False
    origin: str = ""

    def save(self, root: Path) -> None:
        """Write the record into a folder, atomically.

        Raises:
            OSError: If it cannot be written.
        """
        _save(self, root / EXTRACT_RECORD)

    @classmethod
    def load(cls, root: Path) -> Self | None:
        """The record of a folder; None where there is none.

        Raises:
            DataError: If it cannot be understood.
        """
        remedy = "Extract into an empty folder."
        path = root / EXTRACT_RECORD
        values = _load(path, remedy)
        if values is None:
            return None
        try:
            record = cls(**{**values, "begun": tuple(values["begun"]), "done": tuple(values["done"])})
        except (KeyError, TypeError) as error:
            raise DataError(path, f"it is no record of an extraction ({str(error)[:200]})", remedy) from error
        names = [*record.begun, *record.done]
        if not (isinstance(record.source, str) and isinstance(record.complete, bool) and isinstance(record.shards, dict)
                and all(isinstance(name, str) and name in record.shards for name in names)):
            raise DataError(path, "fields of it are of the wrong kind", remedy)
        return record


def _save(record: DownloadRecord | ExtractRecord, path: Path) -> None:
    write_json({"format": FORMAT, **asdict(record)}, path)
    sync_folder(path.parent)


def _load(path: Path, remedy: str) -> dict[str, Any] | None:
    """The values of a record file, format removed and checked."""
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise DataError(path, f"the record has {size} bytes", remedy)
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, f"the record cannot be read ({str(error)[:200]})", remedy) from error
    if not isinstance(values, dict) or (found := values.pop("format", None)) != FORMAT:
        stated = found if isinstance(values, dict) else None
        raise DataError(path, f"it is no record of format {FORMAT} (format: {str(stated)[:40]})", remedy)
    return values


def _checked(name: str) -> str:
    if not plain_path(name):
        raise ValueError(f"the path {name[:200]!r} leads out of the folder")
    return name


def _places(root: Path) -> list[Path]:
    """The folders whose records concern what is opened at `root`: a repository, its satellite folder, a layout.yaml."""
    folder = root.parent if root.name == "layout.yaml" else root
    named = folder.resolve() if folder.name in {"", ".."} else folder
    return [folder, named.parent] if named.name == "satellite" else [folder]


def require_complete(root: Path | str, *, extraction: bool = True) -> None:
    """Refuse a folder whose download or extraction was not finished, or from which a file went missing since.

    Looks at names and sizes only. A folder without a record passes.

    Args:
        root: What is opened: a repository, its `satellite` folder or a layout.yaml.
        extraction: Whether an extraction that is not finished counts.

    Raises:
        DataError: Naming the first file, how many are concerned, and the command that goes on.
    """
    for place in _places(Path(root)):
        unpacked = ExtractRecord.load(place) if extraction else None
        if unpacked is not None and not unpacked.complete:
            raise DataError(place, f"the archives are not all extracted here: {len(unpacked.done)} of "
                            f"{len(unpacked.shards)} are", f"Go on with: {extract_command(unpacked.source, place)}.")
        build = _load(place / BUILD_RECORD, "Run the same `jzi map build` again.")
        if build is not None and build.get("complete") is not True:
            raise DataError(place, "the map is not built to its end", "To go on, run the same `jzi map build` again.")
        record = DownloadRecord.load(place)
        if record is None:
            continue
        problems = record.problems(place)
        remedy = f"Go on with: jzi data download {shlex.quote(str(place))}."
        if problems:
            first, count = problems[0], len(problems)
            rest = f" ({count} of {len(record.files)} files of the download are missing or of the wrong size)"
            raise DataError(place / first.path, f"the download is not complete: {first.detail}{rest}", remedy)
        if not record.complete:
            raise DataError(place, "the download was not finished", remedy)


def extract_command(source: str | Path, dest: Path) -> str:
    """The command that goes on with an extraction."""
    return f"jzi data extract {shlex.quote(str(source))} {shlex.quote(str(dest))}"


def check_hashes(root: Path | str, progress: Progress | None = None, workers: int = 4) -> list[FileProblem]:
    """Read every file of a download and compare its size and hash with the record's.

    Args:
        root: The folder that was downloaded into.
        progress: Called with "hashes, MB", the megabytes read and those to read.
        workers: Threads that read.

    Returns:
        What is wrong, in order of the record; nothing where there is no record.

    Raises:
        DataError: If the record cannot be understood.
    """
    folder = Path(root)
    record = DownloadRecord.load(folder)
    if record is None:
        return []
    return compare_files(folder, record.files.items(), progress, workers)
