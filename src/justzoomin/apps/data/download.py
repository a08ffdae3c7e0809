"""`jzi data download`: fetch the parts of a dataset that the grid needs from the hub, with checks; can be resumed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import err, out, print_json
from justzoomin.apps.shared.terminal import plain_bars

if TYPE_CHECKING:
    from justzoomin.hub import DownloadPlan, Selection

_ABOUT = {"about": "README, licence, attribution", "metadata": "layout, region, photo metadata", "other": "other files"}


def download(
    dest: Annotated[Path, typer.Argument(help="Folder to download into.")],
    repo_id: Annotated[str | None, typer.Option("--repo-id", help="Repository on the hub. Default: pcvlab/justzoomin.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit. Default: main.")] = None,
    pixels: Annotated[int | None, typer.Option(help="Fetch the map levels for views of this many pixels a side. "
                                               "Default: 384.")] = None,
    depth: Annotated[int | None, typer.Option(help="Number of zoom steps that need views. Default: as the repository "
                                              "states, otherwise 4.", min=1)] = None,
    levels: Annotated[str | None, typer.Option(help="Map levels to fetch instead: -7,-5,-3,-1, or all.")] = None,
    splits: Annotated[str | None, typer.Option(help="Splits whose tables to fetch: train,val. Default: all.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Change to the newest commit of the revision.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be fetched.")] = False,
    workers: Annotated[int, typer.Option(help="Number of files to fetch at the same time.", min=1, max=64)] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Download a dataset from the hub, without map levels that no view needs.

    Run it again to continue after a failure, to check that a folder is complete, or to add other levels.
    Archives stay packed and are read in place.
    The file .jzi-download.json stores the commit and the size and hash of every file.
    """
    from justzoomin.hub import Retry, plan_download
    from justzoomin.hub import download as fetch

    console = err()
    retry = Retry(notice=lambda text: console.print(text, markup=False, style="yellow"))
    selection = _selection(pixels, depth, levels, splits)
    plan = plan_download(dest, repo_id, revision, selection, update=update, retry=retry)
    if not as_json:
        _print_plan(plan)
    if dry_run:
        if as_json:
            print_json(plan.to_dict())
        return
    plan.require_room()
    whole = plan.complete
    with _byte_bar() as advance:
        record = fetch(plan, advance, workers=workers, retry=retry)
    if as_json:
        print_json({**plan.to_dict(), "complete": record.complete})
    else:
        fetched = "nothing was fetched" if whole else f"{_bytes(plan.bytes_to_fetch)} fetched, every file checked"
        out().print(f"{dest}: complete, commit {record.commit}, {fetched}", markup=False)


def _selection(pixels: int | None, depth: int | None, levels: str | None, splits: str | None) -> Selection | None:
    """Return the selection that the options ask for, or None without any option."""
    from justzoomin.errors import ConfigError
    from justzoomin.hub import Selection

    if levels is not None and (pixels is not None or depth is not None):
        raise ConfigError("--levels", "--pixels or --depth is given as well", "Name the levels, or let the grid choose.")
    if pixels is None and depth is None and levels is None and splits is None:
        return None
    numbers: list[int] = []
    for word in levels.split(",") if levels is not None and levels != "all" else ():
        try:
            numbers.append(int(word))
        except ValueError as error:
            raise ConfigError("--levels", f"{word!r} is not a whole number", "Write for example --levels -7,-5,-3,-1, or all."
                              ) from error
    names = None if splits is None else tuple(word.strip() for word in splits.split(",") if word.strip())
    if names == ():
        raise ConfigError("--splits", "no split is named", "Write for example --splits train,val.")
    given = {} if pixels is None else {"pixels": pixels}
    return Selection(**given, depth=depth, levels="all" if levels == "all" else tuple(numbers) or None, splits=names)


def _print_plan(plan: DownloadPlan) -> None:
    from rich.table import Table

    console, record = out(), plan.record
    console.print(f"{record.repo_id}, revision {record.revision}, commit {record.commit}", markup=False)
    table = Table("what", "files", "bytes")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, (files, size) in plan.by_label().items():
        table.add_row(_ABOUT.get(label, label), f"{files:,}", _bytes(size))
    for label, (files, size) in plan.left_out.items():
        table.add_row(f"left out: {_ABOUT.get(label, label)}", f"{files:,}", _bytes(size), style="dim")
    console.print(table)
    console.print(f"total {_bytes(plan.total_bytes)}, {_bytes(plan.bytes_there)} already here, {_bytes(plan.bytes_to_fetch)} "
                  f"to fetch; free on the disk: {_bytes(plan.free_bytes)}")
    if plan.left_out:
        console.print(f"left out: {_bytes(sum(size for _, size in plan.left_out.values()))}")
    if plan.remove:
        console.print(f"{len(plan.remove)} files of the previous commit are removed or replaced")
    console.print(f"licence: {record.licence}", markup=False)
    console.print(f"attribution: {record.attribution}", markup=False)


def _bytes(count: int) -> str:
    """Return a number of bytes in decimal units, as the hub writes them."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


@contextmanager
def _byte_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar of bytes on standard error, if that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with plain_bars(*columns, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("checking", total=None)
        yield lambda label, done, total: bars.update(task, description=label, completed=done, total=total)
