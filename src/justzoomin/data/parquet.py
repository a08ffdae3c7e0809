"""Reading untrusted Parquet files in a child process, because some broken files crash the reader's process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from justzoomin.errors import DataError
from justzoomin.filekind import looks_like
from justzoomin.untrusted import printable

MAX_ROWS = 50_000_000
"""More rows than a city has street photos; a Parquet file of some kilobytes can claim any number."""
MAX_COLUMNS = 1000
MAX_CELLS = 500_000_000
MAX_TEXT_BYTES = 1 << 16
"""Limit of one text. Names, words and outlines are shorter. A long text that all rows share takes little space in a file."""
DECODED_BYTES, DECODED_RATIO = 256 << 20, 100
"""Limit of the decoded table in bytes: the first number, plus the second for each byte of the file."""
MAX_NOTE_BYTES = 1 << 20
_SECONDS = 600
_TOO_MANY, _REFUSED = 2, 3
_AGAIN = "Download it again, or write it again."
_CHILD = """
import sys
import polars as pl
source, key, limits = sys.argv[1], sys.argv[2], [int(word) for word in sys.argv[3:]]
decoded, longest = limits[4:]

def stop(words, limit):
    sys.stdout.write(f"{words}, more than the {limit} that are read")
    sys.exit(2)

def leaves(series):
    if isinstance(series.dtype, (pl.List, pl.Array)):
        yield from leaves(series.explode())
    elif isinstance(series.dtype, pl.Struct):
        for name in series.struct.fields:
            yield from leaves(series.struct.field(name))
    else:
        yield series

try:
    import resource
    memory = (1 << 30) + 3 * decoded
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
except ImportError:
    pass
try:
    rows = pl.scan_parquet(source, glob=False).select(pl.len()).collect().item()
    columns = len(pl.scan_parquet(source, glob=False).collect_schema())
    for name, value, limit in zip(("rows", "columns", "cells"), (rows, columns, rows * columns), limits):
        if value > limit:
            stop(f"{value} {name}", limit)
    note = pl.read_parquet_metadata(source).get(key) if key else None
    table = pl.read_parquet(source, glob=False)
    total = 0
    for column in table:
        for leaf in leaves(column):
            if leaf.dtype in (pl.String, pl.Binary):
                sizes = (leaf.str.len_bytes() if leaf.dtype == pl.String else leaf.bin.size()).cast(pl.Int64)
                total += 16 * len(leaf) + sizes.sum()
                if leaf.dtype == pl.String and (sizes.max() or 0) > longest:
                    stop(f"a text of {sizes.max()} bytes in column {column.name[:80]}", longest)
            else:
                total += leaf.estimated_size()
        if total > decoded:
            stop(f"values of {total} bytes", decoded)
except (Exception, pl.exceptions.PanicException) as error:
    sys.stdout.write((str(error).splitlines() or [""])[0] or type(error).__name__)
    sys.exit(3)
text = b"" if note is None else note.encode("utf-8", "replace")
if len(text) > limits[3]:
    stop(f"{len(text)} bytes of metadata", limits[3])
sys.stdout.buffer.write((-1 if note is None else len(text)).to_bytes(8, "little", signed=True) + text)
table.write_ipc(sys.stdout.buffer)
"""


def read_parquet(path: Path) -> pl.DataFrame:
    """Read the table of a Parquet file; see `read_noted_parquet`.

    Raises:
        DataError: If the file is not Parquet, cannot be read, or is far too large.
    """
    return read_noted_parquet(path, "")[0]


def read_noted_parquet(path: Path, key: str) -> tuple[pl.DataFrame, str | None]:
    """Read the table of a Parquet file, and the value of a key in the file's metadata; None if the key is missing.

    Broken sizes make polars request more memory than there is, which ends the process without an exception. So a child
    process reads the file, with a memory limit if the system supports one, and returns the table.

    Raises:
        DataError: If the file is not Parquet, cannot be read, or is far too large.
    """
    _check_ends(path)
    decoded = DECODED_BYTES + DECODED_RATIO * path.stat().st_size
    limits = (MAX_ROWS, MAX_COLUMNS, MAX_CELLS, MAX_NOTE_BYTES, decoded, MAX_TEXT_BYTES)
    # -P: a module in the working folder must not replace an installed one
    words = [sys.executable, "-P", "-c", _CHILD, str(path.absolute()), key, *map(str, limits)]
    environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONIOENCODING": "utf-8",
                   "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", "4")}  # each thread's stack counts as memory
    try:
        child = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS,
                               env=environment)
    except subprocess.TimeoutExpired as error:
        raise DataError(path, f"it cannot be read as a table within {_SECONDS} s", _AGAIN) from error
    if child.returncode == 0:
        size = int.from_bytes(child.stdout[:8], "little", signed=True)
        start = 8 + max(size, 0)
        return pl.read_ipc(child.stdout[start:]), None if size < 0 else child.stdout[8:start].decode()
    said = printable(child.stdout[:1000].decode("utf-8", "replace"))
    if child.returncode == _TOO_MANY:
        raise DataError(path, f"it claims {said}", "Keep the rows, columns and texts that are needed, or give several files.")
    if b"memory allocation" in child.stderr:
        raise DataError(path, f"reading it takes far more memory than the {path.stat().st_size} bytes of the file promise",
                        f"It is damaged, or made to fill memory. {_AGAIN}")
    reason = f"({said})" if child.returncode == _REFUSED else \
        f"and ends the program that tries it (exit code {child.returncode})"
    raise DataError(path, f"it cannot be read as a table {reason}", _AGAIN)


def _check_ends(path: Path) -> None:
    """Refuse a file whose first or last bytes are not those of Parquet, before a process is started for it."""
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
        raise DataError(path, f"it cannot be read as a table, because it is not a complete Parquet file{what}",
                        "Download it again, or rename it to the extension of its format.")
