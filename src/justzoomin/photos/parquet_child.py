"""Reading Parquet that others wrote, in a process of its own: over some broken files the reader takes its process down."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from justzoomin.errors import DataError
from justzoomin.photos.image_files import printable

MAX_ROWS = 20_000_000
_SECONDS = 600.0
_REFUSED = 3
_CHILD = """
import sys
import polars as pl
source, target, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    rows = pl.scan_parquet(source, glob=False).select(pl.len()).collect().item()
    if rows > most:
        raise ValueError(f"it has {rows} rows, more than {most}")
    frame = pl.read_parquet(source, glob=False)
    frame.drop([c for c, kind in frame.schema.items() if kind in (pl.Binary, pl.Object)]).write_ipc(target)
except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError) as error:
    sys.stdout.write(str(error).partition("\\n")[0] or type(error).__name__)
    sys.exit(3)
"""


def read_foreign_parquet(path: Path) -> pl.DataFrame:
    """A Parquet file's table without its binary columns.

    Broken sizes make polars ask for more memory than there is, which ends the process without an exception. So a child
    reads the file and hands the table over.

    Raises:
        DataError: If it cannot be read or has too many rows.
    """
    remedy = "Write the table again, or give it as CSV."
    _check_ends(path, remedy)
    with tempfile.TemporaryDirectory(prefix="jzi-table-") as folder:
        target = Path(folder) / "table.arrow"
        try:
            # -P: no module of the working folder stands in for one of ours
            child = subprocess.run([sys.executable, "-P", "-c", _CHILD, str(path.absolute()), str(target), str(MAX_ROWS)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                                   timeout=_SECONDS, env={**os.environ, "RUST_BACKTRACE": "0", "PYTHONIOENCODING": "utf-8"})
        except subprocess.TimeoutExpired as error:
            raise DataError(path, f"reading it as Parquet took more than {_SECONDS:.0f} s", remedy) from error
        if child.returncode:
            said = printable(child.stdout.decode("utf-8", "replace"), 200) if child.returncode == _REFUSED else ""
            raise DataError(path, f"it cannot be read as Parquet ({said or 'its reader broke down over it'})", remedy)
        return pl.read_ipc(target.read_bytes())


def _check_ends(path: Path, remedy: str) -> None:
    """Refuse what is no Parquet file by its first and last bytes, before a process is started for it."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(-min(4, path.stat().st_size), os.SEEK_END)
            end = file.read(4)
    except OSError as error:
        raise DataError(path, f"it cannot be read ({error.strerror})", "Give a file that exists and is readable.") from error
    if start != b"PAR1" or end != b"PAR1":
        raise DataError(path, "it cannot be read as Parquet (" + ("it is cut off" if start == b"PAR1" else "it is none") + ")",
                        remedy)
