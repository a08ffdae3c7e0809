"""Reading Parquet from outside, in a process of its own: over some broken files the reader takes its process down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from justzoomin.errors import DataError
from justzoomin.maps import looks_like
from justzoomin.untrusted import printable

MAX_ROWS = 50_000_000
"""More rows than all street photos of a city; a Parquet file of some kilobytes can claim any number."""
MAX_COLUMNS = 1000
MAX_CELLS = 500_000_000
_SECONDS = 600
_TOO_MANY, _REFUSED = 2, 3
_AGAIN = "Download it again, or write it anew."
MAX_NOTE_BYTES = 1 << 20
_CHILD = """
import sys
import polars as pl
source, key, limits = sys.argv[1], sys.argv[2], [int(word) for word in sys.argv[3:]]
try:
    rows = pl.scan_parquet(source, glob=False).select(pl.len()).collect().item()
    columns = len(pl.read_parquet_schema(source))
    for name, value, limit in zip(("rows", "columns", "cells"), (rows, columns, rows * columns), limits):
        if value > limit:
            sys.stdout.write(f"{value} {name}")
            sys.exit(2)
    note = pl.read_parquet_metadata(source).get(key) if key else None
    table = pl.read_parquet(source, glob=False)
except (Exception, pl.exceptions.PanicException) as error:
    sys.stdout.write((str(error).splitlines() or [""])[0] or type(error).__name__)
    sys.exit(3)
text = b"" if note is None else note.encode("utf-8", "replace")
if len(text) > limits[3]:
    sys.stdout.write(f"{len(text)} bytes of metadata")
    sys.exit(2)
sys.stdout.buffer.write((-1 if note is None else len(text)).to_bytes(8, "little", signed=True) + text)
table.write_ipc(sys.stdout.buffer)
"""


def read_parquet(path: Path) -> pl.DataFrame:
    """A Parquet file's table; see `read_noted_parquet`.

    Raises:
        DataError: If it is none, cannot be read, or is far too large.
    """
    return read_noted_parquet(path, "")[0]


def read_noted_parquet(path: Path, key: str) -> tuple[pl.DataFrame, str | None]:
    """A Parquet file's table, and what its own metadata say under a key; None where they say nothing.

    Broken sizes make polars ask for more memory than there is, which ends the process without an exception. So a child
    reads the file and hands the table over.

    Raises:
        DataError: If it is none, cannot be read, or is far too large.
    """
    _check_ends(path)
    limits = (MAX_ROWS, MAX_COLUMNS, MAX_CELLS, MAX_NOTE_BYTES)
    # -P: no module of the working folder stands in for one of ours
    words = [sys.executable, "-P", "-c", _CHILD, str(path.absolute()), key, *map(str, limits)]
    environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONIOENCODING": "utf-8"}
    try:
        child = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               timeout=_SECONDS, env=environment)
    except subprocess.TimeoutExpired as error:
        raise DataError(path, f"it cannot be read as a table within {_SECONDS} s", _AGAIN) from error
    if child.returncode == 0:
        size = int.from_bytes(child.stdout[:8], "little", signed=True)
        start = 8 + max(size, 0)
        return pl.read_ipc(child.stdout[start:]), None if size < 0 else child.stdout[8:start].decode()
    said = printable(child.stdout[:1000].decode("utf-8", "replace"))
    if child.returncode == _TOO_MANY:
        raise DataError(path, f"it claims {said}",
                        f"Tables of up to {MAX_ROWS} rows, {MAX_COLUMNS} columns, {MAX_CELLS} cells and"
                        f" {MAX_NOTE_BYTES} bytes of metadata are read.")
    reason = f"({said})" if child.returncode == _REFUSED else \
        f"and ends the program that tries it (exit code {child.returncode})"
    raise DataError(path, f"it cannot be read as a table {reason}", _AGAIN)


def _check_ends(path: Path) -> None:
    """Refuse what is no Parquet file by its first and last bytes, before a process is started for it."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
            file.seek(max(0, path.stat().st_size - 4))
            end = file.read(4)
    except OSError as error:
        raise DataError(path, f"it cannot be read ({error.strerror})", "Give a file that exists and is readable.") from error
    if not start.startswith(b"PAR1") or end != b"PAR1":
        kind = "" if start.startswith(b"PAR1") else looks_like(start)
        what = f": it looks like {kind}" if kind else ": it is cut off" if start.startswith(b"PAR1") else ""
        raise DataError(path, f"it cannot be read as a table, for it is no whole Parquet file{what}",
                        "Download it again, or give it the ending of what it is.")
