"""`jzi data extract`: unpack the archives of a downloaded dataset, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import out, print_json, stage_bars


def extract(
    root: Annotated[Path, typer.Argument(help="Folder of the downloaded dataset.")],
    dest: Annotated[Path, typer.Argument(help="New or empty folder, or ROOT itself.")],
    delete_archives: Annotated[bool, typer.Option("--delete-archives", help="Delete each archive after comparing its "
                                                  "files with it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Unpack the archives of a dataset into files, for tools that cannot read archives.

    jzi itself reads archives in place.
    Each shard is extracted, verified and then deleted if asked for. Run it again to continue after an interruption.
    """
    from justzoomin.hub import extract as unpack

    with stage_bars() as advance:
        report = unpack(root, dest, delete_archives=delete_archives,
                        progress=lambda stage, done, total: advance(f"{stage}, MB", done // 1_000_000, total // 1_000_000))
    if as_json:
        print_json({"dest": str(report.dest), "shards": report.shards, "files": report.files, "bytes": report.bytes,
                    "deleted": list(report.deleted), "left": list(report.left)})
        return
    console = out()
    console.print(f"{report.dest}: {report.shards} shards, {report.files:,} files, {report.bytes / 1e6:,.1f} MB, all compared"
                  + (f"; {len(report.deleted)} archives deleted" if report.deleted else ""), markup=False)
    for name in report.left:
        console.print(f"not extracted: {name}", markup=False)
