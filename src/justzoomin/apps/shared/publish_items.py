"""What is left to settle before something is published, and how large it is, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from justzoomin.checks import PublishItem

STATES = ("unsettled", "person must decide", "settled")


def print_items(items: Sequence[PublishItem]) -> None:
    """Print items by state, with remedies and examples, and their numbers."""
    for state in STATES:
        for item in (item for item in items if item.state == state):
            typer.echo(f"{state:<19} {item.name}: {item.finding}.")
            if item.remedy:
                typer.echo(f"{'':<19}   {item.remedy}")
            if item.examples and state != "settled":
                more = " ..." if len(item.examples) > 3 else ""
                typer.echo(f"{'':<19}   for example: {', '.join(item.examples[:3])}{more}")
    typer.echo(", ".join(f"{sum(item.state == state for item in items)} {state}" for state in STATES))


def print_size(files: Mapping[str, Path | bytes]) -> None:
    """Print the number of files and their total size, and the largest of them."""
    sizes = {name: len(file) if isinstance(file, bytes) else file.stat().st_size for name, file in files.items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    typer.echo(f"{len(sizes):,} files, {megabytes(sum(sizes.values()))}; the largest: "
               f"{', '.join(f'{name} ({megabytes(sizes[name])})' for name in largest)}")


def megabytes(size: int) -> str:
    """Format bytes: 6.5 MB."""
    return f"{size / 1e6:,.1f} MB"
