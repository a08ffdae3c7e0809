"""`jzi data publish-check`: list what a person must settle before a dataset is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, print_json, region_option, stage_bars
from justzoomin.apps.shared.publish_items import STATES, print_items


def publish_check(
    root: Annotated[Path, typer.Argument(help="Folder of the dataset, as downloaded or extracted.")], *,
    sample: Annotated[int, typer.Option(help="Number of photo files to search for EXIF and similar data.", min=1)] = 1000,
    all_photos: Annotated[bool, typer.Option("--all-photos", help="Search all photo files.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the choice of photos.")] = 0,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what a person must settle before publishing: licences, attributions, EXIF, faces and plates, personal columns.

    It reports facts and decides nothing. The exit code is 0 only if nothing is unsettled.
    """
    from justzoomin.checks import publish_check as look
    from justzoomin.data import open_dataset

    dataset = open_dataset(root, region_option(region))
    with stage_bars() as advance:
        items = look(dataset, sample=None if all_photos else sample, seed=seed, progress=advance)
    counts = {state: sum(item.state == state for item in items) for state in STATES}
    if as_json:
        print_json({"root": str(root), "ok": not counts["unsettled"], "counts": counts,
                    "items": [item.to_dict() for item in items]})
    else:
        print_items(items)
    raise typer.Exit(1 if counts["unsettled"] else 0)
