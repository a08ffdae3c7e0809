"""`jzi data publish`: upload a dataset to the hub, after the rules, with a comparison of every file at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, region_option, stage_bars


def publish(
    root: Annotated[Path, typer.Argument(help="Folder of the dataset, in TAR shards, with its card.")],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub; it is made if missing.")], *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    decided: Annotated[bool, typer.Option("--decided", help="A person has decided what only a person can decide.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be uploaded and what to settle.")] = False,
    all_photos: Annotated[bool, typer.Option("--all-photos", help="Search all photo files for EXIF, not only 1000.")] = False,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
) -> None:
    """Upload a dataset to the hub. Refused while something is unsettled; run it again after an interruption."""
    from justzoomin.apps.shared.publish_items import print_items, print_size
    from justzoomin.data import open_dataset
    from justzoomin.publishing import dataset_items, inventory, publish_dataset

    dataset = open_dataset(root, region_option(region))
    with stage_bars() as advance:
        items = dataset_items(dataset, sample=None if all_photos else 1000, progress=advance)
    print_items(items)
    files = inventory(root)
    print_size({name: root / name for name in files.files})
    if files.left_out:
        typer.echo(f"left out: {len(files.left_out):,} other files: {', '.join(files.left_out[:3])}")
    if not dry_run:
        pushed = publish_dataset(dataset, repo_id, items, private=private, decided=decided)
        typer.echo(f"commit {pushed.commit}: {repo_id}, every file compared")
