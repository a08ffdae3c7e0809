"""Table files: CSV (comma, semicolon or tab) and Parquet, read into rows or refused with a reason."""

from __future__ import annotations

import csv
import stat
from collections.abc import Collection
from pathlib import Path

import polars as pl

from justzoomin.data.parquet import MAX_COLUMNS, read_parquet
from justzoomin.errors import DataError
from justzoomin.filekind import looks_like
from justzoomin.untrusted import printable

MAX_BYTES = 4 << 30
_HEAD_BYTES = 1 << 20
_SEPARATORS = (",", ";", "\t")
_WIDE = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_SAVE = "Save it as CSV in UTF-8, or as Parquet."


def read_table(path: Path, wanted: Collection[str], as_text: Collection[str]) -> pl.DataFrame:
    """Read a table with plain column names.

    For a CSV file, the separator (comma, semicolon or tab) is chosen that finds the most `wanted` columns in the first line.

    Args:
        path: The file: Parquet if its extension says so, else CSV.
        wanted: Columns that the table should have.
        as_text: Columns of a CSV file that are always read as text.

    Raises:
        DataError: If it cannot be read as a table, is far too large, or two columns have the same name.
    """
    _check_file(path)
    try:
        table = read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, wanted, as_text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, OverflowError, MemoryError, ValueError,
            csv.Error) as error:  # polars panics over some broken files
        reason = printable((str(error).splitlines() or [""])[0]) or type(error).__name__
        raise DataError(path, f"it cannot be read as a table ({reason})",
                        "Give a CSV or Parquet file with the columns " + ", ".join(wanted) + ".") from error
    names = [_plain(c) for c in table.columns]
    _refuse_twice(path, names)
    return table.rename(dict(zip(table.columns, names, strict=True)))


def _plain(column: str) -> str:
    return column.removeprefix("\ufeff").strip()


def _refuse_twice(path: Path, names: list[str]) -> None:
    twice = sorted({c for c in names if names.count(c) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(path, f"it has several columns called {printable(', '.join(twice), 200)}", "Keep one of each.")


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(path, f"it cannot be read as a table ({error.strerror})", "Give a readable file.") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(path, "it is not a regular file", "Give a CSV or Parquet file.")
    if status.st_size > MAX_BYTES:
        raise DataError(path, f"it has {status.st_size} bytes", f"Tables of up to {MAX_BYTES} bytes are read.")


def _read_csv(path: Path, wanted: Collection[str], as_text: Collection[str]) -> pl.DataFrame:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        for mark, name in _WIDE:
            if head.startswith(mark):
                raise DataError(path, f"it cannot be read as a table, because it is {name} text", _SAVE)
        part, at = head, 0
        while part:
            if b"\0" in part:
                kind = looks_like(head)
                like = f": it looks like {kind}" if kind and "text" not in kind else ""
                raise DataError(path, "it cannot be read as a table, because it is not text: "
                                f"there is a zero byte at position {at + part.index(0)}{like}", _SAVE)
            at += len(part)
            part = file.read(_HEAD_BYTES)
    first = next((line for line in head.split(b"\n") if line.strip()), b"")
    if b"\r" in first.rstrip(b"\r"):
        raise DataError(path, "it cannot be read as a table, because its lines end with carriage returns only",
                        "Save it with line feeds, or with both.")
    line = first.decode("utf-8", "replace").rstrip("\r")
    headers = {separator: [_plain(c) for c in next(csv.reader([line], delimiter=separator), [])] for separator in _SEPARATORS}
    separator = max(_SEPARATORS, key=lambda s: len(set(headers[s]) & set(wanted)))
    _refuse_twice(path, [name for name in headers[separator] if name])
    if len(headers[separator]) > MAX_COLUMNS:
        raise DataError(path, f"it has more than {MAX_COLUMNS} columns", "Keep the columns that are needed.")
    columns = pl.read_csv(path, n_rows=0, infer_schema=False, separator=separator, glob=False).columns
    text = {c: pl.String for c in columns if _plain(c) in as_text}
    return pl.read_csv(path, schema_overrides=text, infer_schema_length=None, separator=separator, glob=False)
