"""A job on the disk: its folder, what was asked for, its state, its result in every format."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from justzoomin.errors import DataError
from justzoomin.files import atomic_file, write_bytes
from justzoomin.geometry import grid_from_dict
from justzoomin.search import write_fixes
from justzoomin.service.stored_form import number_of, photo_path, remove_photos, told
from justzoomin.untrusted import open_regular, read_limited

State = Literal["waiting", "running", "done", "failed", "cancelled"]
FORMATS = ("jsonl", "geojson", "csv", "parquet")
"""Extensions of results."""
MAX_TOLD = 100
"""Most failed photos that a state names; the result has them all."""
_MAX_JSON_BYTES = 64 << 20


class JobRequest(BaseModel):
    """What a client asked for, in `job.json`. It never changes.

    Attributes:
        number: Jobs are done in the order of their numbers.
        names: The client's names of the photos.
        fields: The fields of the form.
        files: Names of stored files, by field.
        grid: The zoom grid that is searched, as in `grid_to_dict`.
        attribution: Whom to credit for the map; None if it is not stated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    names: tuple[str, ...]
    fields: dict[str, str]
    files: dict[str, str]
    grid: dict[str, Any]
    attribution: str | None = None


class Status(BaseModel):
    """How far a job is, in `state.json`.

    Attributes:
        state: Whether it waits, runs, or how it ended.
        done: Photos with a fix or an error.
        failed: Photos with an error.
        failures: Names and errors of the first failed photos.
        error: Why the whole job failed; None if it did not.
        cancelled: Whether it is to end after the current batch.
        ended: When it ended, in seconds since 1970; None if it did not.
        fetched: When its result was first fetched; None if it was not.
    """

    model_config = ConfigDict(extra="forbid")

    state: State = "waiting"
    done: int = 0
    failed: int = 0
    failures: list[dict[str, str]] = Field(default_factory=list)
    error: str | None = None
    cancelled: bool = False
    ended: float | None = None
    fetched: float | None = None


class JobFolder:
    """The folder of a job.

    Args:
        folder: The folder; its name is the id.

    Raises:
        DataError: If it does not hold a job.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name
        self.asked = JobRequest.model_validate_json(_read(folder / "job.json"))
        status = folder / "state.json"
        self.status = Status.model_validate_json(_read(status)) if status.exists() else Status()

    @staticmethod
    def write_asked(folder: Path, asked: JobRequest) -> None:
        """Write what a client asked for into the folder of an upload."""
        write_bytes(folder / "job.json", asked.model_dump_json().encode())

    @property
    def log_name(self) -> str:
        """The beginning of the id. The whole id is the key to the job, so it does not go into a log."""
        return self.id[:8]

    @property
    def photos(self) -> list[Path]:
        """The stored photos."""
        return [photo_path(self.folder, number) for number in range(len(self.asked.names))]

    @property
    def files(self) -> dict[str, Path]:
        """The stored files of fields that are files, by field."""
        return {field: self.folder / name for field, name in self.asked.files.items()}

    @property
    def found(self) -> Path:
        """The output of `localize_to_file`."""
        return self.folder / "found.jsonl"

    def result(self, extension: str) -> Path:
        """Return where the result of a format is, or will be."""
        return self.folder / f"result.{extension}"

    def to_dict(self) -> dict[str, Any]:
        """Return what a client is told about the job, as plain values."""
        status = self.status
        return {"id": self.id, "state": status.state, "total": len(self.asked.names), "done": status.done,
                "failed": status.failed, "failures": status.failures, "error": status.error,
                "results": list(FORMATS) if status.state == "done" else []}

    def told(self, text: str) -> str:
        """Return a message with the client's names instead of the server's paths."""
        return told(text, self.folder, self.asked.names)

    def save_status(self) -> None:
        """Write the state to the disk."""
        write_bytes(self.folder / "state.json", self.status.model_dump_json().encode())

    def write_result(self) -> None:
        """Write the result as JSON lines: a row for each photo, in order, with the client's name."""
        with atomic_file(self.result("jsonl")) as file:
            for row in self._rows():
                file.write(json.dumps(row).encode() + b"\n")

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Return the rows of fixes and failures in the order of the photos; both files have this order."""
        failures = self.found.with_name(f"{self.found.name}.failed.csv")
        errors: dict[int, str] = {}
        if failures.exists():
            with open_regular(failures) as file:
                lines = csv.DictReader(line.decode() for line in file)
                errors = {number_of(row["photo"]): row["error"] for row in lines}
        found = _rows_of(self.found) if self.found.exists() else iter(())
        for number, name in enumerate(self.asked.names):
            if number in errors:
                yield {"photo": name, "error": self.told(errors[number])}
            else:
                yield {**next(found), "photo": name}

    def count(self) -> None:
        """Put the figures of the result into the state."""
        failures = [row for row in _rows_of(self.result("jsonl")) if "error" in row]
        self.status.done, self.status.failed = len(self.asked.names), len(failures)
        self.status.failures = failures[:MAX_TOLD]

    def converted(self, extension: str) -> Path:
        """Return the result in a format; it is made when it is first asked for. Only JSON lines hold the failed photos."""
        path = self.result(extension)
        if not path.exists():
            rows = (row for row in _rows_of(self.result("jsonl")) if "error" not in row)
            write_fixes(rows, grid_from_dict(self.asked.grid, self.folder), path, self.asked.attribution)
        return path

    def remove_inputs(self) -> None:
        """Remove the photos and everything else that only the work needs."""
        remove_photos(self.folder)
        keep = {"job.json", "state.json", *(self.result(extension).name for extension in FORMATS)}
        for path in self.folder.iterdir():
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the job with all its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _rows_of(path: Path) -> Iterator[dict[str, Any]]:
    with open_regular(path) as file:
        for line in file:
            row: dict[str, Any] = json.loads(line)
            yield row


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, _MAX_JSON_BYTES)
    except OSError as error:
        raise DataError(path, f"it cannot be read ({error.strerror})", "Remove its folder.") from error
